"""Where a study stands: all its cells over one index of records. Knows nothing of Ray."""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from orchestrator.design.cell import Cell
from orchestrator.design.plan import Plan
from orchestrator.engine.cell_state import CellState
from orchestrator.engine.open_trials import Open
from orchestrator.engine.search import CellSearch, Search
from orchestrator.engine.slots import Slot
from results.records.origins import Origin
from results.records.selection import RecordIndex
from results.records.trial_record import Curve, TrialRecord


class StudyState:
    """All cells of a plan.

    Args:
        plan: What the study wants.
        records: What the ledger has.
        accepted: Earlier origins whose records count beside the current ones.
        retry_failed: Open the places of failed trials again.
        search: Makes what suggests for a cell.
    """

    def __init__(
        self,
        plan: Plan,
        records: Iterable[TrialRecord],
        *,
        accepted: Collection[Origin] = (),
        retry_failed: bool = False,
        search: Callable[[Cell], Search] = CellSearch,
        reopened: Mapping[str, Sequence[Open]] | None = None,
    ) -> None:
        self.plan = plan
        self.index = RecordIndex((c.info for c in plan.cells), accepted, retry_failed=retry_failed)
        self.index.reopened = reopened or {}
        for record in records:
            self.index.add(record)
        own: dict[tuple[str, str], CellState] = {}
        for cell in sorted(plan.cells, key=lambda c: bool(c.inherits)):
            source = own[cell.inherits, cell.condition.info.name] if cell.inherits else None
            own[cell.key] = CellState(cell, self.index, source, search)
        self.cells = [own[c.key] for c in plan.cells]
        self._by_key = own
        self._by_id: dict[str, list[CellState]] = defaultdict(list)
        self._heirs: dict[tuple[str, str], list[CellState]] = defaultdict(list)
        for state in self.cells:
            self._by_id[state.cell.id].append(state)
            if state.cell.inherits:
                self._heirs[state.cell.inherits, state.cell.condition.info.name].append(state)
        self._order = {state.cell.key: i for i, state in enumerate(self.cells)}
        self._queue: list[tuple[tuple[bool, int], int]] = []
        self._pending = {state.cell.key for state in self.cells if state.stage not in ("done", "blocked")}
        self._handed: set[str] = set()
        self._copies: list[TrialRecord] = []
        for state in self.cells:
            self._collect(state)
        for state in self.cells:
            self._enqueue(state)

    def take(self) -> Slot | None:
        """The next trial to run; None where all that is ready has been handed out.

        Tuning goes first, in the cell that has come least far, because evaluation waits for it.
        """
        while self._queue:
            priority, place = self._queue[0]
            state = self.cells[place]
            if not state.ready or priority != _priority(state):
                heapq.heappop(self._queue)
                self._enqueue(state)
                continue
            slot = state.take()
            self._collect(state)
            if slot is None:
                self._moved(state)
                continue
            if slot.spec.trial_id in self._handed:  # the other cell of the same identity runs it
                continue
            self._handed.add(slot.spec.trial_id)
            if slot.phase == "evaluate":  # of cells of one identity the first is named, whichever came first
                slot = dataclasses.replace(slot, cell=self._by_id[slot.cell.id][0].cell)
            return slot
        return None

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Take note of a new record; returns records of equal suggestions, to be written and not to be run."""
        self.index.add(record)
        self._handed.discard(record.trial_id)
        copies: list[TrialRecord] = []
        for state in self._by_id[record.cell]:
            copies += state.finish(record)
            self._moved(state)
        for copy in copies:
            self.index.add(copy)
        return copies

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """The step at which a running trial ends early, None where it goes on."""
        return self._by_key[slot.cell.key].judge(slot, curve)

    def copies(self) -> list[TrialRecord]:
        """Records that opening cells produced: equal suggestions of trials that the ledger has; each returned once."""
        found, self._copies = self._copies, []
        return found

    @property
    def done(self) -> bool:
        """Whether no cell wants another trial."""
        return not self._pending

    @property
    def remaining(self) -> int:
        """Trials still to be recorded, those in motion included, if none is stopped early from now on."""
        return sum(c.remaining for c in self.cells if c.cell.key in self._pending)

    def records(self) -> dict[str, TrialRecord]:
        """Every record that fills a slot of the plan, by trial_id."""
        return {r.trial_id: r for c in self.cells for r in c.records()}

    def counts(self) -> Counter[str]:
        """Records of the plan's own slots by status."""
        return Counter(r.status for r in self.records().values())

    def _collect(self, state: CellState) -> None:
        for copy in state.copies:
            self.index.add(copy)
        self._copies += state.copies
        state.copies = []

    def _moved(self, state: CellState) -> None:
        """The cell has come further: so may those that take its configuration over."""
        self._touch(state)
        for heir in self._heirs.get(state.cell.key, ()):
            heir.advance()
            self._touch(heir)

    def _touch(self, state: CellState) -> None:
        if state.stage in ("done", "blocked"):
            self._pending.discard(state.cell.key)
        self._enqueue(state)

    def _enqueue(self, state: CellState) -> None:
        if state.ready:
            heapq.heappush(self._queue, (_priority(state), self._order[state.cell.key]))


def _priority(state: CellState) -> tuple[bool, int]:
    return (True, 0) if state.stage == "evaluating" else (False, state.progress)
