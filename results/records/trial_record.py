"""What is known of one trial: the unit that the ledger keeps and every table is computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from trainables.numbers import LARGEST_NUMBER, is_usable

Phase = Literal["tune", "evaluate"]
Status = Literal["completed", "pruned", "failed"]

PHASES: tuple[Phase, ...] = ("tune", "evaluate")
STATUSES: tuple[Status, ...] = ("completed", "pruned", "failed")

Curve = Sequence[tuple[int, float]]

LARGEST_COUNT = 2**53
"""Up to there, floating-point numbers hold every whole one."""
LARGEST_SECONDS = 1e10
"""Three hundred years."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """One training run, written once and never changed.

    Errors (`val_error`, `test_error`) are in percent of misclassified images, 0 to 100. A metric that is
    not defined for a trial (the AUROC of an algorithm without a detector) is absent, never NaN.
    """

    trial_id: str
    """Content hash over everything that can change the outcome."""
    study: str
    cell: str
    """Identity of arm x condition, with data and training source."""
    arm: str
    condition: str
    algorithm: str
    phase: Phase
    search: str = ""
    """Identity of the search settings that a tuning trial belongs to; empty in the evaluate phase."""
    number: int
    """Place in the cell's search (tune) or among the evaluation seeds (evaluate), from 0."""
    seed: int
    """The seed block: splits, initial weights, batch order."""
    attempt: int = 0
    """How often this trial had been run, and had failed, before."""
    status: Status
    config: Mapping[str, Any]
    """Complete hyperparameters, searched or not, as JSON values."""
    suggested: Mapping[str, Any] = field(default_factory=dict)
    """The part of `config` that the search chose."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Last values: `val_error`, `val_loss`, in the evaluate phase `test_error`, and diagnostics."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Metric name to (step, value) pairs in increasing step order."""
    steps: int = 0
    seconds: float = 0.0
    """Time in training and validation."""
    setup_seconds: float = 0.0
    """From being handed to a process until the first step: images, views and weights."""
    wall_seconds: float = 0.0
    """From being handed to a process until its last report; after a resume, of the last process alone."""
    started_at: datetime
    """When it was handed to its process, in UTC."""
    host: str = ""
    process: int = 0
    device: str = "cpu"
    versions: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)
    """`commit`, `dirty` and `source` (hash of the training source)."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """`dataset`, `fingerprint`, sizes of the parts, and the hash of each synthetic pool."""
    error: str | None = None
    """Why the trial failed, in one line."""
    log: str | None = None
    """Where a failed trial's traceback is, relative to the study's folder."""
    same_as: str | None = None
    """trial_id of the earlier trial with the same suggestion, whose outcome this one takes over without training."""

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f"phase: {self.phase!r} is not one of {', '.join(PHASES)}")
        if self.status not in STATUSES:
            raise ValueError(f"status: {self.status!r} is not one of {', '.join(STATUSES)}")
        if self.attempt < 0:
            raise ValueError(f"attempt: {self.attempt} is not a count of earlier runs; use 0 or more")
        if not 0 <= self.number <= LARGEST_COUNT or not 0 <= self.steps <= LARGEST_COUNT:
            raise ValueError(
                f"number {self.number} and steps {self.steps}: not both counts from 0 to {LARGEST_COUNT:.0e}"
            )
        if self.started_at.tzinfo is None:
            raise ValueError("started_at: needs a time zone; records are kept in UTC")
        if not EARLIEST <= self.started_at <= LATEST:
            raise ValueError(f"started_at: not from {EARLIEST.year} to {LATEST.year}, as clocks are")
        if not abs(self.seconds) + abs(self.setup_seconds) + abs(self.wall_seconds) <= LARGEST_SECONDS:
            raise ValueError(f"seconds, setup_seconds and wall_seconds are finite numbers up to {LARGEST_SECONDS:g}")
        values = self.metrics.values()
        if values and not (
            min(values) >= -LARGEST_NUMBER and max(values) <= LARGEST_NUMBER and math.isfinite(sum(values))
        ):
            bad = [name for name, value in self.metrics.items() if not is_usable(value)]
            raise ValueError(f"metrics: {', '.join(sorted(bad))} not finite; leave an undefined metric out")
