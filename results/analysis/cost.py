"""What trials took in time and energy. It depends on the machines, so it is no part of a study's answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from results.records.cell_records import CellRecords
from results.records.manifest import ArmInfo, StudyManifest
from results.records.trial_record import TrialRecord

GPU_DEVICES = "cuda"
"""How the name of a device that is a GPU begins."""
GPU_ENERGY = "gpu_energy_wh"
"""Metric: watt-hours that a trial took of its GPU, by the GPU's own counter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Time of trials that count, in seconds; of failed ones what they took before."""

    trials: int
    """Those that trained; suggestions that took an earlier outcome over cost nothing."""
    steps: int
    tuning_seconds: float
    """Training and validation while tuning, confirmation included."""
    evaluation_seconds: float
    setup_seconds: float
    """Before the first step: images, views and weights."""
    gpu_seconds: float
    """Of all these, on a GPU, times the share of it that the trial held where the study says that."""
    whole_gpus: bool
    """Whether some trial on a GPU counts with a whole one because its share is not known."""
    watt_hours: float
    """Of those trials whose GPU counts its energy."""
    metered: int
    """How many these are."""

    @property
    def seconds(self) -> float:
        """Training and validation, in all phases."""
        return self.tuning_seconds + self.evaluation_seconds


def cost(cell: CellRecords, share: float | None) -> Cost:
    """Add up a cell's trials.

    Args:
        cell: Its records.
        share: GPUs that each of its trials held; None where that is not known.
    """
    tuning = [r for r in (*cell.tuning, *cell.confirmation) if r.same_as is None]
    every = [*tuning, *cell.evaluation]
    metered = [r for r in every if GPU_ENERGY in r.metrics]
    on_gpu = [r for r in every if r.device.startswith(GPU_DEVICES)]
    return Cost(
        trials=len(every),
        steps=sum(r.steps for r in every),
        tuning_seconds=_seconds(tuning),
        evaluation_seconds=_seconds(cell.evaluation),
        setup_seconds=math.fsum(r.setup_seconds for r in every),
        gpu_seconds=math.fsum(r.seconds + r.setup_seconds for r in on_gpu) * (1.0 if share is None else share),
        whole_gpus=bool(on_gpu) and share is None,
        watt_hours=math.fsum(r.metrics[GPU_ENERGY] for r in metered),
        metered=len(metered),
    )


def total(costs: Iterable[Cost]) -> Cost:
    """Several cells together."""
    found = list(costs)
    return Cost(
        trials=sum(c.trials for c in found),
        steps=sum(c.steps for c in found),
        tuning_seconds=math.fsum(c.tuning_seconds for c in found),
        evaluation_seconds=math.fsum(c.evaluation_seconds for c in found),
        setup_seconds=math.fsum(c.setup_seconds for c in found),
        gpu_seconds=math.fsum(c.gpu_seconds for c in found),
        whole_gpus=any(c.whole_gpus for c in found),
        watt_hours=math.fsum(c.watt_hours for c in found),
        metered=sum(c.metered for c in found),
    )


def gpu_share(manifest: StudyManifest, arm: ArmInfo) -> float | None:
    """GPUs that a trial of the arm asks for; None where the study leaves it open (`gpus: auto`), or does not say."""
    resources = _mapping(manifest.settings.get("resources"))
    own = _mapping(resources.get("arms"))
    asked = [_mapping(own.get(name)).get("gpus") for name in (arm.name, arm.algorithm)]
    said = next((gpus for gpus in (*asked, resources.get("gpus")) if gpus is not None), None)
    return float(said) if isinstance(said, int | float) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _seconds(records: Iterable[TrialRecord]) -> float:
    return math.fsum(r.seconds for r in records)
