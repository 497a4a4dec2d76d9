"""What a study's data and conditions must fulfil: datasets and generators that exist, sizes that fit, conditions that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import trainables.data
from orchestrator.check.rules import repeated, rule
from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.design.conditions import SECTIONS, changes_of, make_condition
from orchestrator.study.type_messages import Finding, findings
from orchestrator.study.yaml_source import KeyPath, describe
from trainables.data import dataset_of, is_dataset, is_generator, size_problem
from trainables.data.datasets import FOLDER_NAME, DatasetDamaged, DatasetMissing, ImageFolder
from trainables.data.seed_block import load_dataset

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

MOST_CONDITIONS = 10_000


@rule("data.dataset")
def _dataset_exists(study: StudySpec) -> Iterator[Finding]:
    name = study.data.dataset
    if not is_dataset(name):
        yield Finding(("data", "dataset"), _no_dataset(name))


@rule("data.dataset", data=True)
def _dataset_is_here(study: StudySpec) -> Iterator[Finding]:
    problem = _unreadable(study.data.dataset)
    if problem:
        yield Finding(("data", "dataset"), problem)


@rule("data.generators")
def _generators_exist(study: StudySpec) -> Iterator[Finding]:
    for i, name in enumerate(study.data.generators):
        if not is_generator(name):
            yield Finding(("data", "generators", i), no_generator(name), ("data", "generators"))
    yield from repeated(study.data.generators, ("data", "generators"))


@rule("data.generators", "data.contamination", "conditions")
def _contamination_needs_generators(study: StudySpec) -> Iterator[Finding]:
    if study.data.contamination > 0 and not study.data.generators and not study.conditions:
        message = f"contamination is {study.data.contamination}, but there is no generator; name one, or set it to 0"
        yield Finding(("data", "generators"), message)


@rule("data", "conditions")
def _dataset_is_large_enough(study: StudySpec) -> Iterator[Finding]:
    if study.conditions or not is_dataset(study.data.dataset):
        return
    problem = size_problem(study.data)
    if problem:
        yield Finding(("data", "labels_per_class"), problem, ("data",))


@rule("data", "training", "conditions.*", data=True)
def _conditions_datasets_are_here(study: StudySpec) -> Iterator[Finding]:
    seen = {study.data.dataset}
    for at, changes in entries(study):
        name = changes.get("data.dataset", study.data.dataset)
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            problem = _unreadable(name)
            if problem:
                yield Finding(at, problem, ("conditions",))


@rule("data", "training", "conditions.*")
def _conditions_fit(study: StudySpec) -> Iterator[Finding]:
    if isinstance(study.conditions, dict):
        total = 1
        for values in study.conditions.values():
            total *= len(values)
        if total > MOST_CONDITIONS:
            yield Finding(("conditions",), f"the grid has {total:,} conditions; at most {MOST_CONDITIONS:,}")
            return
    wrong = list(_unknown_fields(study))
    yield from wrong
    if wrong:
        return
    names: dict[str, tuple[int, str]] = {}
    reported: set[tuple[KeyPath, str]] = set()
    for number, (at, changes) in enumerate(entries(study), start=1):
        for finding in _condition_problems(study, at, changes):
            if (finding.at, finding.message) not in reported:
                reported.add((finding.at, finding.message))
                yield finding
        if reported:
            continue
        condition = make_condition(study.data, study.training, changes)
        name, dataset = condition.info.name, condition.data.dataset
        earlier, its_dataset = names.setdefault(name, (number, dataset))
        if its_dataset != dataset:
            message = (
                f"{its_dataset} and {dataset} have the same name, by which tables tell them apart; rename one folder"
            )
            yield Finding(at, message, ("conditions",))
        elif earlier != number:
            yield Finding(
                at, f"condition {number} is the same as condition {earlier} ({name}); keep one", ("conditions",)
            )


def _unknown_fields(study: StudySpec) -> Iterator[Finding]:
    known = [f"{section}.{name}" for section, spec in SECTIONS.items() for name in spec.model_fields]
    entries = [study.conditions] if isinstance(study.conditions, dict) else study.conditions
    for i, entry in enumerate(entries):
        at: KeyPath = ("conditions",) if isinstance(study.conditions, dict) else ("conditions", i)
        for field in entry:
            if field == "title" and not isinstance(study.conditions, dict):
                if not isinstance(entry[field], str) or not entry[field]:
                    yield Finding((*at, field), f"expected text, got {describe(entry[field])}", ("conditions",))
            elif field not in known:
                yield Finding((*at, field), f"no field {quoted(field)}{did_you_mean(field, known)}", ("conditions",))


def entries(study: StudySpec) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Each condition's changes with the place where they are written."""
    for i, changes in enumerate(changes_of(study.conditions)):
        yield (("conditions",) if isinstance(study.conditions, dict) else ("conditions", i)), dict(changes)


def _condition_problems(study: StudySpec, at: KeyPath, changes: dict[str, Any]) -> Iterator[Finding]:
    """What is wrong with one condition, at the field that is wrong."""
    for field, value in changes.items():
        section, _, name = field.partition(".")
        if section not in SECTIONS:
            continue
        try:
            make_condition(study.data, study.training, {field: value})
        except ValidationError as error:
            for finding in findings(error, SECTIONS[section]):
                yield Finding((*at, field), f"{name}: {finding.message}", ("conditions",))
            return
    data = make_condition(study.data, study.training, changes).data
    place = (*at, next((f for f in changes if f.startswith("data.")), "")) if changes else at
    if not is_dataset(data.dataset):
        yield Finding(place, _no_dataset(data.dataset), ("conditions",))
        return
    for generator in data.generators:
        if not is_generator(generator):
            yield Finding(place, no_generator(generator), ("conditions",))
            return
    if data.contamination > 0 and not data.generators:
        message = f"contamination is {data.contamination}, but there is no generator; name one, or set it to 0"
        yield Finding(place, message, ("conditions",))
    problem = size_problem(data)
    if problem:
        yield Finding(place, problem, ("conditions",))


def _no_dataset(name: str) -> str:
    return f"no dataset {quoted(name)}{did_you_mean(name, [*trainables.data.DATASETS, FOLDER_NAME])}"


def no_generator(name: str) -> str:
    """What is said of a name that no generator has."""
    return f"no generator {quoted(name)}{did_you_mean(name, [*trainables.data.GENERATORS, FOLDER_NAME])}"


def _unreadable(name: str) -> str | None:
    """Why this machine cannot read the dataset; None where it can, or where there is no such dataset.

    The images of a folder are read in whole, for anything may be in it; they stay in memory for the plan.
    """
    if not is_dataset(name):
        return None
    dataset = dataset_of(name)
    if reason := dataset.missing():
        return reason
    if isinstance(dataset, ImageFolder):
        try:
            load_dataset(name)
        except (DatasetMissing, DatasetDamaged) as problem:
            return str(problem)
    return None


RULES = (
    _dataset_exists,
    _dataset_is_here,
    _generators_exist,
    _contamination_needs_generators,
    _dataset_is_large_enough,
    _conditions_datasets_are_here,
    _conditions_fit,
)
"""In the order in which what they find is told."""
