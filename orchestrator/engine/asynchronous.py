"""Asynchronous search of a cell: a suggestion whenever an actor is free, ASHA at every report. Depends on timing, and says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.design.cell import Cell
from orchestrator.engine.search import CellSearch, Search
from orchestrator.engine.slots import Slot
from orchestrator.engine.stopping import EarlierCurves
from results.records.selection import RecordIndex, charge, config_key, next_wave
from results.records.trial_record import Curve, TrialRecord

MOST_REPEATS = 100
"""Suggestions in a row that were all tried before, after which the space counts as searched."""


class AsynchronousTuning:
    """For one big search on many actors, where waiting for a generation would leave them idle.

    A suggestion uses everything that is recorded when it is made; `early_stopping.rule: asha` compares a trial with every
    other one of its cell that has come as far. Its records carry the search's own identity, so that tables can say
    that this cell's result depends on timing.

    Args:
        cell: The cell.
        index: The records that count.
        search: Makes what suggests.
    """

    def __init__(self, cell: Cell, index: RecordIndex, search: Callable[[Cell], Search] = CellSearch) -> None:
        self._cell = cell
        self._index = index
        self._done = index.asynchronous(cell.search_id)
        self._spent = sum(charge(cell.info, r) for r in self._done)
        self._numbers = {r.number for r in self._done}
        self._suggested = {config_key(r.suggested) for r in self._done}
        self._reopened = list(index.reopened.get(cell.search_id, ()))
        self._running: dict[int, Slot] = {}
        self.copies: list[TrialRecord] = []
        """None: an equal suggestion is passed over."""
        self._exhausted = False
        self._make_search = search
        self._search: Search | None = None
        rule = cell.search.early_stopping
        self._rule, self._keep = rule.rule, rule.keep if rule.rule == "asha" else 0.5
        self._earlier = EarlierCurves(cell.condition.training.report_steps(), after=rule.after)
        self._judged: dict[int, int] = {}
        for record in self._done:
            self._earlier.add(record.curves.get("val_error", ()))

    @property
    def ready(self) -> bool:
        """Whether the budget covers another full trial beside those that run, and the space may have one that is new."""
        return self._room() > 0

    @property
    def finished(self) -> bool:
        """Whether the budget is used up and nothing runs."""
        return not self._running and not self.ready

    @property
    def records(self) -> list[TrialRecord]:
        """Everything recorded so far, by number."""
        return sorted(self._done, key=lambda r: r.number)

    @property
    def progress(self) -> int:
        """Trials recorded or running."""
        return len(self._done) + len(self._running)

    @property
    def outlook(self) -> int:
        """Trials that are still to be recorded, if none is stopped early from now on."""
        return self._room() + len(self._running)

    def take(self) -> Slot | None:
        """Hand out the next suggestion; None where the space has none that is new."""
        slot = self._suggest() if self.ready else None
        if slot is not None:
            self._running[slot.number] = slot
        return slot

    def _suggest(self) -> Slot | None:
        """A suggestion from all that is known now; equal ones are passed over, and the search ends when nothing else comes."""
        if self._search is None:
            self._search = self._make_search(self._cell)
        while self._reopened:
            number, suggested = self._reopened.pop(0)
            if number not in self._numbers and config_key(suggested) not in self._suggested:
                return self._slot(number, suggested)
        for _ in range(MOST_REPEATS):
            number = next(n for n in range(len(self._numbers) + 1) if n not in self._numbers)
            self._numbers.add(number)
            suggested = self._search.suggest(self._done, number)
            if config_key(suggested) not in self._suggested:
                return self._slot(number, suggested)
        self._exhausted = True
        return None

    def _slot(self, number: int, suggested: Mapping[str, Any]) -> Slot:
        cell = self._cell
        self._numbers.add(number)
        self._suggested.add(config_key(suggested))
        spec = cell.trial(suggested, cell.tuning_seed, "tune", search=cell.search_id)
        attempt = self._index.attempt(spec.trial_id)
        return Slot(cell=cell, phase="tune", number=number, spec=spec, suggested=suggested, attempt=attempt)

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Take a record in."""
        self._running.pop(record.number, None)
        self._done.append(record)
        self._spent += charge(self._cell.info, record)
        return []

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """The first new report at which the trial is not good enough among all that have come as far."""
        if self._rule == "none":
            return None
        seen = self._judged.get(slot.number, 0)
        self._judged[slot.number] = len(curve)
        for step, value in curve[seen:]:
            self._earlier.add([(step, value)])
            if self._earlier.above(step, value, self._keep):
                return step
        return None

    def _room(self) -> int:
        if self._exhausted:
            return 0
        running = len(self._running)
        spent = self._spent + running * self._cell.info.trial_steps
        return next_wave(self._cell.info, len(self._done) + running, spent)
