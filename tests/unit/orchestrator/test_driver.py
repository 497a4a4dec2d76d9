from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.driver import RETRIES_OF_LOST_PROCESSES, StudyDriver
from orchestrator.folders import StudyFolders
from orchestrator.state import StudyState
from orchestrator.study_plan import make_plan
from results.ledger import Ledger
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
