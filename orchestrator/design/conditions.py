"""The conditions of a study: its `data` and `training`, and what `conditions` puts in place of their fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from orchestrator.study.spec import StudySpec
from results.records.manifest import ConditionInfo
from trainables.data import dataset_of
from trainables.specs import DataSpec, TrainingSpec, without_place

SECTIONS: dict[str, type[DataSpec] | type[TrainingSpec]] = {"data": DataSpec, "training": TrainingSpec}
IN_NAME = ("dataset", "labels_per_class", "contamination")
"""Data fields that every condition's name has."""

Changes = Mapping[str, Any]
"""Values by field: `data.contamination`, `training.steps`."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One column: what data and how trained."""

    data: DataSpec
    training: TrainingSpec
    changes: tuple[tuple[str, str], ...] = ()
    """What differs from the study's own `data` and `training`, beyond what every name has; as (field, text)."""
    title: str | None = None

    @cached_property
    def info(self) -> ConditionInfo:
        """Name, title and fields as the report shows them."""
        data = self.data
        percent = f"{100 * data.contamination:.10g}"
        dataset = dataset_of(data.dataset)
        name = f"{_plain(dataset.name)}-{data.labels_per_class}l-{percent.replace('.', '_')}s"
        title = f"{dataset.title}, {data.labels_per_class} labels per class, {percent}% synthetic"
        for place, text in self.changes:
            name += f"-{place.split('.')[-1]}={_slug(text)}"
            title += f", {place.split('.')[-1].replace('_', ' ')} {text}"
        return ConditionInfo(name=name, title=self.title or title, fields={**data.values(), **self.training.values()})


def infos(conditions: Sequence[Condition]) -> tuple[ConditionInfo, ...]:
    """What the report must know of a study's conditions, each with the one that has its real images and nothing else."""
    return tuple(replace(c.info, real_only=_real_only(c, conditions)) for c in conditions)


def _real_only(condition: Condition, among: Sequence[Condition]) -> str:
    if not condition.data.contamination:
        return ""
    alone = condition.data.model_copy(update={"contamination": 0.0}).identity()
    return next(
        (
            c.info.name
            for c in among
            if not c.data.contamination and c.data.identity() == alone and c.training == condition.training
        ),
        "",
    )


def changes_of(conditions: Mapping[str, tuple[Any, ...]] | tuple[Mapping[str, Any], ...]) -> Iterator[Changes]:
    """What each condition changes: every combination of a grid's values (the last field fastest), or the entries of a list."""
    if isinstance(conditions, Mapping):
        for combination in product(*conditions.values()):
            yield dict(zip(conditions, combination, strict=True))
    else:
        yield from conditions


def make_condition(data: DataSpec, training: TrainingSpec, changes: Changes) -> Condition:
    """The study's sections with some values replaced. Raises pydantic's ValidationError for a value out of range."""
    merged = {"data": dict(data), "training": dict(training)}
    for place, value in changes.items():
        section, _, name = place.partition(".")
        if section in merged:
            merged[section][name] = value
    made = Condition(data=DataSpec(**merged["data"]), training=TrainingSpec(**merged["training"]))
    base = {"data": data, "training": training}
    new = {"data": made.data, "training": made.training}
    differing = []
    for section, spec in base.items():
        for name in type(spec).model_fields:
            value = getattr(new[section], name)
            if value != getattr(spec, name) and not (section == "data" and name in IN_NAME):
                differing.append((f"{section}.{name}", _text(value)))
    return Condition(data=made.data, training=made.training, changes=tuple(differing), title=changes.get("title"))


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "+".join(without_place(str(v)) for v in value) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _plain(name: str) -> str:
    """A dataset's name with nothing in it that means something to a file system: a folder has the name that its user chose."""
    return re.sub(r"[^\w.-]+", "-", name)


def _slug(text: str) -> str:
    return re.sub(r"[^\w+-]+", "-", text.replace(".", "_").replace("/", "_"))


def conditions_of(study: StudySpec) -> tuple[Condition, ...]:
    """Every condition of the study, in order; its own `data` and `training` where it names none."""
    changes = list(changes_of(study.conditions)) or [{}]
    return tuple(make_condition(study.data, study.training, c) for c in changes)
