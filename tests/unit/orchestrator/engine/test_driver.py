from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import make_plan
from orchestrator.engine.driver import RETRIES_OF_LOST_PROCESSES, StudyDriver
from orchestrator.engine.gpu_memory import GpuShares
from orchestrator.engine.payload import GPU_ENERGY, GPU_MEMORY
from orchestrator.engine.state import StudyState
from results.ledger.ledger import Ledger
from tests.unit.orchestrator.planning import small_study


@pytest.fixture
def driver(tmp_path: Path) -> StudyDriver:
    plan = make_plan(small_study(tmp_path, search={"trials": 0}).spec)
    folders = StudyFolders(tmp_path / "runs", "small")
    return StudyDriver(StudyState(plan, []), folders, Ledger(folders.ledger), code={}, actors=1)


def test_a_lost_trial_starts_again_before_all_others_and_fails_in_the_end(driver: StudyDriver) -> None:
    first = driver.hand_out("0")
    assert first is not None
    for n in range(RETRIES_OF_LOST_PROCESSES):
        assert driver.hand_out("too many at once") is None
        assert driver.close(str(n), lost="its process died") is None
        assert driver.hand_out(str(n + 1)) is first
    record = driver.close(str(RETRIES_OF_LOST_PROCESSES), lost="its process died")
    assert record is not None
    assert (record.trial_id, record.status, record.error) == (
        first.spec.trial_id,
        "failed",
        "its process died, 4 times",
    )
    assert len(driver.ledger.records()) == driver.written == 1
    second = driver.hand_out("next")
    assert second is not None
    assert second.spec.trial_id != first.spec.trial_id


def test_the_features_of_a_cells_first_evaluation_are_kept(driver: StudyDriver) -> None:
    kept = {}
    while (slot := driver.hand_out("a")) is not None:
        result = {"rows": [[slot.spec.until, {"val_error": 1.0, "test_error": 2.0}]], "features": b"of this trial"}
        driver.receive("a", result)
        driver.close("a")
        kept[slot.spec.trial_id] = slot.number
    files = {path.stem: path.read_bytes() for path in driver.folders.features.iterdir()}
    assert files == {name: b"of this trial" for name, number in kept.items() if number == 0}
    assert 0 < len(files) < len(kept)


def test_a_trial_that_raised_does_not_start_again(driver: StudyDriver) -> None:
    driver.hand_out("0")
    driver.receive("0", {"rows": [], "failed": "not mended"})
    record = driver.close("0", lost="its process died")
    assert record is not None
    assert (record.status, record.error) == ("failed", "not mended")


OUT = {"rows": [], "failed": "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."}


def test_a_trial_that_ran_out_of_memory_starts_again_once_with_more(driver: StudyDriver) -> None:
    slot = driver.hand_out("0")
    assert slot is not None
    arm = slot.cell.arm.name
    driver.close("0", lost="only to begin with a share")
    driver.gpus = GpuShares({arm: 0.25})
    assert driver.hand_out("1") is slot
    driver.receive("1", OUT)
    assert driver.close("1") is None
    assert driver.gpus[arm] == 0.5
    assert driver.hand_out("2") is slot
    assert driver.running["2"].gpus == 0.5
    driver.receive(
        "2", {"rows": [[slot.spec.until, {"val_error": 1.0}]], GPU_MEMORY: (3 << 30, 16 << 30), GPU_ENERGY: 1.5}
    )
    record = driver.close("2")
    assert record is not None
    assert record.status == "completed"
    assert record.metrics["gpu_memory_mib"] == 3072
    assert record.metrics["gpu_energy_wh"] == 1.5
    assert record.log is not None
    said = (driver.folders.study / record.log).read_text()
    assert "before: with 0.25 of a GPU: OutOfMemoryError: CUDA out of memory" in said
    assert "started again with 0.5" in said
    assert "Traceback" not in said


def test_a_trial_that_runs_out_of_memory_again_failed(driver: StudyDriver) -> None:
    slot = driver.hand_out("0")
    assert slot is not None
    driver.running["0"].gpus = 0.25
    driver.gpus = GpuShares({slot.cell.arm.name: 0.25})
    for handle in "01":
        driver.receive(handle, OUT)
        record = driver.close(handle)
        assert (record is None) == (handle == "0")
        driver.hand_out("1")
    assert record is not None
    assert record.status == "failed"
    assert record.error == OUT["failed"]


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_with_a_whole_gpu_or_none_there_is_no_more_to_give(driver: StudyDriver, share: float) -> None:
    slot = driver.hand_out("0")
    assert slot is not None
    driver.gpus = GpuShares({slot.cell.arm.name: share})
    driver.running["0"].gpus = share
    driver.receive("0", OUT)
    record = driver.close("0")
    assert record is not None
    assert record.status == "failed"


def test_gpu_seconds_count_what_each_trial_held(driver: StudyDriver) -> None:
    slot = driver.hand_out("0")
    assert slot is not None
    assert driver.gpu_seconds() == 0
    driver.running["0"].gpus, driver.running["0"].since = 0.5, time.monotonic() - 1000
    assert driver.gpu_seconds() == pytest.approx(500, rel=0.1)
    driver.close("0", lost="its node went")
    assert driver.gpu_seconds() == pytest.approx(500, rel=0.1)
