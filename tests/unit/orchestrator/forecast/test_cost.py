from dataclasses import replace

import pytest

from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import make_plan
from orchestrator.engine.state import StudyState
from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.cost import (
    END_SECONDS,
    START_SECONDS,
    Work,
    disk,
    gpus_of_trials,
    hours,
    pool_bytes,
    pools_to_make,
    trial_hours,
    work_left,
)
from tests.unit.orchestrator.planning import run_made_up_trials, small_study
from trainables.data.pools import pool_specs
from trainables.data.seed_block import cut_block, missing_pools


@pytest.fixture
def plan(tmp_path):
    return make_plan(small_study(tmp_path).spec)


def left(plan, records):
    return [w for c in StudyState(plan, records).cells for w in work_left(c)]


def test_what_is_left_is_what_the_ledger_lacks_by_phase(plan, tmp_path):
    assert [(w.phase, w.trials) for w in left(plan, [])] == [("tune", 5), ("evaluate", 2)] * 3
    records = run_made_up_trials(plan)
    assert left(plan, records) == []
    without_one = [r for r in records if not (r.arm == "fixmatch" and r.phase == "evaluate" and r.seed == 1)]
    assert [(w.cell.arm.name, w.phase, w.trials) for w in left(plan, without_one)] == [("fixmatch", "evaluate", 1)]


def test_hours_add_the_trials_up_and_share_them_among_the_actors(plan, tmp_path):
    timings = TrialTimings(run_made_up_trials(plan))
    work = [Work(cell=plan.cells[0], phase="evaluate", trials=100)]
    found = hours(work, timings, actors=1)
    one = 24 * 0.5 + 0.5 + 0.125
    assert found["trial_hours"] * 3600 == pytest.approx(100 * one)
    assert found["expected"] * 3600 == pytest.approx(100 * one + START_SECONDS + END_SECONDS)
    assert found["low"] <= found["expected"] <= found["high"]
    four = hours(work, timings, actors=4, pool_seconds=40)
    assert four["expected"] * 3600 == pytest.approx(25 * one + START_SECONDS + END_SECONDS + 10, rel=0.05)


def test_generations_of_one_cell_follow_each_other_however_many_actors_there_are(plan, tmp_path):
    timings = TrialTimings(run_made_up_trials(plan))
    cell = plan.cells[0]
    assert cell.generation == 2
    found = hours([Work(cell=cell, phase="tune", trials=10)], timings, actors=1000)
    at_once = hours([Work(cell=cell, phase="evaluate", trials=10)], timings, actors=1000)
    assert found["expected"] - at_once["expected"] > 1.5 * (12 + 0.5) / 3600


def test_the_interval_is_wider_for_arms_that_never_ran(plan, tmp_path):
    records = run_made_up_trials(plan)
    work = [Work(cell=plan.cells[2], phase="evaluate", trials=10)]

    def width(known):
        found = hours(work, TrialTimings(known), actors=1)
        return found["high"] - found["low"]

    assert width([r for r in records if r.arm != "fixmatch"]) > 2 * width(records)


def test_nothing_known_is_none_and_nothing_to_do_is_zero(plan, tmp_path):
    work = [Work(cell=plan.cells[0], phase="tune", trials=1)]
    assert hours(work, TrialTimings([]), actors=1) is None
    assert hours([], TrialTimings(run_made_up_trials(plan)), actors=1)["expected"] == 0


def test_disk_is_per_record_what_the_ledger_takes(plan, tmp_path):
    records = run_made_up_trials(plan, tmp_path / "runs")
    folders = StudyFolders(tmp_path / "runs", plan.study.study)
    on_disk = sum(f.stat().st_size for f in folders.ledger.glob("*.parquet"))
    found = disk(plan, folders, [], recorded=len(records), to_run=2 * len(records), actors=2, checkpoint_bytes=1000)
    assert found["ledger"] == pytest.approx(2 * on_disk)
    assert found["checkpoints"] == 2000
    assert found["pools"] == 0
    assert found["total"] == sum(v for k, v in found.items() if k != "total")


def test_pools_are_as_large_as_said_and_no_longer_missing_once_made(tmp_path):
    plan = make_plan(small_study(tmp_path).spec)
    folders = StudyFolders(tmp_path / "runs", "small")
    blocks = pools_to_make(plan, folders, [])
    assert blocks == plan.seed_blocks
    spec, seed = blocks[0]
    _, _, split, fingerprint = cut_block(spec, seed)
    images = sum(pool.count for pool in pool_specs(spec, split, fingerprint, seed))
    assert pool_bytes(spec) == images * (8 * 8 + 8) > 0
    [path] = missing_pools(spec, seed, folders.pools)
    path.parent.mkdir(parents=True)
    path.touch()
    assert pools_to_make(plan, folders, []) == plan.seed_blocks[1:]


def test_a_seed_block_that_was_used_is_not_looked_for(plan, tmp_path):
    records = run_made_up_trials(plan)
    assert pools_to_make(plan, StudyFolders(tmp_path / "runs", "small"), records) == []


def test_gpus_are_what_the_study_says_or_what_its_trials_used(tmp_path):
    automatic = make_plan(small_study(tmp_path, resources={"gpus": "auto"}).spec)
    [record] = run_made_up_trials(automatic, limit=1)
    assert gpus_of_trials(automatic, [record]) == 0
    assert gpus_of_trials(automatic, [replace(record, device="cuda (H100)")]) == 1
    assert gpus_of_trials(make_plan(small_study(tmp_path, resources={"gpus": 0.25}).spec), [record]) == 0.25


def test_trial_hours_are_those_of_hours(plan):
    timings = TrialTimings(run_made_up_trials(plan))
    work = left(plan, [])
    assert trial_hours(work, timings) == pytest.approx(hours(work, timings, actors=3)["trial_hours"])
    assert trial_hours(work, TrialTimings([])) is None
