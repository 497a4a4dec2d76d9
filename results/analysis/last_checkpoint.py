"""What the curves of evaluation trials say: the last checkpoint against the best one, and how good the detector ended up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from results.records.cell_records import CellRecords
from results.statistics.paired import MeanInterval, bounded_mean

DETECTOR_METRICS: Mapping[str, str] = {
    "detector_auroc": "AUROC",
    "detector_precision": "precision",
    "detector_recall": "recall",
}
_AUROC_OF, _RECALL_OF = "detector_auroc_", "detector_recall_"
"""Begin the names of metrics of one generator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """The last validation error of evaluation trials against the lowest along their curves. Errors in percent.

    Trials here are judged by their last step. Who keeps the best checkpoint instead reports the lowest of several noisy
    values, and claims the difference without having earned it.
    """

    reports: tuple[int, int]
    """The fewest and the most values that a curve has: the lowest is the lowest of so many."""
    last: float
    """Mean over seeds."""
    lowest: float
    """Mean over seeds."""
    by_seed: tuple[tuple[int, float], ...]
    """(seed, last minus lowest), which is never below zero."""
    flattery: MeanInterval
    """Mean and interval of these, in percentage points."""
    at_last: int
    """Seeds whose last value is the lowest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorQuality:
    """How well an arm told synthetic images from real ones at the last step: means over seeds, 0 to 1, synthetic is positive."""

    auroc: MeanInterval | None
    precision: MeanInterval | None
    """Over seeds in which the detector called at least one image synthetic."""
    recall: MeanInterval | None
    seeds: int
    """Evaluation trials that have at least one of the three."""
    by_generator: Mapping[str, tuple[MeanInterval | None, MeanInterval | None]] = field(default_factory=dict)
    """AUROC and recall with the images of one generator alone beside the real ones, where there are several generators."""


def checkpoints(cell: CellRecords) -> Checkpoints | None:
    """Compare a cell's last checkpoints with its best ones; None where no evaluation trial has a curve of two values."""
    found = ((r.seed, r.curves.get("val_error", ())) for r in cell.measured)  # unpacked once each
    curves = {seed: [float(v) for _, v in curve] for seed, curve in found if len(curve) > 1}
    if not curves:
        return None
    gaps = {seed: values[-1] - min(values) for seed, values in curves.items()}
    lengths = [len(values) for values in curves.values()]
    n = len(curves)
    return Checkpoints(
        reports=(min(lengths), max(lengths)),
        last=sum(values[-1] for values in curves.values()) / n,
        lowest=sum(min(values) for values in curves.values()) / n,
        by_seed=tuple(gaps.items()),
        flattery=bounded_mean(list(gaps.values()), 0.0, 100.0),
        at_last=sum(not gap for gap in gaps.values()),
    )


def detector_quality(cell: CellRecords) -> DetectorQuality | None:
    """A cell's detector at the last step; None for an arm without one, and where no unlabelled image is synthetic."""
    found = [r.metrics for r in cell.measured if any(name in r.metrics for name in DETECTOR_METRICS)]
    if not any("detector_recall" in metrics for metrics in found):
        return None

    def mean(name: str) -> MeanInterval | None:
        values = [float(metrics[name]) for metrics in found if name in metrics]
        return bounded_mean(values, 0.0, 1.0) if values else None

    generators = dict.fromkeys(
        name.removeprefix(_RECALL_OF) for metrics in found for name in metrics if name.startswith(_RECALL_OF)
    )
    return DetectorQuality(
        auroc=mean("detector_auroc"),
        precision=mean("detector_precision"),
        recall=mean("detector_recall"),
        seeds=len(found),
        by_generator={g: (mean(f"{_AUROC_OF}{g}"), mean(f"{_RECALL_OF}{g}")) for g in sorted(generators)},
    )
