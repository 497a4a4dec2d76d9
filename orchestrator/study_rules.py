"""What a study must fulfil beyond the types and ranges of its values: names that exist, and parts that fit together.

Each rule says which parts of the study it reads. Where one of them is already known to be wrong the rule keeps silent,
so that every problem of a file is reported once, and all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

import search_spaces
import trainables.data
from orchestrator.arms import derive_arms
from orchestrator.errors import did_you_mean, quoted
from orchestrator.study_problems import Finding, findings
from orchestrator.yaml_source import KeyPath
from trainables.algorithms import ALGORITHMS, closure

if TYPE_CHECKING:
    from orchestrator.study import StudySpec

SIGNIFICANCE = 0.05

Rule = Callable[["StudySpec"], Iterator[Finding]]

_RULES: list[tuple[tuple[KeyPath, ...], bool, Rule]] = []


def _rule(*reads: str, data: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule that reads these parts (`evaluate.seeds`); with `data` it asks what is on this machine's disk.

    `components.*` reads each entry by itself: one that is wrong does not silence the rule.
    """

    def register(rule: Rule) -> Rule:
        _RULES.append((tuple(tuple(part.split(".")) for part in reads), data, rule))
        return rule

    return register


def broken_rules(study: StudySpec, bad: Collection[KeyPath] = (), *, need_data: bool = False) -> list[Finding]:
    """Everything that is wrong with a study whose values are of the right type and in range.

    Args:
        study: May hold stand-ins at the paths in `bad`.
        bad: Paths already reported.
        need_data: Also ask whether the dataset is on this machine.
    """
    found: list[Finding] = []
    for reads, data, rule in _RULES:
        if (need_data or not data) and not any(_touches(path, b) for path in reads for b in bad):
            found += rule(study)
    return found


def smallest_p(seeds: int) -> float:
    """The smallest two-sided p that an exact sign-flip test over so many pairs can give."""
    return min(1.0, 2.0 / 2.0 ** min(seeds, 1000))


def power_warnings(study: StudySpec) -> list[str]:
    """What the study's size cannot show, although it is allowed."""
    comparisons, seeds = len(derive_arms(study)) - 1, len(study.seed_list)
    warnings = []
    if study.search.trials == 0:
        warnings.append("search.trials is 0: arms are compared at their constants, none of them tuned")
    corrected = min(1.0, comparisons * smallest_p(seeds))
    if comparisons and corrected >= SIGNIFICANCE:
        size = f"{_count(seeds, 'seed')} and {_count(comparisons, 'comparison')}"
        warnings.append(
            f"with {size} the smallest Holm-corrected p is {corrected:.2g}: no difference can be significant after"
            f" correction; that needs {_seeds_for(comparisons)} seeds"
        )
    return warnings


def _seeds_for(comparisons: int) -> int:
    seeds = 1
    while comparisons * smallest_p(seeds) >= SIGNIFICANCE:
        seeds += 1
    return seeds


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _touches(read: KeyPath, bad: KeyPath) -> bool:
    if read[-1] == "*":
        read = read[:-1]
        return bad == read[: len(bad)]
    n = min(len(read), len(bad))
    return read[:n] == bad[:n]


