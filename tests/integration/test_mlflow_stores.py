"""MLflow's store as a file: killed while it is made, of another schema, in odd folders, moved, beside files that shadow modules."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.browse.ui import UIError, serve_ui
from orchestrator.browse.ui_access import access
from orchestrator.mirror import StoreUnavailable, check, discard_changed, sync
from orchestrator.mirror.database import Tracking, Users, complete
from orchestrator.running.mirror_process import tracking_uri
from tests.integration.mlflow_studies import make_record, some_records, write_study

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed database:ResourceWarning",
    "ignore:No path_separator:DeprecationWarning",  # in the settings that MLflow gives Alembic
)

ROOT = Path(__file__).parents[2]
ABLATE = Path(sys.executable).with_name("ablate")
ODD = ("r?x", "r#x", "r%41", "a b", "[x]", "it's", 'q"x', "r@x:y", "ü é", "r\\x")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables and nothing in them."""
    path = tmp_path_factory.mktemp("whole") / "mlflow.db"
    complete(path, Tracking())
    return path


@pytest.fixture
def runs(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", raising=False)
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(whole, folder)
    return folder


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def in_the_bin(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("select count(*) from runs where lifecycle_stage = 'deleted'").fetchone()[0])


def test_kills_while_a_store_is_made_or_upgraded_lose_nothing() -> None:
    command = [sys.executable, "benchmarks/store_kills.py", "--small", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["kills"] == found["complete"] == 4, done.stderr
    assert found["hit"] >= 3
    assert found["missing"] == found["twice"] == found["theirs_lost"] == found["left_beside"] == 0


def test_a_whole_store_is_left_alone(runs: Path) -> None:
    before = (runs / "mlflow.db").stat()
    complete(runs / "mlflow.db", Tracking())
    after = (runs / "mlflow.db").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [p.name for p in runs.iterdir()] == ["mlflow.db"]


def test_the_journal_of_a_deleted_store_does_not_get_into_the_new_one(runs: Path) -> None:
    store = runs / "mlflow.db"
    child = os.fork()
    if not child:
        with closing(sqlite3.connect(store)) as database:
            database.execute("pragma cache_size = 1")
            database.execute("create table other (x)")
            database.executemany("insert into other values (?)", [("x" * 5000,)] * 500)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (runs / "mlflow.db-journal").stat().st_size
    store.unlink()
    sync(write_study(runs, some_records()), tracking_uri(runs))
    with closing(sqlite3.connect(store)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    assert check(runs / "digits", tracking_uri(runs)) == []


def test_a_store_of_a_newer_mlflow_is_said_and_kept(runs: Path) -> None:
    store = runs / "mlflow.db"
    change(store, "update alembic_version set version_num = 'feedbeef0000'")
    before = store.read_bytes()
    with pytest.raises(
        StoreUnavailable, match=r"mlflow\.db: a newer MLflow wrote it .*install that one, or move the file away"
    ):
        sync(write_study(runs, some_records()), tracking_uri(runs))
    with pytest.raises(UIError, match="a newer MLflow wrote it"):
        serve_ui(tracking_uri(runs))
    assert store.read_bytes() == before
    store.rename(runs / "kept.db")  # the advice
    assert sync(runs / "digits", tracking_uri(runs)).written == 8


def test_a_store_in_use_with_a_write_ahead_log_is_upgraded_whole(runs: Path) -> None:
    store = runs / "mlflow.db"
    sync(write_study(runs, some_records()), tracking_uri(runs))
    with closing(sqlite3.connect(store)) as database:
        database.execute("pragma journal_mode = wal")
    change(store, "create table _alembic_tmp_runs (x)")  # as an upgrade that was cut off leaves it
    store.chmod(0o640)
    assert sync(runs / "digits", tracking_uri(runs)).present == 8
    assert check(runs / "digits", tracking_uri(runs)) == []
    assert store.stat().st_mode & 0o777 == 0o640
    assert not list(runs.glob("mlflow.db-*"))


def test_users_are_in_a_database_of_their_owner_alone(tmp_path: Path) -> None:
    users = access(tmp_path).users
    change(users, "create table _alembic_tmp_users (x)")  # as a server that was killed at its first start leaves it
    complete(users, Users())
    assert users.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(users)) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master")}
    assert "users" in tables
    assert "_alembic_tmp_users" not in tables


@pytest.mark.parametrize("name", ODD)
def test_a_folder_of_any_name_keeps_its_store_inside(tmp_path: Path, whole: Path, name: str) -> None:
    runs = tmp_path / name
    runs.mkdir()
    shutil.copy(whole, runs)
    sync(write_study(runs, some_records()), tracking_uri(runs))
    assert check(runs / "digits", tracking_uri(runs)) == []
    assert {p.name for p in runs.iterdir()} <= {"digits", "mlartifacts", "mlflow.db", "mlflow.db.lock"}
    assert len(list((runs / "mlartifacts").rglob("study.yaml"))) == 1
    assert [p.name for p in tmp_path.iterdir()] == [name]


def artifact(runs: Path) -> bytes:
    """A file of the study's run, through the UI."""
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        (run,) = database.execute("select run_uuid from tags where value = 'study:digits'").fetchone()
    with serve_ui(tracking_uri(runs), experiment="digits") as ui:
        assert "/experiments/1/" in ui.url
        with urllib.request.urlopen(f"{ui.address}/get-artifact?path=study.yaml&run_id={run}", timeout=20) as answer:
            content: bytes = answer.read()
            return content


def test_the_ui_serves_a_folder_of_any_name(tmp_path: Path, whole: Path) -> None:
    runs = tmp_path / "r?#%41 [x]\"'"
    runs.mkdir()
    shutil.copy(whole, runs)
    sync(write_study(runs, some_records()), tracking_uri(runs))
    assert artifact(runs) == b"study: digits\n"
    assert [p.name for p in tmp_path.iterdir()] == [runs.name]


def test_a_moved_store_keeps_its_artifacts_beside_itself(runs: Path) -> None:
    sync(write_study(runs, some_records()[:-1]), tracking_uri(runs))
    moved = runs.rename(runs.with_name("moved"))
    study, uri = moved / "digits", tracking_uri(moved)
    files = sorted(p for p in (moved / "mlartifacts").rglob("*") if p.is_file())
    (found,) = check(study, uri)
    assert found.what.startswith(f"artifacts: in {runs.as_uri()}/mlartifacts/digits by MLflow")
    write_study(moved, [some_records()[-1]])
    assert sync(study, uri).written == 1
    assert check(study, uri) == []
    assert not runs.exists()
    assert set(files) <= set((moved / "mlartifacts").rglob("*"))
    with closing(sqlite3.connect(moved / "mlflow.db")) as database:
        for column in ("artifact_uri from runs", "artifact_location from experiments where name = 'digits'"):
            assert all(place.startswith(moved.as_uri() + "/") for (place,) in database.execute(f"select {column}"))


def test_a_copy_writes_beside_itself_and_the_ui_of_it_reads_there(runs: Path) -> None:
    sync(write_study(runs, some_records()), tracking_uri(runs))
    copy = Path(shutil.copytree(runs, runs.with_name("copy")))
    (path,) = (copy / "mlartifacts").rglob("study.yaml")
    path.write_text("the copy's\n", encoding="utf-8")
    assert artifact(copy) == b"the copy's\n"
    before = {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()}
    write_study(copy, [make_record(0, "tune", 2)])
    sync(copy / "digits", tracking_uri(copy))
    assert {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()} == before


def test_a_repair_of_a_moved_store_throws_nothing_away(runs: Path) -> None:
    sync(write_study(runs, some_records()), tracking_uri(runs))
    moved = runs.rename(runs.with_name("moved"))
    discard_changed(moved / "digits", tracking_uri(moved))
    assert in_the_bin(moved / "mlflow.db") == 0
    assert check(moved / "digits", tracking_uri(moved)) == []


def test_a_place_for_artifacts_that_somebody_chose_stays(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", str(tmp_path / "elsewhere" / "mlartifacts"))
    sync(write_study(runs, some_records()), tracking_uri(runs))
    monkeypatch.delenv("MLFLOW_DEFAULT_ARTIFACT_ROOT")
    assert check(runs / "digits", tracking_uri(runs)) == []
    sync(runs / "digits", tracking_uri(runs))
    assert not (runs / "mlartifacts").exists()


def test_nothing_in_the_working_folder_matters(runs: Path) -> None:
    here = runs.parent
    for name in ("results", "queue", "mlflow", "torch", "orchestrator", "sqlite3", "uvicorn"):
        (here / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')\n", encoding="utf-8")
    write_study(runs, some_records())
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MLFLOW_TRACKING_URI", "PYTHONSAFEPATH")}
    done = subprocess.run([ABLATE, "sync", "digits"], cwd=here, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout) == (0, "MLflow has 8 of 8 trials\n"), done.stderr
    code = (
        "import os, sys; from pathlib import Path; from orchestrator.browse.ui import serve_ui\n"
        "from orchestrator.running.mirror_process import MirrorProcess, tracking_uri\n"
        "os.chdir(sys.argv[1]); os.environ['PYTHONPATH'] = os.pathsep + '.'; runs = Path('runs')\n"
        "with MirrorProcess(runs / 'digits', tracking_uri(runs), runs / 'log') as mirror:\n"
        "    assert mirror.finish(60).exit_status == 0, (runs / 'log').read_text()\n"
        "with serve_ui(tracking_uri(runs), experiment='digits', log_path=runs / 'ui.log') as ui: print(ui.url)"
    )
    done = subprocess.run([sys.executable, "-c", code, here], cwd=ROOT, capture_output=True, text=True, env=env)
    assert "/#/experiments/1/runs?" in done.stdout, done.stderr


def test_the_secrets_of_an_address_are_in_no_message_log_or_file(runs: Path) -> None:
    write_study(runs, some_records())
    address = "http://planted-user:planted%40word@127.0.0.1:9/x?token=PLANTED&b=planted%2Ftwo#planted-three"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"MLFLOW_TRACKING_URI": address}
    said = []
    began = time.monotonic()
    for command in (
        ["sync", "digits"],
        ["sync", "digits", "--check"],
        ["sync", "digits", "--repair"],
        ["status", "digits"],
    ):
        done = subprocess.run([ABLATE, *command], cwd=runs.parent, capture_output=True, text=True, env=env, timeout=120)
        said.append(done.stdout + done.stderr)
        assert "Traceback" not in said[-1]
    assert time.monotonic() - began < 120
    assert "http://…@127.0.0.1:9/x?…" in said[0]
    for path in runs.rglob("*"):
        if path.is_file():
            said.append(path.read_text(encoding="utf-8", errors="replace"))
    assert not [text for text in said if "planted" in text.lower()]
