"""Where a study stands: a pure function of plan and records, advanced record by record. Knows nothing of Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.plan import Cell, Plan
from orchestrator.search import CellSearch
from orchestrator.stopping import StopLimits, median_limits
from results.records import TrialRecord, best_tuning_record
from trainables.specs import Phase, TrialSpec

Stage = Literal["tuning", "evaluating", "done", "blocked"]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in a cell that one trial fills."""

    cell: Cell
    phase: Phase
    number: int
    spec: TrialSpec
    suggested: Mapping[str, Any]


class CellState:
    """One cell's tuning generations, then its evaluation seeds.

    Args:
        cell: The cell.
        known: All records by trial_id, shared with the other cells; slots that they fill are never handed out.
    """

    def __init__(self, cell: Cell, known: dict[str, TrialRecord]) -> None:
        self.cell = cell
        self.stage: Stage = "tuning"
        self.tuning: list[TrialRecord] = []
        self.evaluation: list[TrialRecord] = []
        self.best: TrialRecord | None = None
        self._known = known
        self._search = CellSearch(cell)
        self._open: list[Slot] = []
        self._waiting: list[Slot] = []
        self._advance()

    @property
    def ready(self) -> list[Slot]:
        """Slots that can be handed out now."""
        return self._waiting

    def take(self) -> Slot:
        """Hand out the next ready slot."""
        return self._waiting.pop(0)

    def finish(self, record: TrialRecord) -> None:
        """Fill the slot that the record belongs to."""
        self._known[record.trial_id] = record
        self._advance()

    def records(self) -> list[TrialRecord]:
        """Every record that fills one of the cell's slots, each once."""
        opened = [self._known[s.spec.trial_id] for s in self._open if s.spec.trial_id in self._known]
        return list({r.trial_id: r for r in (*self.tuning, *self.evaluation, *opened)}.values())

    @property
    def remaining(self) -> int:
        """Trials that are planned and have no record; for a blocked cell 0."""
        if self.stage in ("done", "blocked"):
            return 0
        tuning = max(self.cell.tuning_trials - len(self.tuning), 0) if self.stage == "tuning" else 0
        filled = sum(s.spec.trial_id in self._known for s in self._open)
        if self.stage == "evaluating":
            return len(self._open) - filled
        return tuning - filled + len(self.cell.evaluation_seeds)

    def _advance(self) -> None:
        """Close generations whose slots are all filled, and open what follows from them."""
        while all(s.spec.trial_id in self._known for s in self._open):
            filled = [self._known[s.spec.trial_id] for s in self._open]
            if self.stage == "evaluating":
                self.evaluation = filled
                self.stage = "done"
                return
            if filled:
                self._search.tell(filled)
                self.tuning += filled
            left = self.cell.tuning_trials - len(self.tuning)
            if left > 0:
                self._open_slots(self._generation(min(left, self.cell.generation)))
            elif not self._open_evaluation():
                return

    def _generation(self, count: int) -> list[Slot]:
        first = len(self.tuning)
        limits: StopLimits = ()
        if self.cell.stopping_rule == "median":
            limits = median_limits(
                [r.curves.get("val_error", ()) for r in self.tuning],
                self.cell.condition.training.report_steps(),
                after=self.cell.stopping_after,
            )
        return [
            Slot(
                cell=self.cell,
                phase="tune",
                number=first + i,
                spec=self.cell.trial(suggested, self.cell.tuning_seed, "tune", limits),
                suggested=suggested,
            )
            for i, suggested in enumerate(self._search.suggest(count))
        ]

    def _open_evaluation(self) -> bool:
        """Freeze the best configuration and open a slot for each seed; False where no tuning trial completed."""
        suggested: Mapping[str, Any] = {}
        if self.cell.tuning_trials:
            self.best = best_tuning_record(self.tuning)
            if self.best is None:
                self.stage = "blocked"
                self._open = []
                return False
            suggested = self.best.suggested
        self.stage = "evaluating"
        self._open_slots(
            [
                Slot(
                    cell=self.cell,
                    phase="evaluate",
                    number=i,
                    spec=self.cell.trial(suggested, seed, "evaluate"),
                    suggested=suggested,
                )
                for i, seed in enumerate(self.cell.evaluation_seeds)
            ]
        )
        return True

    def _open_slots(self, slots: list[Slot]) -> None:
        self._open = slots
        missing = {s.spec.trial_id: s for s in reversed(slots) if s.spec.trial_id not in self._known}
        self._waiting = sorted(missing.values(), key=lambda s: s.number)  # equal suggestions run once


class StudyState:
    """All cells of a plan.

    Args:
        plan: What the study wants.
        records: What the ledger has.
    """

    def __init__(self, plan: Plan, records: Iterable[TrialRecord]) -> None:
        known = {r.trial_id: r for r in records}
        self.plan = plan
        self.cells = [CellState(cell, known) for cell in plan.cells]
        self._by_id = {c.cell.id: c for c in self.cells}

    def take(self) -> Slot | None:
        """The next trial to run; None where all that is ready has been handed out.

        Tuning goes first, in the cell that has come least far, because evaluation waits for it.
        """
        ready = [c for c in self.cells if c.ready]
        if not ready:
            return None
        return min(ready, key=lambda c: (c.stage != "tuning", len(c.tuning) if c.stage == "tuning" else 0)).take()

    def finish(self, record: TrialRecord) -> None:
        """Take note of a new record."""
        self._by_id[record.cell].finish(record)

    @property
    def done(self) -> bool:
        """Whether no cell wants another trial."""
        return all(c.stage in ("done", "blocked") for c in self.cells)

    @property
    def remaining(self) -> int:
        """Trials still to run, those in motion included."""
        return sum(c.remaining for c in self.cells)

    def counts(self) -> Counter[str]:
        """Records of the plan's own slots by status."""
        return Counter(r.status for c in self.cells for r in c.records())
