import numpy as np
import pytest

from orchestrator.engine.state import StudyState
from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.trial_simulation import RandomSuggestions, RecordedCourses
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    plan = make_plan(small_study(tmp_path_factory.mktemp("study")).spec)
    records = run_made_up_trials(plan)
    return plan, records, TrialTimings(records)


def test_simulated_curves_are_recorded_ones_and_stopped_ones_go_on(measured):
    plan, records, timings = measured
    cell = plan.cells[0]
    courses = RecordedCourses(plan, records, timings)
    random = np.random.default_rng(0)
    slot = StudyState(plan, []).take()
    assert slot is not None
    assert slot.cell.key == cell.key
    seen = [dict(courses.draw(slot, random).rows) for _ in range(50)]
    assert all(list(rows) == list(cell.condition.training.report_steps()) for rows in seen)
    assert any(r.status == "pruned" and r.arm == cell.arm.name for r in records)
    for step in cell.condition.training.report_steps():  # a made-up trial errs as much at every step
        recorded = {round(r.metrics["val_error"], 6) for r in records if r.arm == cell.arm.name}
        assert {round(rows[step]["val_error"], 6) for rows in seen} <= recorded


def test_without_curves_errors_fall_in_the_grain_of_the_validation_set(measured):
    plan, _, timings = measured
    slot = StudyState(plan, []).take()
    rows = RecordedCourses(plan, [], timings).draw(slot, np.random.default_rng(0)).rows
    errors = [row["val_error"] for _, row in rows]
    assert errors[0] > errors[-1]
    assert all(e % 5 == pytest.approx(0) for e in errors)


def test_random_suggestions_stay_in_the_space_and_begin_with_the_defaults(measured):
    plan, _, _ = measured
    cell = plan.cells[0]
    search = RandomSuggestions(cell)
    assert search.suggest([], 0) == dict(cell.start[0])
    for number in range(1, 50):
        found = search.suggest([], number)
        assert found == search.suggest([], number)
        for name, values in cell.space.items():
            assert values.low <= found[name] <= values.high
