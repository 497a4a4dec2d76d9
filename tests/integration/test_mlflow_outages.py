"""A server that is away, slow, broken or locked: the study never waits for it, and nothing is lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.browse.ui import serve_ui
from orchestrator.common.mirror_status import MirrorStatus
from orchestrator.mirror import check, sync
from orchestrator.running.mirror_process import MirrorProcess
from tests.integration.faulty_server import Fault, FaultyServer
from tests.integration.mlflow_studies import append, make_manifest, some_records, write_study

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

SAID: dict[Fault, str] = {"down": "onnection", "error": "500", "denied": "401"}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    uri = f"sqlite:///{folder}/mlflow.db"
    sync(study(folder, "first"), uri)
    with serve_ui(uri, log_path=folder / "ui.log") as ui:
        yield ui.address


@pytest.fixture
def server(upstream: str) -> Iterator[FaultyServer]:
    with FaultyServer(upstream).running() as running:
        yield running


def study(folder: Path, name: str) -> Path:
    return write_study(folder, some_records()[:4], make_manifest(study=name))


def until(mirror: MirrorProcess, reached: Callable[[MirrorStatus], bool]) -> MirrorStatus:
    for _ in range(1200):
        status = mirror.status()
        if reached(status):
            return status
        time.sleep(0.1)
    raise AssertionError(f"the mirror stays at {mirror.status()}")


def test_every_fault_in_turn_is_said_and_made_up_for(server: FaultyServer, tmp_path: Path) -> None:
    records = some_records()
    study_dir = write_study(tmp_path, records[:2], make_manifest(study="faults"))
    with MirrorProcess(study_dir, server.address, tmp_path / "mirror.log") as mirror:
        for number, fault in enumerate(SAID, start=1):
            server.fault = fault
            append(study_dir, *records[2 * number : 2 * number + 2])
            status = until(mirror, lambda s: s.error is not None)
            assert SAID[fault] in str(status.error)
            assert status.written == (0 if number == 1 else 2 * number)
            server.fault = "none"
            until(mirror, lambda s, n=number: s.error is None and s.written == 2 * n + 2)
        assert mirror.finish(60) == MirrorStatus(8, 8, None, 0)
    assert check(study_dir, server.address) == []


def test_a_slow_server_is_left_to_the_next_sync(server: FaultyServer, tmp_path: Path) -> None:
    study_dir = study(tmp_path, "slow")
    server.fault = "slow"
    with MirrorProcess(study_dir, server.address, tmp_path / "mirror.log") as mirror:
        while server.calls < 3:  # in the middle of writing
            time.sleep(0.1)
        left = mirror.finish(0.5)
        assert "`ablate sync` writes the rest" in str(left.error)
    server.fault = "none"
    with MirrorProcess(study_dir, server.address, tmp_path / "mirror.log") as mirror:
        assert mirror.finish(60) == MirrorStatus(4, 4, None, 0)
    assert check(study_dir, server.address) == []


def test_a_password_is_used_and_shown_nowhere(server: FaultyServer, tmp_path: Path) -> None:
    study_dir = study(tmp_path, "denied")
    server.fault = "denied"
    uri = server.address.replace("//", "//me:planted-secret@")
    with MirrorProcess(study_dir, uri, tmp_path / "mirror.log") as mirror:
        error = str(until(mirror, lambda s: s.error is not None).error)
        assert "//…@127.0.0.1" in error
        assert "401" in error
        assert "MLFLOW_TRACKING_TOKEN" in error
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                assert b"planted-secret" not in process.read_bytes()
        server.fault = "none"
        assert mirror.finish(60).exit_status == 0
    assert "bWU6cGxhbnRlZC1zZWNyZXQ=" in str(server.authorization)  # me:planted-secret
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"planted-secret" not in path.read_bytes()
