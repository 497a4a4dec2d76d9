"""Which records count for a cell, and what its tuning chose: one reading of the ledger for the driver and for every table.

A cell's suggestions come in generations. The records of a generation carry a *history*: a hash of the search settings and
of all that the earlier generations found. A record fills a place in the search only under the very history that it was
suggested from, so that a trial that ran again with another outcome makes what was suggested after it run again too.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from results.records.constraints import Constraint, parse_constraint, violations
from results.records.manifest import CellInfo
from results.records.origins import Origin, origin_rank
from results.records.trial_record import TrialRecord

Slot = tuple[str, str, Any, int]
Configured = tuple[tuple[str, Any], ...] | str


def config_key(suggested: Mapping[str, Any]) -> str:
    """Equal for equal suggestions."""
    return json.dumps(dict(suggested), sort_keys=True)


def _configured(values: Mapping[str, Any]) -> Configured:
    """As `config_key`, quicker for plain values."""
    key = tuple(sorted(values.items()))
    try:
        hash(key)
    except TypeError:  # hyperparameters over time
        return config_key(values)
    return key


class RecordIndex:
    """Records by the place that they fill. Where several fill one, the one that counts most: current origin, not failed, newest.

    Args:
        cells: The study's cells; records of others are left out.
        accepted: Earlier origins that count.
        retry_failed: Leave failed trials out, so that their places are open again.
    """

    def __init__(
        self, cells: Iterable[CellInfo], accepted: Iterable[Origin] = (), *, retry_failed: bool = False
    ) -> None:
        cells = list(cells)
        self._current = {c.cell: c.origin for c in cells}
        self._accepted = frozenset(accepted)
        self._defaults = {c.cell: c.defaults for c in cells} | {c.confirm: c.defaults for c in cells if c.confirm}
        self._confirms = {c.confirm for c in cells if c.confirm}
        self._searches = {c.search for c in cells if not c.generation}
        self._retry_failed = retry_failed
        self._attempts: dict[str, int] = {}
        self._slots: dict[Slot, tuple[Any, TrialRecord]] = {}
        self._asynchronous: dict[str, dict[int, TrialRecord]] = {}
        self.reopened: Mapping[str, Sequence[tuple[int, Mapping[str, Any]]]] = {}
        """By asynchronous search: (number, values) of suggestions that were in motion when the last run ended."""
        self.refused: list[TrialRecord] = []
        """Records of the study's cells that do not count because their origin is neither current nor accepted."""

    def add(self, record: TrialRecord) -> None:
        """Take a record in."""
        rank = origin_rank(record, self._current, self._accepted)
        if rank == 0:
            if record.cell in self._current:
                self.refused.append(record)
            return
        if self._retry_failed and record.status == "failed":
            self._attempts[record.trial_id] = max(record.attempt + 1, self.attempt(record.trial_id))
            return
        slot = self._slot(record)
        weight = (rank, record.status != "failed", record.attempt, record.started_at, record.trial_id)
        known = self._slots.get(slot)
        if known is None or weight > known[0]:
            self._slots[slot] = (weight, record)
            if record.search in self._searches:
                self._asynchronous.setdefault(record.search, {})[record.number] = record

    def _slot(self, record: TrialRecord) -> Slot:
        if record.phase == "evaluate":
            return ("evaluate", record.cell, self._whole(record.cell, record.suggested), record.seed)
        if record.search in self._confirms:
            return ("confirm", record.search, self._whole(record.search, record.suggested), record.seed)
        return ("tune", record.search, record.number, record.seed)

    def _whole(self, identity: str, suggested: Mapping[str, Any]) -> Configured:
        """The complete configuration: a trial is the same whether its values were suggested or are the defaults."""
        return _configured({**self._defaults.get(identity, {}), **suggested})

    def attempt(self, trial_id: str) -> int:
        """How often this trial, about to run, has failed before."""
        return self._attempts.get(trial_id, 0)

    def tuning(self, history: str, number: int, seed: int) -> TrialRecord | None:
        """The record of one suggestion, made under that history."""
        return self._found(("tune", history, number, seed))

    def confirmation(self, confirm: str, suggested: Mapping[str, Any], seed: int) -> TrialRecord | None:
        """The record of a configuration tried again on another tuning seed."""
        return self._found(("confirm", confirm, self._whole(confirm, suggested), seed))

    def evaluation(self, cell: str, suggested: Mapping[str, Any], seed: int) -> TrialRecord | None:
        """The record of a frozen configuration on an evaluation seed."""
        return self.evaluations(cell, suggested, (seed,))[0]

    def evaluations(self, cell: str, suggested: Mapping[str, Any], seeds: Iterable[int]) -> list[TrialRecord | None]:
        """The records of a frozen configuration on several evaluation seeds, in their order."""
        whole = self._whole(cell, suggested)
        return [self._found(("evaluate", cell, whole, seed)) for seed in seeds]

    def asynchronous(self, search: str) -> list[TrialRecord]:
        """Every record of an asynchronous search, by number."""
        found = self._asynchronous.get(search, {})
        return [found[number] for number in sorted(found)]

    def _found(self, slot: Slot) -> TrialRecord | None:
        known = self._slots.get(slot)
        return None if known is None else known[1]


