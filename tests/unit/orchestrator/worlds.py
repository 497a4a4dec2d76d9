"""A world without training, for tests of the engine: an outcome is a pure function of the trial, and trials end in any order."""

from __future__ import annotations

import hashlib
import math
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.slots import Slot
from orchestrator.engine.state import StudyState
from orchestrator.study.spec import StudySpec
from results.records.manifest import StudyManifest
from results.records.origins import Origin
from results.records.trial_record import TrialRecord
from trainables.specs import TrialSpec

START = datetime(2026, 1, 1, tzinfo=UTC)


def study(**changes: Any) -> StudySpec:
    """Three arms (the full method, one ablation, one baseline), two evaluation seeds; mappings are merged."""
    values: dict[str, Any] = {
        "study": "world",
        "question": "q",
        "method": "rsmatch",
        "ablation": {"components": ["queue"]},
        "baselines": ["fixmatch"],
        "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.5, "generators": ["vae"]},
        "training": {"steps": 24, "reports": 6},
        "search": {"trials": 5, "generation": 2, "early_stopping": {"rule": "median", "after": 0.0}},
        "evaluate": {"seeds": 2, "allow_underpowered": True},
        "resources": {"cpus": 1, "gpus": 0},
    }
    for key, value in changes.items():
        values[key] = (
            {**values[key], **value} if isinstance(value, dict) and isinstance(values.get(key), dict) else value
        )
    return StudySpec(**values)


def plan_of(**changes: Any) -> Plan:
    """The plan of `study(**changes)`."""
    return make_plan(study(**changes))


