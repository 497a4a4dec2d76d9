import json

import numpy as np
import pytest

from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.cost import PROCESS_SECONDS
from orchestrator.forecast.forecast import ForecastOptions, forecast, simulate
from orchestrator.forecast.trial_simulation import CannotForecast, RecordedCourses
from orchestrator.forecast.virtual_cluster import ClusterShape
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    plan = make_plan(small_study(tmp_path_factory.mktemp("study")).spec)
    records = run_made_up_trials(plan)
    return plan, records, TrialTimings(records)


def told(measured, **options):
    plan, records, timings = measured
    return forecast(plan, records, timings, ForecastOptions(**{"cpus_per_node": 1, **options}))


def test_a_forecast_from_a_run_is_that_runs_length(tmp_path):
    plan = make_plan(small_study(tmp_path, search={"early_stopping": {"rule": "none"}}).spec)
    records = run_made_up_trials(plan)
    timings = TrialTimings(records)
    found = forecast(plan, records, timings, ForecastOptions(cpus_per_node=1))
    seconds = found["makespan_hours"]["expected"] * 3600 - found["fixed_seconds"]
    real = sum(r.wall_seconds + timings.turnaround for r in records if r.same_as is None)
    assert found["trials"] == len(records)
    assert seconds == pytest.approx(real + PROCESS_SECONDS, abs=1.5)
    assert found["makespan_hours"]["low"] < found["makespan_hours"]["expected"] < found["makespan_hours"]["high"]
    json.dumps(found)


def test_more_nodes_are_faster_and_idle_more(measured):
    one, ten = told(measured), told(measured, nodes=10)
    assert ten["makespan_hours"]["expected"] < one["makespan_hours"]["expected"]
    assert ten["trials_at_once"] == 10
    assert ten["idle_share"] > one["idle_share"]
    shares = ("utilisation", "starting_share", "driver_wait_share", "lost_share", "idle_share")
    assert sum(ten[name] for name in shares) == pytest.approx(1, abs=0.02)


def test_faults_are_told_beside_the_same_run_without_them(measured):
    found = told(measured, nodes=4, stragglers=0.5)
    assert found["without_faults"]["cost"] > 0
    assert any("take 3 times as long" in s for s in found["sentences"])
    assert told(measured, nodes=4)["without_faults"] is None


def test_gpus_bound_the_trials_of_a_node(measured, tmp_path):
    _, records, timings = measured
    shared = make_plan(small_study(tmp_path, resources={"gpus": 0.25, "cpus": 2}).spec)
    found = forecast(shared, records, timings, ForecastOptions(nodes=3, gpus_per_node=2))
    assert found["trials_at_once"] == 3 * 8
    assert found["gpus"] == 6
    assert found["gpu_hours"] > 0
    few_cpus = forecast(shared, records, timings, ForecastOptions(nodes=3, gpus_per_node=2, cpus_per_node=6))
    assert few_cpus["trials_at_once"] == 3 * 3


def test_a_node_that_runs_no_trial_is_refused(measured, tmp_path):
    _, records, timings = measured
    large = make_plan(small_study(tmp_path, resources={"cpus": 8}).spec)
    with pytest.raises(CannotForecast, match="--cpus-per-node"):
        forecast(large, records, timings, ForecastOptions(cpus_per_node=4))


def test_nothing_known_is_refused(measured):
    plan, _, _ = measured
    with pytest.raises(CannotForecast, match="--calibrate"):
        forecast(plan, [], TrialTimings([]), ForecastOptions(cpus_per_node=1))


def test_pools_cost_time_and_are_said_where_that_is_not_known(measured):
    plan, records, timings = measured
    options = ForecastOptions(cpus_per_node=1)
    free, timed = (forecast(plan, records, timings, options, pools=3, pool_seconds=s) for s in (0.0, 100.0))
    assert timed["fixed_seconds"] - free["fixed_seconds"] == pytest.approx(300)
    assert any("not known and not counted" in s for s in free["sentences"])


def test_the_sampler_does_not_change_how_long_a_study_takes(measured):
    plan, records, timings = measured
    courses = RecordedCourses(plan, records, timings)
    spans = [
        np.mean([simulate(plan, courses, ClusterShape(nodes=2), seed=s, search=real).makespan for s in range(6)])
        for real in (True, False)
    ]
    assert spans[0] == pytest.approx(spans[1], rel=0.15)