@dataclass
class Followed:
    """A cell's search as far as the records go."""

    history: str
    """What the next generation's records will carry."""
    closed: list[TrialRecord] = field(default_factory=list)
    """Records of every number below the first that is missing, a wave being taken whole or not at all."""
    partial: list[TrialRecord] = field(default_factory=list)
    """Records of the wave that is not complete yet."""
    spent: int = 0
    """Training steps that `closed` is charged with."""
    wave: int = 0
    """Trials in the wave that is not complete; 0 where the search is finished."""

    @property
    def finished(self) -> bool:
        """Whether the budget is used up."""
        return self.wave == 0

    @property
    def records(self) -> list[TrialRecord]:
        """Everything that counts so far."""
        return [*self.closed, *self.partial]


def charge(cell: CellInfo, record: TrialRecord) -> int:
    """Steps that a trial takes from its cell's budget: those it trained; all of them where it failed."""
    return cell.trial_steps if record.status == "failed" else record.steps


def next_wave(cell: CellInfo, filled: int, spent: int) -> int:
    """How many further suggestions may start once `filled` trials are recorded that took `spent` steps.

    With `unit` steps, trials that were stopped early hand their unused steps back, and these buy whole further trials.
    """
    left = cell.tuning_trials - filled
    if cell.unit == "steps" and cell.trial_steps:
        left = min((cell.tuning_trials * cell.trial_steps - spent) // cell.trial_steps, cell.most_trials - filled)
    if cell.generation:
        left = min(left, cell.generation - filled % cell.generation)
    return max(left, 0)


def next_history(history: str, generation: Sequence[TrialRecord]) -> str:
    """The history after a complete generation: over what its trials measured, and nothing that depends on the machine."""
    seen = [[r.number, r.status, r.steps, r.metrics.get("val_error"), r.metrics.get("val_loss")] for r in generation]
    return hashlib.sha256(f"{history}{json.dumps(seen)}".encode()).hexdigest()[:20]


def follow(cell: CellInfo, index: RecordIndex) -> Followed:
    """Walk a cell's search through the records, wave by wave."""
    state = Followed(cell.search)
    if not cell.generation:
        state.closed = index.asynchronous(cell.search)
        state.spent = sum(charge(cell, r) for r in state.closed)
        state.wave = next_wave(cell, len(state.closed), state.spent)
        return state
    while True:
        state.wave = next_wave(cell, len(state.closed), state.spent)
        first = len(state.closed)
        found = [index.tuning(state.history, first + i, cell.tuning_seed) for i in range(state.wave)]
        records = [r for r in found if r is not None]
        if not state.wave or len(records) < state.wave:
            state.partial = records
            return state
        extend(cell, state, records)


def extend(cell: CellInfo, state: Followed, wave: Sequence[TrialRecord]) -> None:
    """Close a complete wave, and its generation where that is complete too."""
    state.closed += wave
    state.spent += sum(charge(cell, r) for r in wave)
    if cell.generation and len(state.closed) % cell.generation == 0:
        state.history = next_history(state.history, state.closed[-cell.generation :])


def candidates(cell: CellInfo, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Completed tuning trials, best first: constraints met, then objectives in their order, validation loss, number.

    A stopped trial was measured at another training length and is no candidate. Of equal suggestions the first stands.
    """
    limits = [parse_constraint(text) for text in cell.constraints]
    distinct: dict[str, TrialRecord] = {}
    for record in sorted((r for r in records if r.status == "completed"), key=lambda r: r.number):
        distinct.setdefault(config_key(record.suggested), record)
    return sorted(distinct.values(), key=lambda r: _order(cell, limits, r))


def _order(cell: CellInfo, limits: Sequence[Constraint], record: TrialRecord) -> tuple[Any, ...]:
    beyond = sum(max(v, 0.0) for v in violations(limits, record.metrics))
    values = tuple(objective(record, name) for name in cell.objectives)
    return (beyond, *values, record.metrics.get("val_loss", math.inf), record.number)


def objective(record: TrialRecord, name: str) -> float:
    """What a search minimises: a metric of the last report, `seconds` or `steps` of the trial, or its labelled images."""
    if name == "labels":
        return float(record.data.get("labelled", math.inf))
    if name in ("seconds", "steps"):
        return float(getattr(record, name))
    return float(record.metrics.get(name, math.inf))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a cell's tuning ends with."""

    best: TrialRecord
    """The tuning trial whose configuration is frozen."""
    val_error: float
    """What it was chosen by: its validation error, or the mean over all tuning seeds where it was confirmed."""
    first: TrialRecord
    """The trial that the search alone would have chosen."""
    confirmed: Mapping[int, tuple[TrialRecord, ...]] = field(default_factory=dict)
    """By number of the candidate: its trials on further tuning seeds."""

    @property
    def optimism(self) -> float | None:
        """Points by which the search's own choice errs more on fresh tuning seeds than where it was chosen."""
        fresh = [r.metrics["val_error"] for r in self.confirmed.get(self.first.number, ()) if r.status == "completed"]
        return fmean(fresh) - self.first.metrics["val_error"] if fresh else None


def to_confirm(cell: CellInfo, tuned: Iterable[TrialRecord]) -> list[tuple[TrialRecord, int]]:
    """(candidate, seed) of every trial that the confirmation wants."""
    return [(r, seed) for r in candidates(cell, tuned)[: cell.confirm_top] for seed in cell.confirm_seeds]


def choose(cell: CellInfo, tuned: Iterable[TrialRecord], index: RecordIndex) -> Choice | None:
    """The choice that the records lead to; None where no trial completed or a confirmation is still missing.

    Confirmed candidates are ordered by their mean validation error over all tuning seeds; one that failed on a seed is out,
    unless all did.
    """
    order = candidates(cell, tuned)
    if not order:
        return None
    if not cell.confirm_top or not cell.confirm_seeds:
        return Choice(best=order[0], first=order[0], val_error=float(order[0].metrics["val_error"]))
    confirmed: dict[int, tuple[TrialRecord, ...]] = {}
    for record in order[: cell.confirm_top]:
        found = [index.confirmation(cell.confirm, record.suggested, seed) for seed in cell.confirm_seeds]
        if any(r is None for r in found):
            return None
        confirmed[record.number] = tuple(r for r in found if r is not None)
    limits = [parse_constraint(text) for text in cell.constraints]

    def mean(record: TrialRecord) -> float:
        trials = (record, *confirmed[record.number])
        if any(r.status != "completed" for r in trials):
            return math.inf
        return fmean(r.metrics["val_error"] for r in trials)

    def key(record: TrialRecord) -> tuple[Any, ...]:
        beyond, *rest = _order(cell, limits, record)
        return (beyond, mean(record), *rest)

    best = min(order[: cell.confirm_top], key=key)
    score = mean(best)
    return Choice(
        best=best,
        first=order[0],
        val_error=score if math.isfinite(score) else float(best.metrics["val_error"]),
        confirmed=confirmed,
    )


def taken_over(cell: CellInfo, chosen: TrialRecord) -> dict[str, Any]:
    """The part of another arm's chosen configuration that this cell takes over."""
    return {name: value for name, value in chosen.suggested.items() if name in cell.takes}
