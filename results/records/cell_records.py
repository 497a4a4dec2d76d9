"""The records behind each cell's number: what a study's tables, figures and mirror all start from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from results.records.manifest import CellInfo, StudyManifest
from results.records.selection import Choice, Followed, RecordIndex, choose, follow, taken_over
from results.records.trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRecords:
    """The records behind one cell's number."""

    cell: CellInfo
    tuning: tuple[TrialRecord, ...]
    """The planned tuning trials that the ledger has, by number."""
    spent: int
    """Training steps that tuning is charged with; a failed trial counts in full."""
    confirmation: tuple[TrialRecord, ...]
    """Trials of the best configurations on further tuning seeds."""
    choice: Choice | None
    """What tuning ended with, or what the cell takes over; None where there is nothing yet."""
    evaluation: tuple[TrialRecord, ...]
    """One record per planned seed that the ledger has, in the order of the plan."""

    @property
    def best(self) -> TrialRecord | None:
        """The tuning trial whose configuration was evaluated; None where there is none."""
        return None if self.choice is None else self.choice.best

    @property
    def measured(self) -> tuple[TrialRecord, ...]:
        """Evaluation trials that completed and have a test error."""
        return tuple(r for r in self.evaluation if r.status == "completed" and "test_error" in r.metrics)


def select_records(manifest: StudyManifest, records: Iterable[TrialRecord]) -> dict[tuple[str, str], CellRecords]:
    """The records behind each of the manifest's cells, by (arm, condition).

    A cell's evaluation trials are those of planned seeds that ran the configuration its tuning ends with: trials of a
    configuration that was best before the search was extended stay in the ledger and are not counted.
    """
    index = RecordIndex(manifest.cells, manifest.accepted)
    for record in records:
        index.add(record)
    tuned = {(c.arm, c.condition): _tuned(c, index) for c in manifest.cells}
    found = {}
    for cell in manifest.cells:
        tuning, choice = tuned[cell.arm, cell.condition]
        if cell.inherits:
            choice = tuned[cell.inherits, cell.condition][1]
        found[cell.arm, cell.condition] = _cell_records(manifest, cell, index, tuning, choice)
    return found


def _tuned(cell: CellInfo, index: RecordIndex) -> tuple[Followed, Choice | None]:
    if not cell.tuning_trials:
        return Followed(""), None
    followed = follow(cell, index)
    return followed, choose(cell, followed.records, index)


def _cell_records(
    manifest: StudyManifest, cell: CellInfo, index: RecordIndex, tuning: Followed, choice: Choice | None
) -> CellRecords:
    evaluation: tuple[TrialRecord, ...] = ()
    if choice is not None or not (cell.tuning_trials or cell.inherits):
        suggested: Mapping[str, Any] = {}
        if choice is not None:
            suggested = taken_over(cell, choice.best) if cell.inherits else choice.best.suggested
        found = index.evaluations(cell.cell, suggested, manifest.evaluation_seeds)
        evaluation = tuple(r for r in found if r is not None)
    confirmed = choice.confirmed.values() if choice is not None and not cell.inherits else ()
    return CellRecords(
        cell=cell,
        tuning=tuple(tuning.records),
        spent=tuning.spent,
        confirmation=tuple(r for trials in confirmed for r in trials),
        choice=choice,
        evaluation=evaluation,
    )
