"""What a study's search must fulfil: spaces, ranges and samplers that exist and fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import search_spaces
import trainables.data
from orchestrator.check.design_rules import value_findings
from orchestrator.check.rules import repeated, rule, unknown
from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.study.sections import OBJECTIVES
from orchestrator.study.type_messages import Finding
from orchestrator.study.yaml_source import KeyPath, describe
from results.records.constraints import parse_constraint
from search_spaces import Choice, Range, contains, parse_range
from trainables.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

MOST_GRID_POINTS = 100_000
LABELS = "data.labels_per_class"
DATA_FIELDS = frozenset({LABELS})
"""Fields of the data condition that a search may choose."""
ONE_OBJECTIVE = frozenset({"cma-es"})


@rule("search.spaces")
def _spaces_exist(study: StudySpec) -> Iterator[Finding]:
    yield from unknown(study.search.spaces, search_spaces.GROUPS, ("search", "spaces"), "search space")
    yield from repeated(study.search.spaces, ("search", "spaces"))


@rule("search.spaces", "search.trials", "search.ranges")
def _search_has_a_space(study: StudySpec) -> Iterator[Finding]:
    if study.search.trials and not study.search.spaces and not study.search.ranges:
        known = ", ".join(search_spaces.GROUPS)
        message = (
            f"{study.search.trials} trials have nothing to search; name a space ({known}), or set search.trials to 0"
        )
        yield Finding(("search", "spaces"), message)


@rule("search.ranges.*", "method", "baselines")
def _ranges_are_ranges(study: StudySpec) -> Iterator[Finding]:
    for name, value in study.search.ranges.items():
        at: KeyPath = ("search", "ranges", name)
        users = _users(study, name)
        if not users and name not in DATA_FIELDS:
            yield from _nobody_has(study, name, at, ("search", "ranges"))
            continue
        try:
            found = parse_range(value)
        except ValueError as problem:
            yield Finding(at, str(problem), at)
            continue
        ends = found.values if isinstance(found, Choice) else (found.low, found.high)
        for end in ends:
            for algorithm in users:
                wrong = list(value_findings(algorithm, {name: end}, at, ("search", "ranges")))
                yield from wrong[:1]
                if wrong:
                    break


@rule("search.grid.*", "search.sampler", "method", "baselines")
def _grid_holds_values(study: StudySpec) -> Iterator[Finding]:
    grid, at = study.search.grid, ("search", "grid")
    if grid and study.search.sampler != "grid":
        yield Finding(at, "is for sampler: grid; name that sampler, or remove the grid")
        return
    for name, values in grid.items():
        users = _users(study, name)
        if not users and name not in DATA_FIELDS:
            yield from _nobody_has(study, name, (*at, name), at)
        for i, value in enumerate(values):
            for algorithm in users[:1]:
                yield from value_findings(algorithm, {name: value}, (*at, name, i), at)
        if not values or len({repr(v) for v in values}) < len(values):
            yield Finding((*at, name), "expected a list of different values", at)


@rule("search", "method", "baselines", "components", "hyperparameters", derives=True)
def _grid_covers_the_space(study: StudySpec) -> Iterator[Finding]:
    grid, at = study.search.grid, ("search", "grid")
    if study.search.sampler != "grid" or not study.search.trials:
        return
    wanted = {*study.searched(study.method, study.off), *(n for a in study.baselines for n in study.searched(a))}
    for name in grid:
        if name not in wanted:
            message = "is searched by no arm of this study; name a space or a range that has it, or remove it"
            yield Finding((*at, name), message)
    missing = sorted(wanted - set(grid))
    if missing:
        yield Finding(
            at, f"has no values of {', '.join(missing)}, which the study searches; add them, or name fewer spaces"
        )
    points = 1
    for values in grid.values():
        points *= max(len(values), 1)
    if points > MOST_GRID_POINTS:
        yield Finding(at, f"has {points:,} points; at most {MOST_GRID_POINTS:,}")


@rule("search.objectives", "search.sampler", "search.early_stopping", "search.confirm")
def _objectives_fit(study: StudySpec) -> Iterator[Finding]:
    search, at = study.search, ("search", "objectives")
    yield from unknown(search.objectives, OBJECTIVES, at, "objective")
    yield from repeated(search.objectives, at)
    if not search.objectives or search.objectives[0] in set(OBJECTIVES) - {"val_error"}:
        yield Finding(at, "starts with val_error, by which a configuration is chosen; others follow it")
    if len(search.objectives) < 2:
        return
    if search.sampler in ONE_OBJECTIVE:
        yield Finding(
            ("search", "sampler"), f"{search.sampler} takes one objective; use tpe, gp or nsga-ii for several"
        )
    if search.early_stopping.rule != "none":
        message = (
            "with several objectives no trial is stopped for its error alone; write `early_stopping: {rule: none}`"
        )
        yield Finding(("search", "early_stopping", "rule"), message, ("search", "early_stopping"))


@rule("search", "data", "conditions", "method", "baselines", "hyperparameters", derives=True)
def _labels_are_searched_and_there(study: StudySpec) -> Iterator[Finding]:
    labels = study.searched(study.method).get(LABELS)
    if labels is None:
        if "labels" in study.search.objectives and study.search.trials:
            message = "labels is the same in every trial; add the search space 'labels', or remove the objective"
            yield Finding(("search", "objectives"), message)
        return
    at: KeyPath = ("search", "ranges") if LABELS in study.search.ranges else ("search", "spaces")
    counts = labels.values if isinstance(labels, Choice) else (labels.low, labels.high)
    whole = [n for n in counts if isinstance(n, int) and not isinstance(n, bool) and n >= 1]
    if len(whole) < len(counts):
        yield Finding(at, f"{LABELS}: expected whole numbers from 1 on")
        return
    most = max(whole)
    if trainables.data.is_dataset(study.data.dataset) and not study.conditions:
        changes = {"labels_per_class": most, "validation_per_class": study.data.validation_size}
        problem = trainables.data.size_problem(study.data.model_copy(update=changes))
        if problem:
            yield Finding(at, f"{LABELS} up to {most}: {problem}")


@rule("search.constraints")
def _constraints_are_bounds(study: StudySpec) -> Iterator[Finding]:
    at: KeyPath = ("search", "constraints")
    for i, text in enumerate(study.search.constraints):
        try:
            parse_constraint(text)
        except ValueError as problem:
            yield Finding((*at, i), str(problem), at)
    metrics = [text.split("<=")[0].split(">=")[0].strip() for text in study.search.constraints]
    if len(set(metrics)) < len(metrics):
        yield Finding(at, "one bound for each metric; a metric is named twice")


@rule("search.start", "method", "baselines")
def _starts_are_configurations(study: StudySpec) -> Iterator[Finding]:
    for i, start in enumerate(study.search.start):
        at: KeyPath = ("search", "start", i)
        for name, value in start.items():
            users = _users(study, name)
            if not users and name not in DATA_FIELDS:
                yield from _nobody_has(study, name, at, ("search", "start"))
            for algorithm in users[:1]:
                yield from value_findings(algorithm, {name: value}, at, ("search", "start"))


@rule("search", "method", "baselines", "components", "hyperparameters", derives=True)
def _starts_are_searched(study: StudySpec) -> Iterator[Finding]:
    if not study.search.start or not study.search.trials:
        return
    if study.search.sampler == "grid":
        yield Finding(("search", "start"), "a grid begins with the defaults anyway; remove the key")
        return
    spaces = [study.searched(study.method, study.off), *(study.searched(a) for a in study.baselines)]
    for i, start in enumerate(study.search.start):
        at: KeyPath = ("search", "start", i)
        for name, value in start.items():
            ranges = [space[name] for space in spaces if name in space]
            if not ranges:
                message = (
                    f"{name} is searched by no arm of this study; name a space or a range that has it, or remove it"
                )
                yield Finding(at, message, ("search", "start"))
            elif not contains(ranges[0], value):
                message = f"{name}: {quoted(value)} is not in the range that is searched, {_range_text(ranges[0])}"
                yield Finding(at, message, ("search", "start"))


@rule(
    "training",
    "search.strategy",
    "search.early_stopping",
    "search.mode",
    "search.warm_start",
    "search.sampler",
    "search.population",
    "search.objectives",
)
def _strategy_fits(study: StudySpec) -> Iterator[Finding]:
    search, at = study.search, ("search", "strategy")
    if search.early_stopping.rule == "asha" and search.strategy != "asynchronous":
        message = "asha decides while trials run; it needs `strategy: asynchronous`, or use quantile"
        yield Finding(("search", "early_stopping", "rule"), message, ("search", "early_stopping"))
    if search.strategy == "asynchronous" and search.sampler == "grid":
        yield Finding(at, "a grid has nothing to wait for; use strategy: generations")
    if search.strategy == "population":
        if len(search.objectives) > 1:
            yield Finding(at, "population based training has one objective, the validation error")
        if search.trials == 1:
            yield Finding(("search", "trials"), "a population has two members or more")
        reports = min(study.training.reports, study.training.steps)
        if search.population.rounds > reports:
            message = f"{search.population.rounds} rounds need as many validations; training has {reports} reports"
            yield Finding(("search", "population", "rounds"), message, ("search", "population"))
        if search.mode != "retuned":
            message = "hyperparameters over time belong to one arm; with strategy: population the mode is retuned"
            yield Finding(("search", "mode"), message)
        if search.warm_start is not None:
            yield Finding(("search", "warm_start"), "a population learns from itself alone; remove it, or the strategy")


@rule("search.warm_start", "study")
def _warm_start_is_another_study(study: StudySpec) -> Iterator[Finding]:
    name = study.search.warm_start
    if name is None:
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) or ".." in name:
        yield Finding(("search", "warm_start"), f"expected the name of a study that has run, got {describe(name)}")
    elif name == study.study:
        yield Finding(
            ("search", "warm_start"), "a study goes on from its own ledger anyway; name another one, or remove it"
        )


def _range_text(found: Range) -> str:
    if isinstance(found, Choice):
        return f"one of {', '.join(map(str, found.values))}"
    return f"from {found.low} to {found.high}"


def _users(study: StudySpec, name: str) -> list[str]:
    return [
        a for a in (study.method, *study.baselines) if a in ALGORITHMS and name in ALGORITHMS[a].Config.model_fields
    ]


def _nobody_has(study: StudySpec, name: str, at: KeyPath, shown: KeyPath) -> Iterator[Finding]:
    algorithms: list[Any] = [ALGORITHMS[a] for a in (study.method, *study.baselines) if a in ALGORITHMS]
    if not algorithms:
        return
    known = sorted({field for a in algorithms for field in a.Config.model_fields})
    yield Finding(
        at, f"no algorithm of this study has a hyperparameter {quoted(name)}{did_you_mean(name, known)}", shown
    )


RULES = (
    _spaces_exist,
    _search_has_a_space,
    _ranges_are_ranges,
    _grid_holds_values,
    _grid_covers_the_space,
    _objectives_fit,
    _labels_are_searched_and_there,
    _constraints_are_bounds,
    _starts_are_configurations,
    _starts_are_searched,
    _strategy_fits,
    _warm_start_is_another_study,
)
"""In the order in which what they find is told."""
