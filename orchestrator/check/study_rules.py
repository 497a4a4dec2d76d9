"""What a study must fulfil beyond the types and ranges of its values: names that exist, and parts that fit together.

Each rule says which parts of the study it reads. Where one of them is already known to be wrong the rule keeps silent,
so that every problem of a file is reported once, and all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.check.rules import repeated, rule, unknown
from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.design.arms import derive_arms, names_of
from orchestrator.study.type_messages import Finding, findings
from orchestrator.study.yaml_source import KeyPath
from trainables.algorithms import ALGORITHMS, closure

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

SIGNIFICANCE = 0.05


def smallest_p(seeds: int) -> float:
    """The smallest two-sided p that an exact sign-flip test over so many pairs can give."""
    return min(1.0, 2.0 / 2.0 ** min(seeds, 1000))


def power_warnings(study: StudySpec) -> list[str]:
    """What the study's size cannot show, although it is allowed."""
    comparisons = sum(arm.role not in ("full", "oracle") for arm in derive_arms(study).arms)
    seeds = len(study.seed_list)
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


@rule("method")
def _method_exists(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        yield Finding(("method",), f"no algorithm {quoted(study.method)}{did_you_mean(study.method, ALGORITHMS)}")


@rule("method")
def _method_is_no_oracle(study: StudySpec) -> Iterator[Finding]:
    if study.method in ALGORITHMS and ALGORITHMS[study.method].reads_origin:
        message = (
            f"{quoted(study.method)} is an oracle: it reads which unlabelled images are synthetic, which no method may"
        )
        yield Finding(("method",), f"{message}; name it among the baselines, where it is shown as a bound")


@rule("method", "components.*")
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


@rule("baselines")
def _baselines_exist(study: StudySpec) -> Iterator[Finding]:
    yield from unknown(study.baselines, ALGORITHMS, ("baselines",), "algorithm")
    yield from repeated(study.baselines, ("baselines",))


@rule("baselines", "method")
def _method_is_no_baseline(study: StudySpec) -> Iterator[Finding]:
    if study.method in study.baselines:
        at: KeyPath = ("baselines", study.baselines.index(study.method))
        yield Finding(at, f"'{study.method}' is the method itself; name others, or none", at[:-1])


@rule("baselines", "method")
def _algorithms_have_names_of_their_own(study: StudySpec) -> Iterator[Finding]:
    taken = {ALGORITHMS[study.method].name: study.method} if study.method in ALGORITHMS else {}
    for i, key in enumerate(study.baselines):
        if key in ALGORITHMS and (other := taken.setdefault(ALGORITHMS[key].name, key)) != key:
            message = f"{quoted(key)} and {quoted(other)} are both named '{ALGORITHMS[key].name}'; rename one"
            yield Finding(("baselines", i), message, ("baselines",))


@rule("hyperparameters.*")
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


@rule("method", "baselines", "hyperparameters.*")
def _constants_are_used(study: StudySpec) -> Iterator[Finding]:
    for algorithm in study.hyperparameters:
        if algorithm in ALGORITHMS and algorithm not in (study.method, *study.baselines):
            message = f"'{algorithm}' is neither the method nor a baseline of this study; remove it"
            yield Finding(("hyperparameters", algorithm), message, ("hyperparameters",))


@rule("method", "components", "hyperparameters.*")
def _constants_mean_something(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        return
    constants = study.hyperparameters.get(study.method, {})
    for component in ALGORITHMS[study.method].components:
        if component.name in study.off:
            for name in constants.keys() & set(component.parameters):
                message = f"means nothing while component '{component.name}' is off; remove it"
                yield Finding(("hyperparameters", study.method, name), message)


@rule("resources.arms.*", "method", "components", "ablation", "baselines", "search", "hyperparameters", derives=True)
def _resources_are_of_arms(study: StudySpec) -> Iterator[Finding]:
    known = {name for arm in derive_arms(study).arms for name in names_of(arm)} if study.resources.arms else set()
    for name in study.resources.arms:
        if name not in known:
            message = f"no arm or algorithm {quoted(name)} in this study{did_you_mean(name, known)}"
            yield Finding(("resources", "arms", name), message, ("resources", "arms"))


@rule("evaluate", "ablation.design", "ablation.arms.*", "baselines")
def _seeds_can_show_something(study: StudySpec) -> Iterator[Finding]:
    seeds = len(study.seed_list)
    alone = study.ablation.design == ("none",) and not study.ablation.arms and not study.baselines
    if smallest_p(seeds) >= SIGNIFICANCE and not study.evaluate.allow_underpowered and not alone:
        yield Finding(
            ("evaluate", "seeds"),
            f"{_count(seeds, 'paired seed')} cannot reach p < {SIGNIFICANCE} (smallest p is"
            f" {smallest_p(seeds):.2g}); use {_seeds_for(1)} or more, or say so with `allow_underpowered: true`",
        )


RULES = (
    _method_exists,
    _method_is_no_oracle,
    _components_exist_and_fit,
    _baselines_exist,
    _method_is_no_baseline,
    _algorithms_have_names_of_their_own,
    _constants_are_in_range,
    _constants_are_used,
    _constants_mean_something,
    _resources_are_of_arms,
    _seeds_can_show_something,
)
"""In the order in which what they find is told."""
