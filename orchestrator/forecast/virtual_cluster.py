"""A cluster that is not there: the study's own driver against a virtual clock (discrete-event simulation).

What decides is real: `StudyDriver`, `StudyState`, the searches and their stopping rules hand out, judge and record as in a run.
What takes time is drawn: setting up, training between two reports, processes that start, nodes that fail. The driver is one
process, so what it does for a trial or a report waits in line.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np

from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.slots import Slot
from orchestrator.forecast.cost import PROCESS_SECONDS

STRAGGLER_FACTOR = 3.0
"""How much longer a straggling trial takes."""
REPAIR_SECONDS = 15 * 60.0
"""Until a node that failed is back."""
CHECKPOINT_SECONDS = 1.0
"""As trials do: at the first report that comes so long after the last checkpoint."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """Hardware, its faults, and what the orchestrator itself costs. Times in seconds."""

    nodes: int = 1
    trials_per_node: int = 1
    actors: int | None = None
    """Most trials at once, where the study says so."""
    actor_start: float = PROCESS_SECONDS
    """A process starts and imports torch."""
    driver_per_trial: float = 0.012
    """The driver's own time to take a trial's end in and hand the next one out, Ray Tune's included; one trial after another.
    An estimate: two thirds of the 18 ms between two trials of the published digits study, on two quiet cores."""
    driver_per_report: float = 0.002
    turnaround: float = 0.02
    """From a trial's end until its process is handed the next one, on an idle driver; `driver_per_trial` is part of it."""
    speed: float = 1.0
    """How much faster than measured the nodes train."""
    stragglers: float = 0.0
    """Share of trials that take `STRAGGLER_FACTOR` times as long."""
    failures_per_node_day: float = 0.0

    @property
    def slots(self) -> int:
        """Trials at once."""
        fits = self.nodes * self.trials_per_node
        return fits if self.actors is None else min(fits, self.actors)


@dataclass(frozen=True)
class Course:
    """How one trial would go if nothing stopped it: drawn when it is handed out."""

    setup: float
    per_step: float
    rest: float
    """Besides set-up and training, spread over the reports."""
    rows: Sequence[tuple[int, dict[str, float]]]
    judged: bool
    """Whether it may be stopped early, so that each report matters when it comes."""


class Courses(Protocol):
    """Where the times and curves of simulated trials come from."""

    def draw(self, slot: Slot, random: np.random.Generator) -> Course:
        """A course for this trial."""


@dataclass(kw_only=True)
class Outcome:
    """What a simulated run came to. Times in seconds of the virtual clock."""

    makespan: float = 0.0
    trials: int = 0
    stopped_early: int = 0
    failed: int = 0
    steps: int = 0
    busy: float = 0.0
    """Training and setting up, summed over processes, without what was lost."""
    lost: float = 0.0
    """Work done twice because a node failed."""
    starting: float = 0.0
    driver_wait: float = 0.0
    """Processes between two trials, the driver's queue included."""
    node_failures: int = 0
    driver_busy: float = 0.0


@dataclass
class _Trial:
    handle: str
    slot: Slot
    course: Course
    slow: float
    sent: int = 0
    """Rows that the driver has."""
    done_steps: int = 0
    trained: float = 0.0
    kept: tuple[int, float] = (0, 0.0)
    """Steps and seconds that the last checkpoint has."""
    checked: float = 0.0
    run: int = 0
    """Counts the processes that it had: events of an earlier one are void."""
    began: float = 0.0


@dataclass
class _Node:
    epoch: int = 0
    """Counts its failures, for processes of an earlier life."""
    running: dict[str, _Trial] = field(default_factory=dict)