@_rule("method")
def _method_exists(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        yield Finding(("method",), f"no algorithm {quoted(study.method)}{did_you_mean(study.method, ALGORITHMS)}")


@_rule("method", "components.*")
def _components_exist_and_fit(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        return
    components = ALGORITHMS[study.method].components
    names = [c.name for c in components]
    for name in study.components:
        if name not in names:
            message = f"no component {quoted(name)} in {study.method}{did_you_mean(name, names)}"
            yield Finding(("components", name), message, ("components",))
    off = {name for name in study.components if name in names and not study.components[name]}
    for name in (n for n in names if n in off):
        orphans = [n for n in names if n in closure(components, [name]) - off]
        if orphans:
            them, need = ("it", "needs") if len(orphans) == 1 else ("them", "need")
            listed = ", ".join(f"'{n}'" for n in orphans)
            message = f"component '{name}' is off, but {listed} {need} it; switch {them} off too"
            yield Finding(("components", name), message, ("components",))


@_rule("method", "components", "ablation")
def _ablation_leaves_something_out(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS or study.ablation.design == "none":
        return
    names = [c.name for c in ALGORITHMS[study.method].components]
    remedy = "; write `ablation: {design: none}` for a study without ablation"
    if not names:
        yield Finding(("method",), f"'{study.method}' has no components to leave out{remedy}")
        return
    if not set(names) - set(study.off):
        yield Finding(("ablation",), f"every component is off, there is none to leave out{remedy}")
    asked = study.ablation.components
    if asked == "all":
        return
    if not asked:
        yield Finding(("ablation", "components"), f"names no component to leave out{remedy}")
    for i, name in enumerate(asked):
        place: KeyPath = ("ablation", "components", i)
        if name not in names:
            yield Finding(
                place, f"no component {quoted(name)} in {study.method}{did_you_mean(name, names)}", place[:-1]
            )
        elif name in study.off:
            yield Finding(
                place, f"component '{name}' is off in the full method; it cannot be left out again", place[:-1]
            )
    yield from _repeated(asked, ("ablation", "components"))


@_rule("baselines")
def _baselines_exist(study: StudySpec) -> Iterator[Finding]:
    yield from _unknown(study.baselines, ALGORITHMS, ("baselines",), "algorithm")
    yield from _repeated(study.baselines, ("baselines",))


@_rule("baselines", "method")
def _method_is_no_baseline(study: StudySpec) -> Iterator[Finding]:
    if study.method in study.baselines:
        at: KeyPath = ("baselines", study.baselines.index(study.method))
        yield Finding(at, f"'{study.method}' is the method itself; name others, or none", at[:-1])


@_rule("data.dataset")
def _dataset_exists(study: StudySpec) -> Iterator[Finding]:
    name, known = study.data.dataset, trainables.data.DATASETS
    if name not in known:
        yield Finding(("data", "dataset"), f"no dataset {quoted(name)}{did_you_mean(name, known)}")


@_rule("data.dataset", data=True)
def _dataset_is_here(study: StudySpec) -> Iterator[Finding]:
    dataset = trainables.data.DATASETS.get(study.data.dataset)
    problem = dataset.missing() if dataset else None
    if problem:
        yield Finding(("data", "dataset"), problem)


@_rule("data.generators")
def _generators_exist(study: StudySpec) -> Iterator[Finding]:
    yield from _unknown(study.data.generators, trainables.data.GENERATORS, ("data", "generators"), "generator")
    yield from _repeated(study.data.generators, ("data", "generators"))


@_rule("data.generators", "data.contamination")
def _contamination_needs_generators(study: StudySpec) -> Iterator[Finding]:
    if study.data.contamination > 0 and not study.data.generators:
        message = f"contamination is {study.data.contamination}, but there is no generator; name one, or set it to 0"
        yield Finding(("data", "generators"), message)


@_rule("data")
def _dataset_is_large_enough(study: StudySpec) -> Iterator[Finding]:
    problem = trainables.data.check_sizes(study.data) if study.data.dataset in trainables.data.DATASETS else None
    if problem:
        yield Finding(("data", "labels_per_class"), problem, ("data",))


@_rule("hyperparameters.*")
def _constants_are_in_range(study: StudySpec) -> Iterator[Finding]:
    for algorithm, constants in study.hyperparameters.items():
        at: KeyPath = ("hyperparameters", algorithm)
        if algorithm not in ALGORITHMS:
            yield Finding(at, f"no algorithm {quoted(algorithm)}{did_you_mean(algorithm, ALGORITHMS)}", at[:-1])
            continue
        config = ALGORITHMS[algorithm].Config
        try:
            config.model_validate(constants)
        except ValidationError as error:
            yield from findings(error, config, at)


@_rule("method", "baselines", "hyperparameters.*")
def _constants_are_used(study: StudySpec) -> Iterator[Finding]:
    for algorithm in study.hyperparameters:
        if algorithm in ALGORITHMS and algorithm not in (study.method, *study.baselines):
            message = f"'{algorithm}' is neither the method nor a baseline of this study; remove it"
            yield Finding(("hyperparameters", algorithm), message, ("hyperparameters",))


@_rule("method", "components", "hyperparameters.*")
def _constants_mean_something(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        return
    constants = study.hyperparameters.get(study.method, {})
    for component in ALGORITHMS[study.method].components:
        if component.name in study.off:
            for name in constants.keys() & set(component.parameters):
                message = f"means nothing while component '{component.name}' is off; remove it"
                yield Finding(("hyperparameters", study.method, name), message)


@_rule("search.spaces")
def _spaces_exist(study: StudySpec) -> Iterator[Finding]:
    yield from _unknown(study.search.spaces, search_spaces.GROUPS, ("search", "spaces"), "search space")
    yield from _repeated(study.search.spaces, ("search", "spaces"))


@_rule("search.spaces", "search.trials")
def _search_has_a_space(study: StudySpec) -> Iterator[Finding]:
    if study.search.trials and not study.search.spaces:
        known = ", ".join(search_spaces.GROUPS)
        message = (
            f"{study.search.trials} trials have nothing to search; name a space ({known}), or set search.trials to 0"
        )
        yield Finding(("search", "spaces"), message)


@_rule("evaluate")
def _seeds_can_show_something(study: StudySpec) -> Iterator[Finding]:
    seeds = len(study.seed_list)
    alone = study.method in ALGORITHMS and study.ablation.design == "none" and not study.baselines
    if smallest_p(seeds) >= SIGNIFICANCE and not study.evaluate.allow_underpowered and not alone:
        yield Finding(
            ("evaluate", "seeds"),
            f"{_count(seeds, 'paired seed')} cannot reach p < {SIGNIFICANCE} (smallest p is"
            f" {smallest_p(seeds):.2g}); use {_seeds_for(1)} or more, or say so with `allow_underpowered: true`",
        )


def _unknown(names: Iterable[str], known: Collection[str], at: KeyPath, word: str) -> Iterator[Finding]:
    for i, name in enumerate(names):
        if name not in known:
            yield Finding((*at, i), f"no {word} {quoted(name)}{did_you_mean(name, known)}", at)


def _repeated(names: Iterable[str], at: KeyPath) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield Finding((*at, i), f"{quoted(name)} is named twice; keep one", at)
        seen.add(name)
