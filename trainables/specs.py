"""What a trial is, completely: data, training, algorithm, hyperparameters, seed, phase; and its content hash."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trainables.configuration import Configuration, content_hash

Phase = Literal["tune", "evaluate"]
Precision = Literal["float32", "bfloat16"]
NetworkName = Literal["small-cnn", "wrn-28-2", "wrn-28-8", "resnet18", "resnet34", "resnet50"]
NETWORKS: dict[NetworkName, str] = {
    "small-cnn": "four convolutions, 61 thousand weights; for images of 8 to 64 pixels",
    "wrn-28-2": "WideResNet-28-2, 1.5 million weights (Zagoruyko and Komodakis 2016, arXiv:1605.07146)",
    "wrn-28-8": "WideResNet-28-8, 23 million weights (Zagoruyko and Komodakis 2016, arXiv:1605.07146)",
    "resnet18": "torchvision's ResNet-18, 11 million weights (He et al. 2016, arXiv:1512.03385)",
    "resnet34": "torchvision's ResNet-34, 21 million weights (He et al. 2016, arXiv:1512.03385)",
    "resnet50": "torchvision's ResNet-50, 24 million weights (He et al. 2016, arXiv:1512.03385)",
}
"""Backbones, all normalised by group; how they are made is in `networks.py`."""
FOLDER_PREFIX = "folder:"
"""Begins the name of a dataset or generator that is a folder of images."""

FAULT_FIELDS = ("few_modes", "semantic_drift", "uneven_quality", "domain_gap")
"""Fields of `DataSpec` that say how strong a fault of the generators is, 0 to 1; what each does is in `data/faults.py`."""


def folder_of(name: str) -> str | None:
    """PATH of a dataset or generator called `folder:PATH`; None for one with another name, and where PATH is empty."""
    path = name.removeprefix(FOLDER_PREFIX)
    return path if path != name and path.strip() else None


def without_place(name: str) -> str:
    """The name of a dataset or generator by which records know it: of a folder, its own name and not where it is."""
    path = folder_of(name)
    return f"{FOLDER_PREFIX}{PurePath(path).name}" if path else name


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Each name without its place; of several that are then the same, all but the first have a number."""
    short = [without_place(name) for name in names]
    seen = [short[:i].count(name) for i, name in enumerate(short)]
    return tuple(f"{name}-{before + 1}" if before else name for name, before in zip(short, seen, strict=True))


def _absolute(name: str) -> str:
    path = folder_of(name)
    return f"{FOLDER_PREFIX}{os.path.abspath(path)}" if path else name  # noqa: PTH100  a Path keeps `..`


class DataSpec(Configuration):
    """One data condition. A seed block cuts the dataset into disjoint parts of these sizes, see `data/splits.py`."""

    dataset: str = Field(description="A name from `ablate list datasets`, or folder:PATH")
    """The path of a folder is made absolute, since other processes look for it from elsewhere."""
    labels_per_class: int = Field(4, ge=1, le=100_000, description="Labelled images of each class, all real")
    validation_per_class: int | None = Field(
        None, ge=1, le=100_000, description="Validation images of each class; as many as labelled ones unless given"
    )
    contamination: float = Field(
        0.5,
        ge=0,
        le=0.95,
        description="Synthetic share of the unlabelled pool; real images stay, synthetic ones are added",
    )
    generators: tuple[str, ...] = Field(
        ("vae", "flow"), description="Names from `ablate list generators`, or folder:PATH; each makes an equal share"
    )
    unlabelled_real: int | None = Field(
        None, ge=0, le=10_000_000, description="Real unlabelled images; all that are left unless given"
    )
    class_skew: float = Field(
        1.0,
        ge=1,
        le=1000,
        description="How many times as many synthetic images the commonest class has as the rarest; which is which, the seed says",
    )
    few_modes: float = Field(0.0, ge=0, le=1, description="Share of synthetic images that repeat a few of their class")
    semantic_drift: float = Field(
        0.0, ge=0, le=1, description="Share of synthetic images that are only half of the class they were asked for"
    )
    uneven_quality: float = Field(0.0, ge=0, le=1, description="Share of synthetic images that are blurred or noisy")
    domain_gap: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How far the synthetic images' style is from the real ones': framing, tone, texture",
    )

    @field_validator("generators", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("dataset")
    @classmethod
    def _dataset_from_anywhere(cls, value: str) -> str:
        return _absolute(value)

    @field_validator("generators")
    @classmethod
    def _generators_from_anywhere(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_absolute, value))

    def identity(self) -> dict[str, Any]:
        """All that the data's part of an outcome depends on, as JSON values: a folder counts by its name, not its place.

        What is in the folders counts too, by the fingerprint that a trial carries beside it. Without synthetic images, how they
        would be made counts for nothing.
        """
        values = {**self.values(), "dataset": without_place(self.dataset)}
        if not self.contamination:
            return {**values, "generators": [], "class_skew": 1.0, **dict.fromkeys(FAULT_FIELDS, 0.0)}
        return {**values, "generators": [without_place(g) for g in self.generators]}

    @property
    def faults(self) -> dict[str, float]:
        """Strength of each fault of the generators, by name."""
        return {name: getattr(self, name) for name in FAULT_FIELDS}

    @property
    def validation_size(self) -> int:
        """Validation images of each class."""
        return self.labels_per_class if self.validation_per_class is None else self.validation_per_class


