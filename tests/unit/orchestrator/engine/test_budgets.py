from __future__ import annotations

import random

import pytest

from orchestrator.engine.budgets import RunLimits
from tests.unit.orchestrator.worlds import facts, plan_of, run


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("most", [1, 4, 10])
@pytest.mark.parametrize("actors", [1, 3])
def test_most_trials_are_exact_and_the_next_run_goes_on(most: int, actors: int) -> None:
    plan, records, runs = plan_of(), [], 0
    whole = run(plan)
    while True:
        done = run(plan, records, actors=actors, order=random.Random(1), limit=RunLimits(trials=most).watch())
        records, runs = done.records, runs + 1
        assert done.driver.written <= most
        if done.state.done:
            break
        assert done.driver.written == most
        assert done.driver.stopped == f"--max-trials {most} is reached"
        assert done.driver.done
    assert runs == -(-len(whole.started) // most)
    assert facts(done.state.records().values()) == facts(whole.state.records().values())


def test_hours_end_a_run_between_trials() -> None:
    clock = Clock()
    watch = RunLimits(hours=0.5).watch()
    watch.clock, watch._started = clock, 0.0

    def tick(done: object) -> None:
        clock.now += 600.0

    done = run(plan_of(), limit=watch, check=tick)
    assert done.driver.written == 3
    assert done.driver.stopped == "--max-hours 0.5 is reached"
    assert not done.driver.running


def test_gpu_hours_count_what_trials_held(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"held": 0.0}
    monkeypatch.setattr("orchestrator.engine.driver.StudyDriver.gpu_seconds", lambda self: seconds["held"])

    def hold(done: object) -> None:
        seconds["held"] += 1800.0

    done = run(plan_of(), limit=RunLimits(gpu_hours=1).watch(), check=hold)
    assert done.driver.written == 2
    assert done.driver.stopped == "--max-gpu-hours 1 is reached"
    monkeypatch.undo()
    assert run(plan_of(), limit=RunLimits(gpu_hours=1).watch()).state.done  # without a GPU it is no limit


def test_without_limits_a_run_goes_to_its_end() -> None:
    done = run(plan_of(), limit=RunLimits().watch())
    assert done.driver.stopped is None
    assert done.state.done
