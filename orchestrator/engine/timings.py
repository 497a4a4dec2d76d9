"""How long trials take and how far they get, as a ledger's own records tell; where it has none, as a calibration measured.

A trial's time is `setup + steps · seconds a step + rest`: loading data and building weights, training with validation, and what
is left of the time from being handed to a process until its last report. All arithmetic here is on arrays of past trials, so that
a forecast can draw whole trials and an interval can be taken over what is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orchestrator.design.cell import Cell
from results.records.trial_record import TrialRecord
from trainables.specs import Phase

Array = NDArray[np.float64]

STOPPED_AT_BEST = 0.4
"""Share of the steps that tuning trials use where early stopping saves most: how far the interval reaches before any record."""
TICK_SECONDS = 1e-9
"""Of a clock: a record of less time says nothing of how long training takes."""
SMALLEST_DRIFT = 0.03
USUAL_SHARE = 0.75
"""Share of the steps that tuning trials use under a stopping rule, before any record says it: about what the median rule gave."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Past trials like the one that is asked for; one entry of each array per trial."""

    per_step: Array
    """Seconds a step, validation included."""
    setup: Array
    rest: Array
    source: str
    """What the trials have in common with the one asked for: cell, arm, algorithm, study, or calibration."""

    @property
    def measured(self) -> bool:
        """Whether they are trials of the same arm and condition."""
        return self.source in ("cell", "calibration")

    @cached_property
    def mean_step(self) -> float:
        """Mean seconds a step."""
        return float(self.per_step.mean())

    def seconds(self, steps: float) -> float:
        """Expected time of a trial of so many steps."""
        return float(np.median(self.setup)) + steps * self.mean_step + float(self.rest.mean())


@dataclass(frozen=True)
class Calibration:
    """What `ablate plan --calibrate` measured on one machine, see `orchestrator.forecast.calibration`."""

    host: str
    device: str
    source: str
    """Hash of the training source that was measured."""
    at_once: int
    """Trials that ran side by side while it measured."""
    per_step: Mapping[str, float]
    """Seconds a step by cell identity."""
    setup_seconds: float
    pool_seconds: float = 0.0
    """To make the pools of one seed block; 0 where none was missing."""
    checkpoint_bytes: int = 0


