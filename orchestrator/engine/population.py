"""Population based training of a cell (Jaderberg et al. 2017): hyperparameters that change while a trial trains.

Members train side by side for a round; then the worst take over the state of some of the best and go on with their
hyperparameters, perturbed. Rounds are generations: each is a pure function of the complete ones before it, so that the answer does
not depend on timing. A member's trial is its whole schedule so far; that it goes on from another trial's checkpoint saves
time and changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from orchestrator.design.cell import Cell
from orchestrator.engine.search import CellSearch, Search
from orchestrator.engine.slots import Slot, copied
from results.records.selection import RecordIndex, extend, follow, next_wave
from results.records.trial_record import Curve, TrialRecord
from search_spaces import Choice, IntRange, Range
from trainables.algorithms import ALGORITHMS
from trainables.seeds import stream_seed

PERTURBATIONS = (0.8, 1.2)
"""Factors of the paper's explore step (section 4.1)."""
RESAMPLED = 0.25
"""Chance that a value is drawn anew from its range instead (section 4.1)."""

Schedule = tuple[Mapping[str, Any], ...]
"""Values of each round: all of the first, what changes in later ones."""


class PopulationTuning:
    """Rounds of one population.

    Args:
        cell: The cell.
        index: The records that count.
        search: Makes what suggests the first members.
    """

    def __init__(self, cell: Cell, index: RecordIndex, search: type[CellSearch] | Any = CellSearch) -> None:
        self._cell = cell
        self._index = index
        self._state = follow(cell.info, index)
        self._size = cell.search.trials
        reports = cell.condition.training.report_steps()
        rounds = cell.search.population.rounds
        self._ends = [reports[max(-(-len(reports) * (r + 1) // rounds) - 1, 0)] for r in range(rounds)]
        self._make_search = search
        self._members: list[Schedule] = []
        self._made = 0
        self._wave: dict[int, TrialRecord | None] = {}
        self._waiting: list[Slot] = []
        self._twins: dict[str, list[Slot]] = {}
        """By trial: places of members whose schedules are equal, which take its outcome over."""
        self.copies: list[TrialRecord] = []
        """Records that opening a round produced: members that equal one that is recorded already."""
        if not self.finished:
            self._open()
            self._settle()

    @property
    def ready(self) -> bool:
        """Whether a slot can be handed out now."""
        return bool(self._waiting)

    @property
    def finished(self) -> bool:
        """Whether every round is recorded."""
        return self._state.finished

    @property
    def records(self) -> list[TrialRecord]:
        """Everything recorded so far, by number: round by round, member by member."""
        return [*self._state.closed, *(r for _, r in sorted(self._wave.items()) if r is not None)]

    @property
    def progress(self) -> int:
        """Trials in complete rounds."""
        return len(self._state.closed)

    @property
    def outlook(self) -> int:
        """Trials that are still to be recorded."""
        return self._cell.info.tuning_trials - len(self.records) if not self.finished else 0

    def take(self) -> Slot:
        """Hand out the next slot."""
        return self._waiting.pop(0)

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Fill a slot, and open the next round where this one is complete."""
        self.copies = []
        self._fill(record)
        self._settle()
        found, self.copies = self.copies, []
        return found

    def _fill(self, record: TrialRecord) -> None:
        self._wave[record.number] = record
        for slot in self._twins.pop(record.trial_id, ()):
            self._copy(record, slot)

    def _copy(self, original: TrialRecord, slot: Slot) -> None:
        record = self._wave[slot.number] = copied(original, slot)
        self.copies.append(record)

    def _settle(self) -> None:
        """Close complete rounds and open the next ones."""
        while self._wave and all(r is not None for r in self._wave.values()):
            extend(self._cell.info, self._state, [r for _, r in sorted(self._wave.items()) if r is not None])
            self._wave = {}
            self._state.wave = next_wave(self._cell.info, len(self._state.closed), self._state.spent)
            if not self.finished:
                self._open()

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """None: a weak member is replaced at the end of its round."""
        return None

    def _open(self) -> None:
        """Make the members of the next round from the complete rounds, and a slot for each that is not recorded."""
        number = len(self._state.closed) // self._size
        while self._made <= number:
            self._members = self._first() if not self._made else self._next(self._made)
            self._made += 1
        slots = [self._slot(number, place, schedule) for place, schedule in enumerate(self._members)]
        for slot in slots:
            self._wave[slot.number] = self._index.tuning(self._state.history, slot.number, self._cell.tuning_seed)
        first: dict[str, Slot] = {}
        for slot in slots:
            model, record = first.setdefault(slot.spec.trial_id, slot), self._wave[slot.number]
            recorded = self._wave[model.number]
            if record is not None:
                continue
            if model is slot:
                self._waiting.append(slot)
            elif recorded is not None:
                self._copy(recorded, slot)
            else:
                self._twins.setdefault(slot.spec.trial_id, []).append(slot)

    def _first(self) -> list[Schedule]:
        search: Search = self._make_search(self._cell)
        return [(search.suggest([], n),) for n in range(self._size)]

    def _next(self, number: int) -> list[Schedule]:
        """Exploit and explore after round `number` - 1: the worst members, and all that failed, copy some of the best."""
        start = (number - 1) * self._size
        before = self._state.closed[start : start + self._size]
        rng = random.Random(stream_seed(self._cell.search.seed, "population", self._cell.id, number))
        order = sorted(range(self._size), key=lambda m: (*_rank(before[m]), m))
        replaced = max(int(self._cell.search.population.replaced * self._size), 1)
        weak = set(order[-replaced:]) | {m for m in range(self._size) if before[m].status == "failed"}
        strong = [m for m in order if m not in weak][:replaced]
        members = []
        for m in range(self._size):
            if m in weak and strong:
                model = self._members[rng.choice(strong)]
                members.append((*model, self._explore(_values(model), rng)))
            else:
                members.append((*self._members[m], {}))
        return members

    def _explore(self, values: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
        fixed = ALGORITHMS[self._cell.arm.algorithm].fixed
        changed = {n: _perturbed(values[n], r, rng) for n, r in self._cell.space.items() if n not in fixed}
        return {name: value for name, value in changed.items() if value != values[name]}

    def _slot(self, number: int, place: int, schedule: Schedule) -> Slot:
        stages = [
            {"until": end, "changes": dict(changes) if i else {}}
            for i, (end, changes) in enumerate(zip(self._ends, schedule, strict=False))
        ]
        suggested = {**schedule[0], "stages": stages}
        # one identity for all rounds, so that a trial finds the checkpoint of the one that it continues
        spec = self._cell.trial(suggested, self._cell.tuning_seed, "tune", search=self._cell.search_id)
        return Slot(
            cell=self._cell,
            phase="tune",
            number=number * self._size + place,
            spec=spec,
            suggested=suggested,
            attempt=self._index.attempt(spec.trial_id),
            history=self._state.history,
            first_step=self._ends[number - 1] if number else 0,
        )


def _rank(record: TrialRecord) -> tuple[bool, float, float]:
    """Failed members last, then by validation error and loss at the end of the round."""
    large = float("inf")
    return (record.status == "failed", record.metrics.get("val_error", large), record.metrics.get("val_loss", large))


def _values(schedule: Schedule) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for changes in schedule:
        values |= changes
    return values


def _perturbed(value: Any, among: Range, rng: random.Random) -> Any:
    """The paper's explore step inside the range: resample, or multiply by 0.8 or 1.2."""
    if isinstance(among, Choice):
        return rng.choice(among.values) if rng.random() < RESAMPLED else value
    new = _drawn(among, rng) if rng.random() < RESAMPLED else value * rng.choice(PERTURBATIONS)
    new = min(max(new, among.low), among.high)
    return round(new) if isinstance(among, IntRange) else float(new)


def _drawn(among: Any, rng: random.Random) -> float:
    if among.log:
        return float(among.low * (among.high / among.low) ** rng.random())
    return float(among.low + (among.high - among.low) * rng.random())
