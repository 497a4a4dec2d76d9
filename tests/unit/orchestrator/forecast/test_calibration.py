import json
from dataclasses import asdict, replace

import pytest

from orchestrator.common.folders import StudyFolders
from orchestrator.forecast.calibration import (
    CalibrationFailed,
    calibrate,
    calibration_path,
    cells_to_measure,
    expected_seconds,
    load_calibration,
)
from orchestrator.running.plan_summary import summarise_plan
from tests.unit.orchestrator.planning import make_plan, small_study

NO_POOLS = {"contamination": 0.0, "generators": []}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    loaded = small_study(folder, data=NO_POOLS, resources={"actors": 1})
    folders = StudyFolders(folder / "runs", "small")
    return loaded, folders, calibrate(make_plan(loaded.spec), folders)


def test_a_calibration_measures_every_arm_and_is_kept(measured):
    loaded, folders, found = measured
    plan = make_plan(loaded.spec)
    assert set(found.per_step) == {c.id for c in plan.cells}
    assert all(0 < seconds < 10 for seconds in found.per_step.values())
    assert found.at_once == 1
    assert found.checkpoint_bytes > 1000
    assert found.pool_seconds == 0
    assert load_calibration(plan, folders) == found


def test_the_plan_tells_the_time_by_it(measured):
    loaded, folders, found = measured
    summary = summarise_plan(loaded, folders.runs)
    assert summary["hours_from"] == "by calibration on this machine"
    assert summary["hours"]["low"] < summary["hours"]["expected"] < summary["hours"]["high"]
    assert summary["disk_bytes"]["checkpoints"] == found.checkpoint_bytes


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"source": "other-code"}])
def test_one_of_another_machine_or_other_code_is_not_used(measured, tmp_path, change):
    loaded, _, found = measured
    plan = make_plan(loaded.spec)
    folders = StudyFolders(tmp_path, "small")
    path = calibration_path(folders)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(asdict(found)), encoding="utf-8")
    assert load_calibration(plan, folders) == found
    path.write_text(json.dumps(asdict(replace(found, **change))), encoding="utf-8")
    assert load_calibration(plan, folders) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}'])
def test_a_damaged_one_is_as_if_there_were_none(tmp_path, text):
    folders = StudyFolders(tmp_path, "small")
    calibration_path(folders).parent.mkdir(parents=True)
    calibration_path(folders).write_text(text, encoding="utf-8")
    assert load_calibration(make_plan(small_study(tmp_path).spec), folders) is None


def test_further_conditions_are_measured_for_the_first_arm_alone(tmp_path):
    plan = make_plan(small_study(tmp_path, conditions={"data.labels_per_class": [2, 3, 4]}).spec)
    assert len(plan.cells) == 9
    chosen = cells_to_measure(plan)
    assert len(chosen) == 3 + 2
    assert expected_seconds(plan) > 0


def test_a_worker_that_fails_says_why(tmp_path, monkeypatch):
    loaded = small_study(tmp_path, data=NO_POOLS, resources={"actors": 1})
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(CalibrationFailed, match="status 1"):
        calibrate(make_plan(loaded.spec), StudyFolders(tmp_path / "runs", "small"))