class TrialTimings:
    """Times of a study's trials.

    Args:
        records: Of the study's ledger, of any settings: a trial takes its time whether or not the plan still wants it.
        calibration: Used for cells that have no record of their own.
    """

    def __init__(self, records: Iterable[TrialRecord], calibration: Calibration | None = None) -> None:
        self._rows: dict[tuple[str, ...], list[tuple[float, float, float]]] = defaultdict(list)
        self._arms: dict[str, list[float]] = defaultdict(list)
        self._shares: dict[str, list[float]] = defaultdict(list)
        self._calibration = calibration
        self._known: dict[tuple[str, Phase], Sample | None] = {}
        self.records = [
            r
            for r in records
            if r.steps > 0 and r.seconds >= TICK_SECONDS and r.status != "failed" and r.same_as is None
        ]
        longest: dict[str, int] = defaultdict(int)
        for record in self.records:
            row = (
                record.seconds / record.steps,
                record.setup_seconds,
                max(record.wall_seconds - record.seconds - record.setup_seconds, 0.0),
            )
            for place in _keys(record.cell, record.arm, record.condition, record.algorithm, record.phase):
                self._rows[place].append(row)
            self._arms[record.arm].append(row[0])
            if record.status == "completed":
                longest[record.cell] = max(longest[record.cell], record.steps)
        for record in self.records:
            if record.phase == "tune" and longest[record.cell]:
                share = min(record.steps / longest[record.cell], 1.0)
                for key in (record.cell, ""):
                    self._shares[key].append(share)

    def __bool__(self) -> bool:
        return bool(self.records) or self._calibration is not None

    def sample(self, cell: Cell, phase: Phase) -> Sample | None:
        """The trials most like one of this cell and phase; None where nothing at all is known."""
        place = (cell.id, phase)
        if place not in self._known:
            self._known[place] = self._find(cell, phase)
        return self._known[place]

    def _find(self, cell: Cell, phase: Phase) -> Sample | None:
        measured = None if self._calibration is None else self._calibration.per_step.get(cell.id)
        arm = cell.arm
        keys = list(_keys(cell.id, arm.name, cell.condition.info.name, arm.algorithm, phase))
        for key in keys:
            if key[0] not in ("cell", "cell and phase") and measured is not None and self._calibration is not None:
                return Sample(
                    per_step=np.array([measured]),
                    setup=np.array([self._calibration.setup_seconds]),
                    rest=np.zeros(1),
                    source="calibration",
                )
            rows = self._rows.get(key)
            if rows:
                table = np.array(rows)
                return Sample(
                    per_step=table[:, 0], setup=table[:, 1], rest=table[:, 2], source=str(key[0]).split(" and ")[0]
                )
        return None

    def share_of_steps(self, cell: Cell) -> tuple[float, float, float]:
        """Share of its steps that a tuning trial of the cell uses on average: low, expected, high."""
        if cell.search.early_stopping.rule == "none":
            return 1.0, 1.0, 1.0
        for key in (cell.id, ""):
            shares = self._shares.get(key, [])
            if len(shares) >= 3:
                mean = float(np.mean(shares))
                error = 2 * float(np.std(shares, ddof=1)) / len(shares) ** 0.5
                return max(mean - error, 0.05), mean, min(mean + error, 1.0)
        return max(cell.search.early_stopping.after, STOPPED_AT_BEST), USUAL_SHARE, 1.0

    @cached_property
    def spread_between_arms(self) -> float:
        """Standard deviation of the logarithm of arms' mean seconds a step; 0.5 where fewer than three are known."""
        means = [float(np.mean(per_step)) for per_step in self._arms.values()]
        if self._calibration is not None:
            means += self._calibration.per_step.values()
        return max(float(np.std(np.log(means), ddof=1)), 0.05) if len(means) >= 3 else 0.5

    @cached_property
    def drift(self) -> float:
        """How much the machine's speed changed while the records were made: standard deviation of the logarithm over ten spans."""
        records = sorted(self.records, key=lambda r: r.started_at)
        if len(records) < 20:
            return 0.1
        means = {arm: float(np.mean(per_step)) for arm, per_step in self._arms.items()}
        relative = np.log([r.seconds / r.steps / means[r.arm] for r in records])
        spans = [float(part.mean()) for part in np.array_split(relative, 10)]
        return max(float(np.std(spans, ddof=1)), SMALLEST_DRIFT)

    @cached_property
    def turnaround(self) -> float:
        """Median seconds from a trial's last report until its process is handed the next one."""
        return turnaround_seconds(self.records)


def turnaround_seconds(records: Iterable[TrialRecord], default: float = 0.03) -> float:
    """Median seconds from one trial's last report to the next one's hand-over in the same process; `default` where none did two."""
    by_process: dict[tuple[str, int], list[TrialRecord]] = defaultdict(list)
    for record in records:
        by_process[record.host, record.process].append(record)
    gaps = []
    for trials in by_process.values():
        trials.sort(key=lambda r: r.started_at)
        for earlier, later in pairwise(trials):
            gap = later.started_at - earlier.started_at - timedelta(seconds=earlier.wall_seconds)
            gaps.append(gap.total_seconds())
    return max(float(np.median(gaps)), 0.0) if gaps else default


def _keys(cell: str, arm: str, condition: str, algorithm: str, phase: str) -> Iterator[tuple[str, ...]]:
    """What trials can have in common, most alike first."""
    yield "cell and phase", cell, phase
    yield "cell", cell
    yield "cell and phase by name", arm, condition, phase
    yield "arm and phase", arm, phase
    yield "arm", arm
    yield "algorithm", algorithm
    yield ("study",)
