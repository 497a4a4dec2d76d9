"""What a study's ablation must fulfil: components and values that exist, and designs that have something to work on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from orchestrator.check.rules import repeated, rule
from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.design.arms import crossed_parts, derive_arms, parts_of
from orchestrator.design.fractional_factorial import MOST_FACTORS
from orchestrator.study.type_messages import Finding, findings
from orchestrator.study.yaml_source import KeyPath
from trainables.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

MOST_ARMS = 4096
NEEDS_COMPONENTS = frozenset({"leave-one-out", "add-one-in", "pairs"})
TAKES_ALTERNATIVES = frozenset({"one-at-a-time", "factorial"})
_REMEDY = "; write `ablation: {design: none}` for a study without ablation"


@rule("method", "components.*", "ablation.components")
def _components_asked_for_are_there(study: StudySpec) -> Iterator[Finding]:
    asked, at = study.ablation.components, ("ablation", "components")
    if study.method not in ALGORITHMS or asked == "all":
        return
    names = [c.name for c in ALGORITHMS[study.method].components]
    for i, name in enumerate(asked):
        if name not in names:
            message = f"no component {quoted(name)} in {study.method}{did_you_mean(name, names)}"
            yield Finding((*at, i), message, at)
        elif name in study.off:
            yield Finding((*at, i), f"component '{name}' is off in the full method; it cannot be left out again", at)
    yield from repeated(asked, at)


@rule("ablation.design", "ablation.arms.*")
def _custom_arms_are_written_out(study: StudySpec) -> Iterator[Finding]:
    if "custom" in study.ablation.design and not study.ablation.arms:
        yield Finding(("ablation", "design"), "design custom needs arms written out under `ablation.arms`")


@rule("method", "components", "ablation", derives=True)
def _designs_have_something_to_work_on(study: StudySpec) -> Iterator[Finding]:
    designs = set(study.ablation.design)
    if not designs & (NEEDS_COMPONENTS | TAKES_ALTERNATIVES):
        return
    names, asked = ALGORITHMS[study.method].components, study.ablation.components
    at: KeyPath = ("ablation", "components")
    parts = parts_of(study)
    alone = bool(designs & NEEDS_COMPONENTS) or not parts.alternatives
    if not names and alone:
        yield Finding(("method",), f"'{study.method}' has no components to leave out{_REMEDY}")
    elif asked != "all" and not asked and alone:
        yield Finding(at, f"names no component to leave out{_REMEDY}")
    elif not parts.about and alone:
        yield Finding(("ablation",), f"every component is off, there is none to leave out{_REMEDY}")
    elif "pairs" in designs and len(parts.about) < 2:
        yield Finding(("ablation", "design"), "pairs needs two components or more that are on")


@rule("ablation.design", "ablation.resolution")
def _a_resolution_is_of_a_factorial(study: StudySpec) -> Iterator[Finding]:
    if study.ablation.resolution != "full" and "factorial" not in study.ablation.design:
        yield Finding(
            ("ablation", "resolution"), "is of a factorial design; remove it, or add factorial to the designs"
        )


@rule("method", "components", "ablation", derives=True)
def _crossings_stay_small(study: StudySpec) -> Iterator[Finding]:
    if "factorial" not in study.ablation.design:
        return
    parts = crossed_parts(study)
    factors = len(parts.about) + len(parts.alternatives)
    if study.ablation.resolution != "full":
        several = [n for n, v in parts.alternatives.items() if len(v) > 1]
        if several:
            message = (
                f"a fraction takes one alternative of each hyperparameter, '{several[0]}' has more; or resolution: full"
            )
            yield Finding(("ablation", "alternatives", several[0]), message, ("ablation", "alternatives"))
        if factors > MOST_FACTORS:
            yield Finding(
                ("ablation", "resolution"), f"a fraction has at most {MOST_FACTORS} factors, these are {factors}"
            )
        return
    runs = 2 ** len(parts.about)
    for values in parts.alternatives.values():
        runs *= len(values) + 1
    if runs > MOST_ARMS:
        message = f"the full crossing has {runs:,} combinations, at most {MOST_ARMS:,}; name fewer components, or a resolution"
        yield Finding(("ablation", "design"), message)


@rule("method", "ablation.alternatives.*", "ablation.design", "hyperparameters")
def _alternatives_are_values(study: StudySpec) -> Iterator[Finding]:
    given, at = study.ablation.alternatives, ("ablation", "alternatives")
    if study.method not in ALGORITHMS or not given:
        return
    if not TAKES_ALTERNATIVES & set(study.ablation.design):
        yield Finding(at, "are for the designs one-at-a-time and factorial; name one of them, or remove them")
    for name, values in given.items():
        if not values:
            yield Finding((*at, name), "names no value; write a list of one or more", at)
        for i, value in enumerate(values):
            yield from _bad_value(study, name, value, (*at, name, i), at)
        distinct = {repr(v) for v in values}
        if len(distinct) < len(values):
            yield Finding((*at, name), "names a value twice; keep one", at)


@rule("method", "components", "ablation.arms.*", "hyperparameters")
def _written_arms_are_arms(study: StudySpec) -> Iterator[Finding]:
    if study.method not in ALGORITHMS:
        return
    names = [c.name for c in ALGORITHMS[study.method].components]
    taken = {a.name for a in ALGORITHMS.values()}
    for name, arm in study.ablation.arms.items():
        at: KeyPath = ("ablation", "arms", name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9._+=-]{0,63}", name) or ".." in name:
            message = "names an arm: a letter or digit, then up to 63 of a-z 0-9 . _ + = -"
            yield Finding(at, f"{message}; got {quoted(name)}", ("ablation", "arms"))
        elif name in taken:
            yield Finding(at, f"'{name}' is the name of an algorithm; choose another", ("ablation", "arms"))
        for i, component in enumerate(arm.without):
            if component not in names:
                near = did_you_mean(component, names)
                yield Finding((*at, "without", i), f"no component {quoted(component)} in {study.method}{near}", at)
        for field, value in arm.set.items():
            yield from _bad_value(study, field, value, (*at, "set", field), at)


@rule("ablation.arms")
def _written_arms_change_something(study: StudySpec) -> Iterator[Finding]:
    for name, arm in study.ablation.arms.items():
        if not arm.without and not arm.set:
            at: KeyPath = ("ablation", "arms", name)
            yield Finding(at, "changes nothing; give it `without` or `set`", ("ablation", "arms"))


@rule("method", "components", "ablation", "search", "hyperparameters", derives=True)
def _written_arms_have_names_of_their_own(study: StudySpec) -> Iterator[Finding]:
    written = study.ablation.arms
    if not written:
        return
    others = study.model_copy(update={"ablation": study.ablation.model_copy(update={"arms": {}})})
    derived = derive_arms(others)
    taken = {a.name for a in derived.arms} | {left.name for left in derived.left_out}
    for name in written:
        if name in taken or (name.endswith("-inherited") and name.removesuffix("-inherited") in {*taken, *written}):
            message = f"'{name}' is the name of an arm that the study has anyway; choose another"
            yield Finding(("ablation", "arms", name), message, ("ablation", "arms"))


def _bad_value(study: StudySpec, name: str, value: Any, at: KeyPath, shown: KeyPath) -> Iterator[Finding]:
    """What is wrong with a value of one of the method's hyperparameters."""
    config = ALGORITHMS[study.method].Config
    if name not in config.model_fields:
        near = did_you_mean(name, config.model_fields)
        yield Finding(at, f"{study.method} has no hyperparameter {quoted(name)}{near}", shown)
        return
    yield from value_findings(study.method, {name: value}, at, shown)


def value_findings(algorithm: str, values: Mapping[str, Any], at: KeyPath, shown: KeyPath) -> Iterator[Finding]:
    """Findings of the algorithm's configuration class, all placed at `at`."""
    config = ALGORITHMS[algorithm].Config
    try:
        config.model_validate(dict(values))
    except ValidationError as error:
        for finding in findings(error, config):
            yield Finding(at, f"{finding.at[0] if finding.at else ''}: {finding.message}", shown)


RULES = (
    _components_asked_for_are_there,
    _custom_arms_are_written_out,
    _designs_have_something_to_work_on,
    _a_resolution_is_of_a_factorial,
    _crossings_stay_small,
    _alternatives_are_values,
    _written_arms_are_arms,
    _written_arms_change_something,
    _written_arms_have_names_of_their_own,
)
"""In the order in which what they find is told."""
