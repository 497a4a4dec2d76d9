from dataclasses import replace

import numpy as np
import pytest

from orchestrator.engine.timings import Calibration, TrialTimings
from orchestrator.study.sections import EarlyStoppingSpec
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study


@pytest.fixture
def plan(tmp_path):
    return make_plan(small_study(tmp_path).spec)


def calibration(plan, per_step=3.0):
    return Calibration(
        host="h", device="cpu", source="s", at_once=2, per_step={c.id: per_step for c in plan.cells}, setup_seconds=1.0
    )


def test_a_cells_own_trials_are_taken_where_there_are_any(plan, tmp_path):
    timings = TrialTimings(run_made_up_trials(plan))
    for cell in plan.cells:
        for phase in ("tune", "evaluate"):
            sample = timings.sample(cell, phase)
            assert sample.source == "cell"
            assert sample.mean_step == pytest.approx(1.0 if cell.arm.name == "fixmatch" else 0.5)
            assert sample.seconds(24) == pytest.approx(24 * sample.mean_step + 0.5)
    assert timings.turnaround == pytest.approx(0.125)


def test_without_records_of_its_own_a_cell_borrows_from_its_algorithm_and_then_from_all(plan, tmp_path):
    records = run_made_up_trials(plan)
    full, ablated, fixmatch = plan.cells
    only_full = TrialTimings([r for r in records if r.arm == full.arm.name])
    assert only_full.sample(ablated, "tune").source == "algorithm"
    assert only_full.sample(fixmatch, "tune").source == "study"
    only_tuned = TrialTimings([r for r in records if r.phase == "tune"])
    assert only_tuned.sample(full, "evaluate").source == "cell"


def test_records_of_an_earlier_training_source_still_tell_the_time(plan, tmp_path):
    records = [replace(r, cell="an-earlier-identity") for r in run_made_up_trials(plan)]
    sample = TrialTimings(records).sample(plan.cells[2], "tune")
    assert (sample.source, sample.mean_step) == ("cell", pytest.approx(1.0))


def test_a_calibration_stands_in_for_arms_without_records_only(plan, tmp_path):
    records = run_made_up_trials(plan)
    full, _, fixmatch = plan.cells
    timings = TrialTimings([r for r in records if r.arm == full.arm.name], calibration(plan))
    assert timings.sample(full, "tune").source == "cell"
    assert timings.sample(fixmatch, "tune").source == "calibration"
    assert timings.sample(fixmatch, "evaluate").seconds(10) == pytest.approx(31.0)
    assert TrialTimings([], calibration(plan)).sample(full, "tune").source == "calibration"


def test_nothing_known_is_none(plan):
    assert TrialTimings([]).sample(plan.cells[0], "tune") is None
    assert not TrialTimings([])


def test_failed_trials_and_outcomes_taken_over_tell_no_time(plan, tmp_path):
    records = run_made_up_trials(plan, limit=3)
    spoiled = [
        replace(records[0], status="failed", error="x"), replace(records[1], same_as="other"), replace(records[2], steps=0)
    ]  # fmt: skip
    assert TrialTimings(spoiled).sample(plan.cells[0], "tune") is None


def test_share_of_steps_is_what_tuning_trials_used(plan, tmp_path):
    records = run_made_up_trials(plan)
    full = plan.cells[0]
    tuned = [r for r in records if r.cell == full.id and r.phase == "tune"]
    assert any(r.status == "pruned" for r in tuned), (
        "the made-up errors rise with the number, so that later trials are stopped"
    )
    low, expected, high = TrialTimings(records).share_of_steps(full)
    assert expected == pytest.approx(np.mean([r.steps / 24 for r in tuned]))
    assert low <= expected <= high <= 1
    never = EarlyStoppingSpec(rule="none")
    unstopped = replace(full, search=full.search.model_copy(update={"early_stopping": never}))
    assert TrialTimings(records).share_of_steps(unstopped) == (1, 1, 1)
    low, expected, high = TrialTimings([]).share_of_steps(full)
    assert 0 < low < expected < high == 1