class VirtualCluster:
    """Runs a driver's trials on a virtual clock.

    Args:
        driver: A study's driver; its ledger is written to, so give it one that keeps nothing.
        courses: How trials go.
        shape: The cluster.
        seed: Of all that is drawn.
    """

    def __init__(self, driver: StudyDriver, courses: Courses, shape: ClusterShape, *, seed: int = 0) -> None:
        self._driver = driver
        self._courses = courses
        self._shape = shape
        self._random = np.random.default_rng(seed)
        self._events: list[tuple[float, int, str, Any]] = []
        self._sequence = 0
        self._driver_free = 0.0
        self._handles = 0
        self._idle: deque[tuple[int, int]] = deque()
        """(node, its epoch) of processes that wait for a trial."""
        self._cold: deque[tuple[int, int]] = deque()
        """The same of places where no process has started yet: one does when there is a trial for it."""
        self._orphans: dict[str, _Trial] = {}
        self._nodes = [_Node() for _ in range(shape.nodes)]
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Simulate until the driver is done."""
        shape, out = self._shape, self.outcome
        for place in range(shape.slots):  # one on each node, then a second on each
            self._cold.append((place % shape.nodes, 0))
        self._fill(0.0)
        if shape.failures_per_node_day:
            for node in range(shape.nodes):
                self._at(self._random.exponential(86400 / shape.failures_per_node_day), "down", node)
        while self._events and not self._driver.done:
            now, _, kind, what = heapq.heappop(self._events)
            match kind:
                case "report":
                    self._report(now, *what)
                case "down":
                    self._node_down(now, what)
                case _:
                    self._node_up(now, what)
        if not self._driver.done:
            raise RuntimeError("the simulation ended although trials are left: no process can run them")
        out.makespan = max(out.makespan, self._driver_free)
        return out

    def _at(self, time: float, kind: str, what: Any) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (time, self._sequence, kind, what))

    def _serve(self, now: float, cost: float) -> float:
        """When the driver, which does one thing after another, is through with something that reached it now."""
        self._driver_free = max(now, self._driver_free) + cost
        self.outcome.driver_busy += cost
        return self._driver_free

    def _fill(self, now: float) -> None:
        """Give processes what is ready; warm processes before new ones."""
        while places := self._idle or self._cold:
            node, epoch = places[0]
            if self._nodes[node].epoch != epoch:
                places.popleft()
                continue
            handle = str(self._handles)
            slot = self._driver.hand_out(handle)
            if slot is None:
                return
            self._handles += 1
            if slot.spec.trial_id in self._orphans:  # it lost its process, and goes on from its checkpoint
                trial = self._orphans.pop(slot.spec.trial_id)
                trial.handle, trial.sent = handle, 0
            else:
                slow = 1 / self._shape.speed
                if self._shape.stragglers and self._random.random() < self._shape.stragglers:
                    slow *= STRAGGLER_FACTOR
                trial = _Trial(handle, slot, self._courses.draw(slot, self._random), slow, kept=(slot.first_step, 0.0))
            places.popleft()
            self._begin(now, trial, node, cold=places is self._cold)

    def _begin(self, now: float, trial: _Trial, node: int, *, cold: bool) -> None:
        shape = self._shape
        served = self._serve(now, shape.driver_per_trial)
        start = served + max(shape.turnaround - shape.driver_per_trial, 0.0)
        self.outcome.driver_wait += start - now
        if cold:
            took = shape.actor_start * float(self._random.uniform(0.8, 1.25))
            self.outcome.starting += took
            start += took
        trial.run += 1
        trial.began = trial.checked = start
        trial.done_steps, trial.trained = trial.kept
        setup = trial.course.setup * trial.slow
        self.outcome.busy += setup
        self._nodes[node].running[trial.handle] = trial
        self._next_report(start + setup, trial, node)

    def _next_report(self, now: float, trial: _Trial, node: int) -> None:
        """Schedule the next report that matters: each one of a trial that may be stopped, or can be lost; else the last."""
        rows = trial.course.rows
        if trial.course.judged or self._shape.failures_per_node_day:
            row = next(r for r in rows if r[0] > trial.done_steps)
        else:
            row = rows[-1]
        steps = row[0] - trial.done_steps
        share = steps / (rows[-1][0] - trial.slot.first_step)
        seconds = (steps * trial.course.per_step + share * trial.course.rest) * trial.slow
        self._at(now + seconds, "report", (trial, trial.run, node, row[0], seconds))

    def _report(self, now: float, trial: _Trial, run: int, node: int, step: int, seconds: float) -> None:
        if run != trial.run:  # its process died
            return
        out, rows = self.outcome, trial.course.rows
        trial.done_steps = step
        trial.trained += seconds
        out.busy += seconds
        new = [r for r in rows[trial.sent :] if r[0] <= step]
        trial.sent += len(new)
        received = self._serve(now, self._shape.driver_per_report * len(new))
        ended = step >= rows[-1][0]
        payload = {
            "rows": new,
            "seconds": trial.trained,
            "setup_seconds": trial.course.setup * trial.slow,
            "wall_seconds": now - trial.began,
            "started_at": (_EPOCH + timedelta(seconds=trial.began)).isoformat(),
            "host": f"node-{node}",
            "process": 1,
            "versions": {},
        }
        stop = bool(new) and self._driver.receive(trial.handle, payload)
        if not (stop or ended):
            if now - trial.checked >= CHECKPOINT_SECONDS:
                trial.kept, trial.checked = (step, trial.trained), now
            waited = received - now - self._shape.driver_per_report * len(new)  # its own round trip is in `rest`
            self._next_report(now + max(waited, 0.0), trial, node)
            return
        trial.run += 1
        del self._nodes[node].running[trial.handle]
        self._close(trial, lost=None)
        out.makespan = received
        self._idle.append((node, self._nodes[node].epoch))
        self._fill(received)

    def _close(self, trial: _Trial, lost: str | None) -> None:
        record = self._driver.close(trial.handle, lost=lost)
        if record is None:
            self._orphans[trial.slot.spec.trial_id] = trial
            return
        self.outcome.trials += 1
        self.outcome.steps += record.steps
        self.outcome.stopped_early += record.status == "pruned"
        self.outcome.failed += record.status == "failed"

    def _node_down(self, now: float, place: int) -> None:
        node, out = self._nodes[place], self.outcome
        node.epoch += 1
        out.node_failures += 1
        for trial in node.running.values():
            trial.run += 1
            out.lost += max(now - trial.checked, 0.0)
            out.busy -= trial.trained - trial.kept[1]
            self._close(trial, lost="its process died")
        node.running.clear()
        self._at(now + REPAIR_SECONDS, "up", place)
        self._fill(now)

    def _node_up(self, now: float, place: int) -> None:
        shape = self._shape
        processes = shape.slots // shape.nodes + (place < shape.slots % shape.nodes)
        self._cold.extend([(place, self._nodes[place].epoch)] * processes)
        self._fill(now)
        self._at(now + self._random.exponential(86400 / shape.failures_per_node_day), "down", place)
