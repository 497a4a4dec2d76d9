"""Where one cell stands: tuning, confirming, evaluating. A pure function of cell and records, advanced record by record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from orchestrator.design.cell import Cell
from orchestrator.engine.asynchronous import AsynchronousTuning
from orchestrator.engine.generations import GenerationTuning
from orchestrator.engine.population import PopulationTuning
from orchestrator.engine.search import CellSearch, Search
from orchestrator.engine.slots import Slot, Tuning
from results.records.selection import Choice, RecordIndex, choose, taken_over, to_confirm
from results.records.trial_record import Curve, TrialRecord
from trainables.specs import Phase, TrialSpec

Stage = Literal["waiting", "tuning", "confirming", "evaluating", "done", "blocked"]


class CellState:
    """One cell's search, the second looks at its best configurations, then its evaluation seeds.

    Args:
        cell: The cell.
        index: The records that count, shared with the other cells; slots that they fill are never handed out.
        source: The cell whose configuration this one takes over; None where it is tuned itself.
        search: Makes what suggests; a forecast has one that does not think.
    """

    def __init__(
        self,
        cell: Cell,
        index: RecordIndex,
        source: CellState | None = None,
        search: Callable[[Cell], Search] = CellSearch,
    ) -> None:
        self.cell = cell
        self.stage: Stage = "waiting" if source else "tuning"
        self.choice: Choice | None = None
        self.suggested: Mapping[str, Any] = {}
        """The frozen part of the configuration, once evaluating."""
        self.copies: list[TrialRecord] = []
        """Records of suggestions that equal earlier ones: to be written, not to be run."""
        self._index = index
        self._source = source
        self._tuning: Tuning | None = None
        self._places: list[TrialRecord | None] = []
        """What fills each place of this stage, in order."""
        self._open: dict[str, int] = {}
        """Places that are not filled, by the trial that will."""
        self._waiting: deque[Slot] = deque()
        self._confirmations: list[TrialRecord] = []
        if cell.tuning_trials:
            self._tuning = tuning_of(cell, index, search)
            self._drain(self._tuning)
        self.advance()

    @property
    def ready(self) -> bool:
        """Whether a slot can probably be handed out now."""
        if self.stage == "tuning":
            return self._tuning is not None and self._tuning.ready
        while self._waiting and self._waiting[0].spec.trial_id not in self._open:
            self._waiting.popleft()  # the other cell of the same identity ran it
        return bool(self._waiting)

    @property
    def progress(self) -> int:
        """How far the search has come, in trials."""
        return self._tuning.progress if self._tuning else 0

    @property
    def tuning(self) -> list[TrialRecord]:
        """Records of the search, by number."""
        return self._tuning.records if self._tuning else []

    @property
    def confirmations(self) -> list[TrialRecord]:
        """Records of configurations tried again on further tuning seeds."""
        return self._confirmations + (self._filled() if self.stage == "confirming" else [])

    @property
    def evaluation(self) -> list[TrialRecord]:
        """Records of the evaluation seeds."""
        return self._filled() if self.stage in ("evaluating", "done") else []

    def records(self) -> list[TrialRecord]:
        """Every record that fills one of the cell's slots."""
        return [*self.tuning, *self.confirmations, *self.evaluation]

    @property
    def remaining(self) -> int:
        """Trials that are still to be recorded, if none is stopped early from now on; for a blocked cell 0."""
        info = self.cell.info
        evaluate, confirm = len(self.cell.evaluation_seeds), info.confirm_top * len(info.confirm_seeds)
        match self.stage:
            case "tuning":
                return (self._tuning.outlook if self._tuning else 0) + confirm + evaluate
            case "confirming":
                return len(self._open) + evaluate
            case "waiting":
                return evaluate
            case _:
                return len(self._open)

    def take(self) -> Slot | None:
        """Hand out the next ready slot; None where the search, looked at closer, wants no trial now."""
        if self.stage == "tuning" and self._tuning is not None:
            slot = self._tuning.take()
            self._drain(self._tuning)
            if slot is None:
                self.advance()
            return slot
        return self._waiting.popleft()

    def _drain(self, tuning: Tuning) -> None:
        self.copies += tuning.copies
        tuning.copies = []

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """The step at which a running trial ends early, None where it goes on; evaluation is never stopped."""
        if slot.phase != "tune" or self._tuning is None or self.stage != "tuning":
            return None
        return self._tuning.judge(slot, curve)

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Fill the slot that the record belongs to, if it is this cell's; returns records that take its outcome over."""
        copies: list[TrialRecord] = []
        if self.stage == "tuning" and self._tuning is not None and record.phase == "tune":
            copies = self._tuning.finish(record)
        elif record.trial_id in self._open:
            self._places[self._open.pop(record.trial_id)] = record
        self.advance()
        return copies

    def advance(self) -> None:
        """Go through every stage whose trials are all recorded."""
        if self.stage == "tuning" and (self._tuning is None or self._tuning.finished):
            wanted = to_confirm(self.cell.info, self.tuning)
            self.stage = "confirming"
            self._open_slots([self._confirming(record, seed) for record, seed in wanted])
        if self.stage == "confirming" and not self._open:
            self._confirmations = self._filled()
            if self.cell.tuning_trials:
                self.choice = choose(self.cell.info, self.tuning, self._index)
                if self.choice is None:
                    self.stage = "blocked"
                    return
                self.suggested = self.choice.best.suggested
            self._evaluate()
        if (
            self.stage == "waiting"
            and self._source is not None
            and self._source.stage in ("evaluating", "done", "blocked")
        ):
            if self._source.choice is None:
                self.stage = "blocked"
                return
            self.choice = self._source.choice
            self.suggested = taken_over(self.cell.info, self.choice.best)
            self._evaluate()
        if self.stage == "evaluating" and not self._open:
            self.stage = "done"

    def _evaluate(self) -> None:
        """Freeze the configuration and open a slot for each seed that has no record."""
        self.stage = "evaluating"
        cell, suggested = self.cell, self.suggested
        found = self._index.evaluations(cell.id, suggested, cell.evaluation_seeds)
        self._open_slots(
            [
                record or self._place("evaluate", i, cell.trial(suggested, seed, "evaluate"), suggested)
                for i, (seed, record) in enumerate(zip(cell.evaluation_seeds, found, strict=True))
            ]
        )

    def _confirming(self, record: TrialRecord, seed: int) -> Slot | TrialRecord:
        known = self._index.confirmation(self.cell.confirm_id, record.suggested, seed)
        if known is not None:
            return known
        spec = self.cell.trial(record.suggested, seed, "tune", search=self.cell.confirm_id)
        return self._place("tune", record.number, spec, record.suggested)

    def _place(self, phase: Phase, number: int, spec: TrialSpec, suggested: Mapping[str, Any]) -> Slot:
        attempt = self._index.attempt(spec.trial_id)
        return Slot(cell=self.cell, phase=phase, number=number, spec=spec, suggested=suggested, attempt=attempt)

    def _open_slots(self, places: Sequence[Slot | TrialRecord]) -> None:
        """Hand out the slots among the places; the others are recorded."""
        self._places = [None if isinstance(p, Slot) else p for p in places]
        self._open = {p.spec.trial_id: i for i, p in enumerate(places) if isinstance(p, Slot)}
        self._waiting = deque(p for p in places if isinstance(p, Slot))

    def _filled(self) -> list[TrialRecord]:
        return [record for record in self._places if record is not None]


def tuning_of(cell: Cell, index: RecordIndex, search: Callable[[Cell], Search] = CellSearch) -> Tuning:
    """The search that the cell's study asks for."""
    if cell.search.strategy == "asynchronous":
        return AsynchronousTuning(cell, index, search)
    if cell.search.strategy == "population" and cell.space:
        return PopulationTuning(cell, index, search)
    return GenerationTuning(cell, index, search)
