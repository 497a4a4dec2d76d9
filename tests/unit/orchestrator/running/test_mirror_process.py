from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.common.mirror_status import PROGRESS_NAME, MirrorStatus
from orchestrator.running.mirror_process import MirrorProcess, has_everything, tracking_uri


def test_the_driver_side_does_not_import_mlflow() -> None:
    code = "import sys, orchestrator.running.mirror_process, orchestrator.browse.ui; sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])


def test_the_default_store_is_beside_the_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    assert tracking_uri(tmp_path) == "http://there:5000"


def test_a_status_survives_the_file(tmp_path: Path) -> None:
    status = MirrorStatus(3, 5, "down")
    status.save(tmp_path / "log" / "mirror.json")
    assert MirrorStatus.load(tmp_path / "log" / "mirror.json") == status


@pytest.mark.parametrize("text", ["", "{", "[]", '{"written": 1}', '{"written": null, "total": 2, "error": null}'])
def test_a_damaged_status_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "mirror.json").write_text(text)
    assert MirrorStatus.load(tmp_path / "mirror.json") == MirrorStatus()


def test_a_mirror_that_was_never_started_has_nothing_to_finish(tmp_path: Path) -> None:
    mirror = MirrorProcess(tmp_path, "sqlite:////nowhere/mlflow.db", tmp_path / "mirror.log")
    assert mirror.finish(1.0) == MirrorStatus()


def test_a_mirror_that_is_done_is_done_as_long_as_its_store_is_there(tmp_path: Path) -> None:
    store = tmp_path / "r?x" / "mlflow.db"
    store.parent.mkdir()
    store.touch()
    uri = tracking_uri(store.parent)
    MirrorStatus(5, 5).save(tmp_path / PROGRESS_NAME)
    assert has_everything(tmp_path, uri, 5)
    assert not has_everything(tmp_path, uri, 6)
    assert has_everything(tmp_path, "http://there:5000", 5)
    store.unlink()
    assert not has_everything(tmp_path, uri, 5)


def test_a_mirror_that_could_not_start_is_replaced_for_the_last_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code may be on its way to the node again just then."""
    working = "import sys; sys.stdin.read(); print('the last sync')"
    commands = [
        [sys.executable, "-c", "raise ModuleNotFoundError('half of the code')"],
        [sys.executable, "-c", working],
    ]
    monkeypatch.setattr("orchestrator.running.mirror_process.module_command", lambda *_: commands.pop(0))
    mirror = MirrorProcess(tmp_path, "sqlite:////nowhere/mlflow.db", tmp_path / "mirror.log")
    mirror.start()
    while mirror.status().exit_status is None:
        time.sleep(0.01)
    assert "the mirror ended with status 1" in str(mirror.status().error)
    assert mirror.finish(60.0) == MirrorStatus(exit_status=0)
    assert "the last sync" in (tmp_path / "mirror.log").read_text()


def test_a_mirror_whose_store_refuses_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [[sys.executable, "-c", "raise SystemExit(3)"]]
    monkeypatch.setattr("orchestrator.running.mirror_process.module_command", lambda *_: commands.pop(0))
    mirror = MirrorProcess(tmp_path, "sqlite:////nowhere/mlflow.db", tmp_path / "mirror.log")
    mirror.start()
    MirrorStatus(error="the store is down").save(tmp_path / PROGRESS_NAME)
    while mirror.status().exit_status is None:
        time.sleep(0.01)
    assert mirror.finish(60.0).error == "the store is down"