class TrainingSpec(Configuration):
    """The training loop's settings, the same for every arm."""

    network: NetworkName = Field("small-cnn", description="Backbone, a name from `ablate list networks`")
    steps: int = Field(400, ge=1, le=10_000_000, description="Optimiser steps of a full trial")
    reports: int = Field(10, ge=1, le=10_000, description="Validations, evenly spaced; the last one at the last step")
    batch_size: int = Field(16, ge=1, le=65_536, description="Labelled images a step")
    unlabelled_ratio: int = Field(4, ge=1, le=1024, description="μ: unlabelled images a step for each labelled one")
    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum of SGD")
    average_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the averaged weights that are evaluated")
    precision: Precision = Field(
        "float32", description="What networks compute in; weights and losses are float32 anyway"
    )
    compiled: bool = Field(
        False, description="Have torch.compile fuse the networks: a minute at the start, for long trials on a GPU"
    )
    dense: bool = Field(
        False, description="Pass all views in one batch, as the papers write it, in place of those that a loss uses"
    )

    def report_steps(self) -> tuple[int, ...]:
        """Steps after which a trial validates, increasing; the last is `steps`."""
        n = min(self.reports, self.steps)
        return tuple(round(self.steps * (i + 1) / n) for i in range(n))


class Stage(Configuration):
    """A stretch of a trial's steps with hyperparameters of its own."""

    until: int = Field(ge=1)
    """The step after which it ends: a report step."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Hyperparameters that differ from those of the stage before; may be empty."""


class TrialSpec(Configuration):
    """One training run. Two trials with the same `trial_id` have the same outcome on one kind of device."""

    algorithm: str
    off: tuple[str, ...] = ()
    """Components that are off, sorted, dependents included."""
    hyperparameters: dict[str, Any]
    """The algorithm's complete configuration."""
    data: DataSpec
    training: TrainingSpec
    seed: int = Field(ge=0)
    phase: Phase
    threads: int = Field(1, ge=1)
    """CPU threads of torch; another number adds in another order, and so gives other last bits."""
    search: str = ""
    """Hash of the search that suggested a tuning trial; empty for evaluation, which does not depend on it."""
    stop_above: tuple[tuple[int, float], ...] = ()
    """Early stopping, fixed at the start: (step, validation error in percent); a trial above it then ends there."""
    fingerprint: str
    """Hash of the dataset's images and labels, and of those in folders that stand for generators."""
    source: str
    """Hash of the source that the algorithm's outcome depends on, see `source.py`."""
    environment: str = ""
    """Versions that could change the outcome, see `environment.py`; empty where any will do."""
    stages: tuple[Stage, ...] = ()
    """Hyperparameters over time: the first stage trains with `hyperparameters`, each later one changes some of them, and
    the trial ends with its last stage. Without stages, one set of hyperparameters serves all steps."""

    @field_validator("off", "stop_above", "stages", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(tuple(v) if isinstance(v, list) else v for v in value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _stages_follow_each_other(self) -> Self:
        if not self.stages:
            return self
        ends, reports = [s.until for s in self.stages], self.training.report_steps()
        if ends != sorted(set(ends)):
            raise ValueError(f"stages: each ends after the one before; got ends at {ends}")
        for end in ends:
            if end not in reports:
                raise ValueError(f"stages: a stage ends where the trial validates, at one of {reports}; got {end}")
        if self.stages[0].changes:
            raise ValueError("stages: the first one has nothing to change; put its values into hyperparameters")
        unknown = {name for s in self.stages for name in s.changes} - set(self.hyperparameters)
        if unknown:
            raise ValueError(f"stages: {', '.join(sorted(unknown))} not among the hyperparameters")
        if self.phase == "evaluate" and ends[-1] != self.training.steps:
            raise ValueError(
                f"stages: an evaluation trains all {self.training.steps} steps, and these end at {ends[-1]}"
            )
        return self

    @property
    def until(self) -> int:
        """The step after which the trial ends."""
        return self.stages[-1].until if self.stages else self.training.steps

    def hyperparameters_at(self, step: int) -> dict[str, Any]:
        """The algorithm's complete configuration in `step` (from 0)."""
        values = dict(self.hyperparameters)
        for before, stage in pairwise(self.stages):
            if before.until <= step:
                values |= stage.changes
        return values

    def parent(self) -> TrialSpec | None:
        """The trial that is this one without its last stage; None where there is no earlier stage.

        Its final state is this trial's state at that step, to the bit.
        """
        return self.model_copy(update={"stages": self.stages[:-1]}) if len(self.stages) > 1 else None

    def followed_by(self, until: int, changes: Mapping[str, Any]) -> TrialSpec:
        """The trial that goes on from this one's end to `until` with some hyperparameters changed.

        Raises ValueError where this trial already trains all steps, or the new stage breaks a rule.
        """
        stages = (*(self.stages or (Stage(until=self.until),)), Stage(until=until, changes=dict(changes)))
        return TrialSpec(
            **{name: getattr(self, name) for name in type(self).model_fields if name != "stages"}, stages=stages
        )

    @cached_property
    def trial_id(self) -> str:
        """Content hash over all that can change the outcome."""
        return content_hash({**self.values(), "data": self.data.identity()})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Pydantic's copy, without the `trial_id` that the original may have worked out already."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("trial_id", None)
        return copy
