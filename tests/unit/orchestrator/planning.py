"""Studies and records for tests of plans and forecasts: real plans, and trials that are made up but go through the real driver."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.check.loading import LoadedStudy, load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord
from tests.integration.studies import write_study

START = datetime(2026, 1, 1, tzinfo=UTC)


class KeptInMemory(Ledger):
    """A ledger without files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kept: list[TrialRecord] = []

    def append(self, record: TrialRecord) -> Path:
        self.kept.append(record)
        return self.folder

    def records(self) -> list[TrialRecord]:
        return self.kept


def small_study(folder: Path, *overrides: str, **changes: Any) -> LoadedStudy:
    """Three arms of digits, 24 steps, six reports."""
    changes["resources"] = {"actors": None, **changes.get("resources", {})}
    return load_study(write_study(folder, **changes), overrides)


def run_made_up_trials(
    plan: Plan,
    runs: Path | None = None,
    *,
    limit: int | None = None,
    seconds_a_step: float = 0.5,
    errors: dict[str, float] | None = None,
) -> list[TrialRecord]:
    """Run a plan's trials one after another without training; the records stand in the study's ledger below `runs`, if it is given.

    A trial takes `seconds_a_step` (twice that for fixmatch), 0.25 s of set-up and 0.25 s besides; its errors are its arm's
    entry in `errors` (20 unless given) plus its seed's share, so that arms are paired.
    """
    folders = StudyFolders(runs or Path("never-written"), plan.study.study)
    ledger = KeptInMemory(folders.ledger) if runs is None else Ledger(folders.ledger)
    driver = StudyDriver(StudyState(plan, []), folders, ledger, code={})
    clock = START
    while not driver.done and (limit is None or driver.written < limit):
        slot = driver.hand_out("trial")
        assert slot is not None
        per_step = seconds_a_step * (2 if slot.cell.arm.name == "fixmatch" else 1)
        error = (errors or {}).get(slot.cell.arm.name, 20.0) + (slot.spec.seed * 7 % 5) + slot.number * 0.1
        for step in slot.spec.training.report_steps():
            row = {"val_error": error, "val_loss": 1.0, "test_error": error}
            payload = {
                "rows": [(step, row)], "seconds": per_step * step, "setup_seconds": 0.25, "wall_seconds": per_step * step + 0.5,
                "started_at": clock.isoformat(), "host": "node", "process": 1, "device": "cpu (test)",
            }  # fmt: skip
            if driver.receive("trial", payload):
                break
        record = driver.close("trial")
        assert record is not None
        clock += timedelta(seconds=record.wall_seconds + 0.125)
    return ledger.records()


__all__ = ["START", "make_plan", "run_made_up_trials", "small_study"]
