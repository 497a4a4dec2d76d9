"""The run loop on a real Ray, with trials that take no time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune

from orchestrator.cluster.tune_adapters import StudyScheduler, run_trials

pytestmark = pytest.mark.filterwarnings("ignore")


class Instant(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        Path(config["cache"], f"process-{os.getpid()}").touch()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        mark = Path(new_config["cache"]) / "died"
        if new_config["spec"] == "9" and Path(new_config["cache"], "dies").exists() and not mark.exists():
            mark.touch()
            os._exit(1)  # as when the process is killed while no trial runs in it
        return True

    def step(self) -> dict[str, Any]:
        runs_on = self.config["spec"] == "1" and Path(self.config["cache"], "first waits for").exists()
        time.sleep(0.02 if runs_on else 0)
        return {"done": not runs_on, "ablate": [{"answer": self.config["spec"]}]}


@dataclass
class Driver:
    """Hands out numbers, as `StudyDriver` does trials."""

    folders: Any
    trials: int
    handed: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    fails_at: int | None = None
    handed_more: int = 0
    lost: list[str] = field(default_factory=list)
    generation: int | None = None
    enough: Callable[[], bool] = lambda: False
    arms: Callable[[int], str] = lambda number: "small"

    @property
    def done(self) -> bool:
        return len(self.closed) >= self.trials or (self.enough() and self.handed == len(self.closed))

    @property
    def state(self) -> Any:
        return SimpleNamespace(plan=SimpleNamespace(study=SimpleNamespace(study="instant"), cells=[]))

    def hand_out(self, handle: str) -> Any:
        if self.handed >= self.trials + self.handed_more or self.enough():
            return None
        if self.generation and self.handed - len(self.closed) >= self.generation - len(self.closed) % self.generation:
            return None
        self.handed += 1
        return SimpleNamespace(
            spec=SimpleNamespace(model_dump_json=lambda number=self.handed: str(number)),
            cell=SimpleNamespace(arm=SimpleNamespace(name=self.arms(self.handed))),
        )

    def receive(self, handle: str, payload: dict[str, Any]) -> bool:
        self.answers[handle] = payload["answer"]
        return False

    def close(self, handle: str, *, lost: str | None = None) -> Any:
        if self.fails_at == len(self.closed):
            raise OSError("no space left on device")
        if lost:
            self.lost.append(lost)
            return None
        self.closed.append(self.answers[handle])
        return handle


def run_instant(driver: Driver, tmp_path: Path, idle_seconds: float | None = None) -> list[Any]:
    records: list[Any] = []
    run_trials(
        driver,  # type: ignore[arg-type]
        Instant,
        processes=lambda: 2,
        requests={"small": {"CPU": 2.0}, "large": {"CPU": 4.0}, "split": {"CPU": 1.0, "GPU": 0.5}}.__getitem__,
        places=lambda spec: {"cache": str(tmp_path)},
        on_record=records.append,
        idle_seconds=idle_seconds,
    )
    return records


def test_tune_lets_go_of_trials_that_ended(shared_ray, tmp_path, monkeypatch):
    kept = []
    forget = StudyScheduler.on_trial_complete

    def counting(self, tune_controller, trial, result):
        forget(self, tune_controller, trial, result)
        kept.append(self._controller.kept_for_a_restore())

    monkeypatch.setattr(StudyScheduler, "on_trial_complete", counting)
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=25)
    records = run_instant(driver, tmp_path)
    assert sorted(map(int, driver.closed)) == list(range(1, 26))
    assert len(records) == 25
    assert len(kept) == 25
    assert max(kept) <= 6, "two processes, and what is on its way to them"


def test_processes_are_kept_while_a_generation_comes_to_its_end(shared_ray, tmp_path):
    """Both wait there, of which Tune by itself keeps one."""
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=24, generation=2)
    run_instant(driver, tmp_path)
    assert len(driver.closed) == 24
    assert len(list(tmp_path.glob("process-*"))) == 2


def test_a_start_of_a_process_is_seen_through(shared_ray, tmp_path):
    """Tune by itself gives a trial whose process is starting to one that becomes free, and kills the one that starts."""
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=10_000)
    driver.enough = lambda: len(list(tmp_path.glob("process-*"))) == 2
    run_instant(driver, tmp_path)
    assert driver.enough()
    assert len(driver.closed) < 10_000, "both processes were up before the trials, which take no time, were through"


def test_idle_processes_give_way_to_trials_that_want_other_resources(shared_ray, tmp_path):
    """Two small processes fill the cluster of four CPUs; then come trials that want all four, and small ones again."""
    order = ["small"] * 6 + ["large"] * 3 + ["small"] * 3 + ["split"] * 4
    driver = Driver(
        SimpleNamespace(checkpoints=tmp_path), len(order), generation=1, arms=lambda number: order[number - 1]
    )
    run_instant(driver, tmp_path)
    assert driver.closed == [str(number) for number in range(1, len(order) + 1)]


@pytest.mark.parametrize("idle_seconds", [None, 0.0])
def test_processes_that_wait_for_long_end_where_that_is_asked_for(shared_ray, tmp_path, idle_seconds):
    (tmp_path / "first waits for").touch()
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=3)
    hand_out, close = driver.hand_out, driver.close
    turns = iter(range(1000))
    before: set[Path] = set()

    def after_a_while(handle: str) -> Any:  # the first trial runs on, and Tune's loop turns many times
        if driver.handed == 2:
            before.update(tmp_path.glob("process-*"))
            if driver.closed != ["2"] or len(before) < 2 or next(turns) < 100:
                return None
        return hand_out(handle)

    def last(handle: str, *, lost: str | None = None) -> Any:
        if driver.answers[handle] == "3":
            (tmp_path / "first waits for").unlink()
        return close(handle, lost=lost)

    driver.hand_out, driver.close = after_a_while, last  # type: ignore[method-assign]
    run_instant(driver, tmp_path, idle_seconds)
    assert driver.closed == ["2", "3", "1"]
    new = set(tmp_path.glob("process-*")) - before
    assert len(new) == (idle_seconds is not None), "the last trial had a process that was kept, or one of its own"


def test_a_process_that_dies_between_two_trials_costs_one_attempt(shared_ray, tmp_path):
    """Tune reports the death of a process that it was resetting twice, once as a failure beyond all retries."""
    (tmp_path / "dies").touch()
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=24)
    driver.handed_more = 1
    run_instant(driver, tmp_path)
    assert (tmp_path / "died").exists()
    assert driver.lost == ["the trial's process died (killed, or out of memory?)"]
    assert sorted(map(int, driver.closed)) == [n for n in range(1, 26) if n != 9]


def test_a_record_that_cannot_be_written_ends_the_run_with_its_own_error(shared_ray, tmp_path):
    driver = Driver(SimpleNamespace(checkpoints=tmp_path), trials=25, fails_at=3)
    with pytest.raises(OSError, match="no space left"):
        run_instant(driver, tmp_path)
    assert len(driver.closed) < 25


def test_what_the_driver_imports_leaves_torch_to_the_workers():
    import subprocess
    import sys

    code = (
        "import sys, orchestrator.running.runner, orchestrator.cluster.tune_adapters, trainables.trainable;"
        "sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
