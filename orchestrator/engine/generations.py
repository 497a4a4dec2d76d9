"""The default search of a cell: suggestions in generations, so that the answer does not depend on timing."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.design.cell import Cell, StopLimits
from orchestrator.engine.search import CellSearch, Search
from orchestrator.engine.slots import Slot, copied
from orchestrator.engine.stopping import EarlierCurves, first_stop
from results.records.selection import RecordIndex, config_key, extend, follow, next_wave
from results.records.trial_record import Curve, TrialRecord


class GenerationTuning:
    """Generation after generation, each suggested and judged by what complete earlier ones of the same cell found.

    Within a generation, trials start in waves: as many as the budget allows for certain, and when these have handed back what
    they did not use, the rest. A suggestion depends on its generation alone, not on the wave it came to run in.

    The sampler is rebuilt from the records when the first slot is asked for: a study of many half tuned cells opens at once.

    Args:
        cell: The cell.
        index: The records that count.
        search: Makes what suggests.
    """

    def __init__(self, cell: Cell, index: RecordIndex, search: Callable[[Cell], Search] = CellSearch) -> None:
        self._cell = cell
        self._index = index
        self._state = follow(cell.info, index)
        self._make_search = search
        self._search: Search | None = None
        self._earlier: EarlierCurves | None = None
        self._judged = 0
        self._by_config: dict[str, TrialRecord] | None = None
        self._wave: dict[int, TrialRecord | None] = {}
        self._waiting: list[Slot] = []
        self._copies: dict[str, list[Slot]] = {}
        self.copies: list[TrialRecord] = []
        """Records that opening the search produced: equal suggestions whose original is known already."""
        self._asleep = not self.finished

    @property
    def finished(self) -> bool:
        """Whether the budget is used up and every trial recorded."""
        return self._state.finished

    @property
    def ready(self) -> bool:
        """Whether a slot can probably be handed out now."""
        return self._asleep or bool(self._waiting)

    @property
    def records(self) -> list[TrialRecord]:
        """Everything recorded so far, by number."""
        if self._asleep:
            return self._state.records
        return [*self._state.closed, *(r for _, r in sorted(self._wave.items()) if r is not None)]

    @property
    def progress(self) -> int:
        """Trials in complete waves."""
        return len(self._state.closed)

    @property
    def outlook(self) -> int:
        """Trials that are still to be recorded, if none is stopped early from now on."""
        if self.finished:
            return 0
        info = self._cell.info
        left = info.tuning_trials - len(self._state.closed)
        if info.unit == "steps":
            left = (info.tuning_trials * info.trial_steps - self._state.spent) // info.trial_steps
            left = min(left, info.most_trials - len(self._state.closed))
        return left - (len(self.records) - len(self._state.closed))

    def take(self) -> Slot | None:
        """Hand out the next slot; None where what is missing equals what is recorded."""
        self._wake()
        return self._waiting.pop(0) if self._waiting else None

    def _wake(self) -> None:
        """Ask for the suggestions of the wave that the records leave open."""
        if self._asleep:
            self._asleep = False
            self._open()
            self._settle()

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Fill a slot; returns records of equal suggestions that take the outcome over."""
        self._wake()
        self._fill(record)
        self._settle()
        found, self.copies = self.copies, []
        return found

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """The first step at which the curve is above the limits that were fixed when the trial was suggested."""
        return first_stop(curve, slot.spec.stop_above)

    def _fill(self, record: TrialRecord) -> None:
        self._wave[record.number] = record
        key = config_key(record.suggested)
        self._known().setdefault(key, record)
        for slot in self._copies.pop(key, []):
            self._copy(record, slot)

    def _copy(self, original: TrialRecord, slot: Slot) -> None:
        record = self._wave[slot.number] = copied(original, slot)
        self.copies.append(record)

    def _known(self) -> dict[str, TrialRecord]:
        """The first record of every suggestion so far."""
        if self._by_config is None:
            self._by_config = {}
            for record in self._state.closed:
                self._by_config.setdefault(config_key(record.suggested), record)
        return self._by_config

    def _settle(self) -> None:
        """Take complete waves in and open the next ones, as far as the budget goes."""
        while self._wave and all(r is not None for r in self._wave.values()):
            extend(self._cell.info, self._state, [r for _, r in sorted(self._wave.items()) if r is not None])
            self._wave = {}
            self._state.wave = next_wave(self._cell.info, len(self._state.closed), self._state.spent)
            if not self._state.finished:
                self._open()

    def _open(self) -> None:
        """Ask for the next wave's suggestions; those that are recorded, or equal an earlier one, need no trial."""
        closed = self._state.closed
        first = len(closed)
        known = first - first % self._cell.generation
        limits = self._limits(known)
        if self._search is None:
            self._search = self._make_search(self._cell)
        history = closed[:known]
        for number in range(known, first):  # earlier waves of this generation are still open to the sampler
            self._search.suggest(history, number)
        slots = []
        for number in range(first, first + self._state.wave):
            slots.append(self._slot(number, self._search.suggest(history, number), limits))
            self._wave[number] = None
        for slot in slots:
            record = self._index.tuning(self._state.history, slot.number, self._cell.tuning_seed)
            if record is not None and config_key(record.suggested) == config_key(slot.suggested):
                self._fill(record)
        opened: set[str] = set()
        for slot in slots:
            key = config_key(slot.suggested)
            if self._wave[slot.number] is not None:
                continue
            if key in self._known():
                self._copy(self._known()[key], slot)
            elif key in opened:
                self._copies.setdefault(key, []).append(slot)
            else:
                opened.add(key)
                self._waiting.append(slot)

    def _slot(self, number: int, suggested: dict[str, object], limits: StopLimits) -> Slot:
        cell = self._cell
        spec = cell.trial(suggested, cell.tuning_seed, "tune", search=self._state.history, stop_above=limits)
        attempt = self._index.attempt(spec.trial_id)
        return Slot(cell=cell, phase="tune", number=number, spec=spec, suggested=suggested, attempt=attempt)

    def _limits(self, known: int) -> StopLimits:
        rule = self._cell.search.early_stopping
        if rule.rule not in ("median", "quantile"):
            return ()
        if self._earlier is None:
            self._earlier = EarlierCurves(self._cell.condition.training.report_steps(), after=rule.after)
        for record in self._state.closed[self._judged : known]:
            self._earlier.add(record.curves.get("val_error", ()))
        self._judged = known
        return self._earlier.limits(0.5 if rule.rule == "median" else rule.keep)