def chance(*parts: Any) -> float:
    """A number from 0 to 1 that depends on `parts` alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big") / 2**48


@dataclass
class World:
    """What trials would measure.

    Args:
        failing: Share of the trials that fail.
        mended: Whether a trial that failed completes when it is run again.
        salt: Worlds of different salts measure different things.
    """

    failing: float = 0.0
    mended: bool = False
    salt: int = 0

    def row(self, spec: TrialSpec, step: int) -> dict[str, float]:
        """One report, as the trial at that step would make it."""
        values = sorted(spec.hyperparameters.items())
        quality = chance(self.salt, values, spec.off, spec.algorithm)
        noise = chance(self.salt, values, spec.seed, spec.off, step)
        data = spec.data.contamination + 1 / spec.data.labels_per_class
        error = 5 + 20 * quality + 4 * noise + 3 * data + 50 * math.exp(-3 * step / spec.training.steps)
        row = {"val_error": round(error, 2), "val_loss": error / 40, "pseudo_label_coverage": 1 - quality}
        if spec.phase == "evaluate" and step == spec.training.steps:
            row["test_error"] = round(error + noise, 3)
        return row

    def fails_at(self, slot: Slot) -> int | None:
        """The step before which the trial fails, or None."""
        spec = slot.spec
        key = (self.salt, sorted(spec.hyperparameters.items()), spec.seed, spec.off, spec.phase)
        if chance("fails", *key) >= self.failing or (self.mended and slot.attempt):
            return None
        steps = spec.training.report_steps()
        return steps[int(chance("when", *key) * len(steps))]


@dataclass
class Shelf:
    """In place of a ledger."""

    records: list[TrialRecord] = field(default_factory=list)

    def append(self, record: TrialRecord) -> None:
        """Keep a record."""
        self.records.append(record)


@dataclass
class Run:
    """One run of the driver over a plan and what it left behind."""

    state: StudyState
    driver: StudyDriver
    records: list[TrialRecord]
    """Everything, with what was there before."""
    started: list[Slot] = field(default_factory=list)

    @property
    def new(self) -> list[TrialRecord]:
        """Records that trials of this run made, without copies."""
        began = {s.spec.trial_id for s in self.started}
        return [r for r in self.records if r.trial_id in began]


class Interrupted(Exception):
    """The driver is gone."""


def run(
    plan: Plan,
    before: Iterable[TrialRecord] = (),
    *,
    world: World | None = None,
    actors: int = 1,
    order: random.Random | None = None,
    events: int | None = None,
    accepted: Sequence[Origin] = (),
    retry_failed: bool = False,
    limit: Callable[[StudyDriver], str | None] | None = None,
    check: Callable[[Run], None] | None = None,
) -> Run:
    """Run a plan to its end, or for so many events (reports of trials), after which all that is in motion is lost.

    Args:
        plan: What to run.
        before: The ledger.
        world: What trials measure.
        actors: Trials at once.
        order: Which running trial reports next, and how many reports come at once; first come, first served unless given.
        events: Reports until the driver is killed.
        accepted: Earlier origins that count.
        retry_failed: Run failed trials again.
        limit: Of the driver.
        check: Called after every event.
    """
    world = world or World()
    shelf = Shelf(list(before))
    state = StudyState(plan, shelf.records, accepted=accepted, retry_failed=retry_failed)
    with tempfile.TemporaryDirectory() as folder:
        driver = StudyDriver(state, StudyFolders(Path(folder), "world"), shelf, code={}, actors=actors)  # type: ignore[arg-type]
        driver.limit = limit
        done = Run(state, driver, shelf.records)
        progress: dict[str, int] = {}
        count = 0
        while True:
            while (slot := driver.hand_out(handle := f"t{count}")) is not None:
                count += 1
                progress[handle] = 0
                done.started.append(slot)
            if not progress:
                break
            if events is not None:
                events -= 1
                if events < 0:
                    return done
            handle = order.choice(sorted(progress)) if order else min(progress, key=lambda h: int(h[1:]))
            at_once = order.choice([1, 1, 2, 100]) if order else 100
            progress[handle] += at_once
            slot = driver.running[handle].slot
            if advance(driver, handle, slot, world, progress[handle], len(shelf.records)):
                del progress[handle]
            if check is not None:
                check(done)
    return done


def advance(driver: StudyDriver, handle: str, slot: Slot, world: World, reports: int, clock: int) -> bool:
    """Give the driver a trial's first so many reports; True where it ended, and was closed."""
    spec = slot.spec
    steps = [s for s in spec.training.report_steps() if s <= spec.until]
    fails = world.fails_at(slot)
    alive = [s for s in steps if fails is None or s < fails]
    failed = len(alive) < len(steps) and reports > len(alive)
    payload = {
        "rows": [(s, world.row(spec, s)) for s in alive[:reports]],
        "seconds": 1 + 10 * chance("seconds", spec.hyperparameters["learning_rate"], spec.off),
        "started_at": (START + timedelta(seconds=clock)).isoformat(),
        "host": f"host-{handle}",
        "failed": "diverged" if failed else None,
    }
    if driver.receive(handle, payload) or failed or reports >= len(steps):
        driver.close(handle)
        return True
    return False


def manifest_of(plan: Plan, accepted: Sequence[Origin] = ()) -> StudyManifest:
    """What a report of the plan is made from."""
    study = plan.study
    return StudyManifest(
        study=study.study,
        question=study.question,
        reference=plan.arms[0].name,
        arms=plan.arms,
        conditions=tuple(c.info for c in plan.conditions),
        cells=tuple(c.info for c in plan.cells),
        tuning_trials=study.search.trials,
        evaluation_seeds=study.seed_list,
        steps=study.training.steps,
        source="",
        accepted=tuple(accepted),
    )


def facts(records: Iterable[TrialRecord]) -> dict[str, tuple[Any, ...]]:
    """What each record says that must not depend on when and where it was made."""
    return {
        r.trial_id: (
            r.cell, r.arm, r.phase, r.search, r.number, r.seed, r.status, r.steps, r.same_as,
            sorted(r.config.items()), sorted(r.metrics.items()), dict(r.curves),
        )
        for r in records
    }  # fmt: skip


def choices(state: StudyState) -> dict[tuple[str, str], Any]:
    """What each cell's tuning ended with."""
    return {
        c.cell.key: None if c.choice is None else (c.choice.best.trial_id, c.choice.val_error, dict(c.suggested))
        for c in state.cells
    }
