"""Ray Tune's side of the driver: one searcher and one scheduler for the whole study, both thin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.driver import StudyDriver
from results.records import TrialRecord
from trainables.trainable import PAYLOAD

RETRIES_OF_LOST_PROCESSES = 3


class StudySearcher(Searcher):  # type: ignore[misc]
    """Hands out slots as Tune has room, and writes the record of each trial that ends.

    Tune logs and swallows what a searcher raises when a trial ends; so the first such exception is kept in `fault`, no further
    trial is handed out, and the runner raises it.
    """

    def __init__(self, driver: StudyDriver, *, cache: Path, on_record: Callable[[TrialRecord], None]) -> None:
        super().__init__()
        self._driver = driver
        self._constants = {
            "cache": str(cache.resolve()),
            "checkpoints": str(driver.folders.checkpoints.resolve()),
        }
        self._on_record = on_record
        self.fault: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore of its own, and the ledger is what a study goes on from."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Configuration of the next trial, None to wait, or FINISHED."""
        if self.fault is not None or self._driver.done:
            return Searcher.FINISHED
        slot = self._driver.hand_out(trial_id)
        return None if slot is None else {**self._constants, "spec": slot.spec.model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ended by itself, was stopped, or lost its process too often."""
        try:
            if result and PAYLOAD in result:
                self._driver.receive(trial_id, result[PAYLOAD][0])
            lost = None
            if error or not result:
                lost = f"the trial's process died {RETRIES_OF_LOST_PROCESSES + 1} times (killed, or out of memory?)"
            record = self._driver.close(trial_id, lost=lost)
            if record is not None:
                self._on_record(record)
        except Exception as problem:
            self.fault = self.fault or problem

    def save(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]
    """Stops a trial when it is above its own limits, which come from its own cell's complete generations."""

    def __init__(self, driver: StudyDriver) -> None:
        super().__init__()
        self._driver = driver

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for the searcher."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """STOP or CONTINUE."""
        stop = self._driver.receive(trial.trial_id, result[PAYLOAD][0])
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)
