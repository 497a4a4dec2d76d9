"""The mirror against a real MLflow store: each record is one run, whatever happens in between."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.common.mirror_status import MirrorStatus
from orchestrator.mirror import (
    MirrorError,
    MLflowStore,
    StoreUnavailable,
    SyncResult,
    bulk,
    check,
    discard_changed,
    sync,
)
from orchestrator.mirror import store as store_module
from orchestrator.mirror.content import COMPLETE_TAG, KEY_TAG, NOTE_TAG, PARENT_TAG
from orchestrator.running.mirror_process import MirrorProcess
from orchestrator.storage.object_store import RemoteFolder
from results.ledger.compact_values import PackedCurves
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from tests.integration.mlflow_studies import append, make_manifest, make_record, some_records, write_study
from tests.object_store import S3

from mlflow import MlflowClient  # after the mirror, which sets MLflow's environment  # isort: skip
from mlflow.exceptions import MlflowException  # isort: skip
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # isort: skip

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed database:ResourceWarning",  # MLflow keeps its connection pools for the life of the process
)


class Killed(BaseException):
    """Stands for the process's end: nothing in the mirror may catch it."""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables and nothing in them; making one takes MLflow two seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def runs(tmp_path: Path, empty_database: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(runs: Path) -> str:
    return f"sqlite:///{runs}/mlflow.db"


def contents(uri: str, study: str = "digits") -> dict[str, dict[str, Any]]:
    """Everything the store says of a study, by key and without what differs between two stores."""
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(study).experiment_id], max_results=50_000)
    keys = {run.info.run_id: run.data.tags[KEY_TAG] for run in found}
    assert max(Counter(keys.values()).values()) == 1
    return {
        run.data.tags[KEY_TAG]: {
            "name": run.info.run_name,
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": {k: v for k, v in run.data.tags.items() if k not in (PARENT_TAG, COMPLETE_TAG)},
            "complete": bool(run.data.tags.get(COMPLETE_TAG)),
            "parent": keys.get(run.data.tags.get(PARENT_TAG, "")),
            "points": {
                key: sorted((p.step, p.timestamp, p.value) for p in client.get_metric_history(run.info.run_id, key))
                for key in run.data.metrics
            },
            "data": [(d.dataset.name, d.dataset.digest) for d in run.inputs.dataset_inputs],
        }
        for run in found
    }


def test_study_cell_and_trial_nest(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    assert sync(study_dir, uri) == SyncResult(written=8, present=0, total=8)
    found = contents(uri)
    assert Counter(key.split(":")[0] for key in found) == {"study": 1, "cell": 2, "trial": 8}
    for record in some_records():
        assert found[f"trial:digits:{record.trial_id}"]["parent"] == f"cell:digits:{record.cell}"
    assert found["cell:digits:cell0"]["parent"] == "study:digits"
    assert found["study:digits"]["parent"] is None


def test_a_trial_s_run_says_what_its_record_says(runs: Path, uri: str) -> None:
    record = make_record(1, "evaluate", 1)
    sync(write_study(runs, [record]), uri)
    run = contents(uri)[f"trial:digits:{record.trial_id}"]
    start = round(record.started_at.timestamp() * 1000)
    assert run["name"] == "rsmatch-without-queue evaluate seed 1"
    assert run["status"] == "FINISHED"
    assert run["times"] == (start, start + 12_500)
    assert run["params"]["optimiser.lr"] == "0.03"
    assert run["tags"]["mlflow.source.git.commit"] == "0123456789abcdef"
    assert run["tags"]["ablate.data"] == "d" * 64
    assert run["tags"]["mlflow.user"]
    assert run["points"]["val_error"] == [(50, start + 6_250, 40.0), (100, start + 12_500, 12.0)]
    assert run["data"] == [("digits", "d" * 36)]


def test_the_experiment_opens_on_the_training_side_and_asks_the_question(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    sync(study_dir, uri)
    tags = MlflowClient(uri).get_experiment_by_name("digits").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags[NOTE_TAG] == "Which parts earn their place?"
    make_manifest(question="And now?").save(study_dir)
    sync(study_dir, uri)
    assert MlflowClient(uri).get_experiment_by_name("digits").tags[NOTE_TAG] == "And now?"


def test_the_second_sync_writes_nothing(runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study_dir = write_study(runs, some_records())
    sync(study_dir, uri)
    before = contents(uri)
    for name in ("create_run", "log_batch", "set_terminated", "set_tag", "log_inputs", "update_run", "log_text"):
        monkeypatch.setattr(MlflowClient, name, lambda *_, **__: pytest.fail("writes"))
    assert sync(study_dir, uri) == SyncResult(written=0, present=8, total=8)
    assert contents(uri) == before


def test_a_new_record_is_added_and_changes_its_cell_and_study_only(runs: Path, uri: str) -> None:
    records = some_records()
    study_dir = write_study(runs, records[:-1])
    sync(study_dir, uri)
    before = contents(uri)
    append(study_dir, records[-1])
    assert sync(study_dir, uri) == SyncResult(written=1, present=7, total=8)
    after = contents(uri)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {f"trial:digits:{records[-1].trial_id}", "cell:digits:cell1", "study:digits"}
    assert before["study:digits"]["status"] == "RUNNING"
    assert after["study:digits"]["status"] == "FINISHED"
    assert [value for _, _, value in after["cell:digits:cell1"]["points"]["test_error"]] == [12.0, 12.5]


@pytest.fixture
def in_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is written at once: each goes through the client's calls, as to a server."""
    monkeypatch.setattr("orchestrator.mirror.store.takes", lambda store: False)


def rows(uri: str) -> dict[str, Counter[tuple[Any, ...]]]:
    """The rows of all tables that runs are in, with keys in place of ids that are drawn at random."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        names = dict(database.execute("select run_uuid, value from tags where key = ?", [KEY_TAG]))
        names |= dict(database.execute("select dataset_uuid, name || digest from datasets"))
        inputs = database.execute("select input_uuid, source_id, destination_id from inputs").fetchall()
        names |= {i: f"{names[source]} {names[run]}" for i, source, run in inputs}
        found = {}
        for table in ("runs", "tags", "params", "metrics", "latest_metrics", "datasets", "inputs", "input_tags"):
            columns = [c[1] for c in database.execute(f"pragma table_info({table})") if c[1] != "artifact_uri"]
            values = database.execute(f"select {', '.join(columns)} from {table}").fetchall()
            found[table] = Counter(tuple(names.get(v, v) if isinstance(v, str) else v for v in row) for row in values)
        places = database.execute("select run_uuid, artifact_uri from runs").fetchall()
        assert all(place.endswith(f"/mlartifacts/digits/{run}/artifacts") for run, place in places)
    return found


def odd_records() -> list[TrialRecord]:
    large = PackedCurves.of({"loss": [(1, 1e59), (2, 0.1), (2, 0.1)], "val_error": [(2, 5.0)]})
    return [
        *some_records(),
        make_record(0, "tune", 7, curves=large, metrics={"val_error": 5.0, "loss": 0.1}),
        make_record(0, "tune", 8, curves={}, metrics={}, data={}),
        make_record(0, "tune", 9, config={f"name {i} ä": "v" * 3000 for i in range(150)}),
    ]


def test_a_run_is_the_same_written_at_once_or_in_calls(
    runs: Path, uri: str, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(write_study(runs, odd_records()), uri)
    (tmp_path / "other").mkdir()
    shutil.copy(empty_database, tmp_path / "other" / "mlflow.db")
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.mirror.store.takes", lambda store: bool(calls.append(1)))
        sync(write_study(tmp_path / "other", odd_records()), other)
    assert calls
    assert contents(uri) == contents(other)
    assert rows(uri) == rows(other)


def test_tables_that_are_not_known_are_written_by_mlflow(runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk._COLUMNS, bulk.models.SqlRun, "run_uuid name another")
    created: list[int] = []
    create = MlflowClient.create_run
    monkeypatch.setattr(MlflowClient, "create_run", lambda *a, **k: (created.append(1), create(*a, **k))[1])
    assert sync(write_study(runs, some_records()), uri).written == 8
    assert len(created) == 8 + 2 + 1


def test_a_row_that_the_database_refuses_is_left_to_mlflow(
    runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqlAlchemyStore, "sanitize_metric_value", lambda self, value: (None, value))
    sync(write_study(runs, few_records()), uri)
    monkeypatch.undo()
    assert len(contents(uri)) == 3 + 2 + 1


@pytest.mark.parametrize("place", ["append_to_uri_path", "insert", "write_runs"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_group_killed_anywhere_is_written_by_the_next(
    runs: Path, uri: str, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, place: str, after: bool
) -> None:
    study_dir = write_study(runs, few_records())
    module = store_module if place == "write_runs" else bulk
    original, calls = getattr(module, place), Counter[str]()

    def killing(*arguments: Any) -> Any:
        calls[place] += 1
        if calls[place] == (1 if place == "write_runs" else 3) and not after:
            raise Killed
        result = original(*arguments)
        if calls[place] == (1 if place == "write_runs" else 3):
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, place, killing)
        with pytest.raises(Killed):
            sync(study_dir, uri)
    sync(study_dir, uri)
    assert contents(uri) == undisturbed


def few_records() -> list[TrialRecord]:
    return [make_record(0, "evaluate", 0), make_record(0, "tune", 0), make_record(1, "tune", 0)]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> dict[str, Any]:
    """What a store says after one sync of the few records that nobody killed."""
    runs = tmp_path_factory.mktemp("undisturbed")
    shutil.copy(empty_database, runs / "mlflow.db")
    sync(write_study(runs, few_records()), f"sqlite:///{runs}/mlflow.db")
    return contents(f"sqlite:///{runs}/mlflow.db")


@pytest.mark.usefixtures("in_calls")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("create_experiment", 1),
        ("create_run", 1),
        ("create_run", 2),
        ("create_run", 5),
        ("log_inputs", 1),
        ("set_terminated", 2),
        ("log_batch", 2),
        ("log_batch", 5),
        ("log_text", 1),
        ("update_run", 1),
    ],
)
def test_a_sync_killed_anywhere_is_completed_by_the_next(
    runs: Path,
    uri: str,
    undisturbed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    call: int,
    after: bool,
) -> None:
    study_dir = write_study(runs, few_records())
    with monkeypatch.context() as patch:
        _kill_at(patch, method, call, after=after)
        with pytest.raises(Killed):
            sync(study_dir, uri)
    sync(study_dir, uri)
    assert contents(uri) == undisturbed


def _kill_at(patch: pytest.MonkeyPatch, method: str, call: int, *, after: bool) -> None:
    original: Callable[..., Any] = getattr(MlflowClient, method)
    calls = 0

    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = original(*arguments, **named)
        if calls == call:
            raise Killed
        return result

    patch.setattr(MlflowClient, method, killing)


@pytest.mark.usefixtures("in_calls")
def test_half_a_batch_is_not_doubled(runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes params, points and tags of a batch in three transactions, so a crash can fall between them."""
    study_dir = write_study(runs, [make_record(0, "tune", 0)])
    original = MlflowClient.log_batch

    def half(self: MlflowClient, run_id: str, metrics: Any, params: Any, tags: Any, **named: Any) -> None:
        original(self, run_id, metrics[: len(metrics) // 2], params, (), **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", half)
        with pytest.raises(Killed):
            sync(study_dir, uri)
    assert sync(study_dir, uri).written == 1
    points = contents(uri)[f"trial:digits:{make_record(0, 'tune', 0).trial_id}"]["points"]
    assert {key: len(values) for key, values in points.items()} == {"val_error": 2, "loss": 2}


def test_a_deleted_store_is_rebuilt_in_the_same_process(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    store = MLflowStore(uri)
    sync(study_dir, store)
    before = contents(uri)
    (runs / "mlflow.db").unlink()
    assert sync(study_dir, store).written == 8
    shutil.copy(runs / "mlflow.db", runs / "rebuilt.db")
    assert contents(f"sqlite:///{runs}/rebuilt.db") == before


def test_what_a_user_deleted_in_the_ui_comes_back_in_its_place(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    sync(study_dir, uri)
    before = contents(uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits").experiment_id
    for run in client.search_runs([experiment], f"tags.`{KEY_TAG}` LIKE 'cell:%'"):
        client.delete_run(run.info.run_id)
    sync(study_dir, uri)
    assert contents(uri) == before
    client.delete_experiment(experiment)
    sync(study_dir, uri)
    assert contents(uri) == before


def test_a_run_that_a_lost_answer_made_twice_is_one_again(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    sync(study_dir, uri)
    before = contents(uri)
    client = MlflowClient(uri)
    key = f"trial:digits:{some_records()[0].trial_id}"
    client.create_run(client.get_experiment_by_name("digits").experiment_id, 0, {KEY_TAG: key})
    sync(study_dir, uri)
    assert contents(uri) == before


def test_a_run_begun_with_another_value_of_a_param_is_written_anew(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    client = MlflowClient(uri)
    key = f"trial:digits:{some_records()[0].trial_id}"
    begun = client.create_run(
        client.create_experiment("digits", artifact_location=(runs / "mlartifacts").as_uri()), 0, {KEY_TAG: key}
    ).info.run_id
    client.log_param(begun, "threshold", "0.9500")
    assert sync(study_dir, uri).written == 8
    assert contents(uri)[key]["params"]["threshold"] == "0.95"


@pytest.mark.usefixtures("in_calls")
def test_a_run_that_the_store_refuses_does_not_hold_up_the_others(
    runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_dir = write_study(runs, some_records())
    original = MlflowClient.set_terminated

    def refusing(self: MlflowClient, run_id: str, *arguments: Any) -> None:
        if "seed 1" in self.get_run(run_id).info.run_name:
            raise MlflowException.invalid_parameter_value("no\nsuch luck")
        original(self, run_id, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", refusing)
        result = sync(study_dir, uri)
    assert result.written == 6
    assert [line.split(":")[0] for line in result.refused] == [
        "rsmatch evaluate seed 1",
        "rsmatch-without-queue evaluate seed 1",
    ]
    assert "\n" not in result.refused[0]
    assert sync(study_dir, uri) == SyncResult(written=2, present=6, total=8)


def test_pruned_and_failed_trials(runs: Path, uri: str) -> None:
    pruned = make_record(0, "tune", 0, status="pruned", steps=50, curves={"val_error": [(50, 40.0)]})
    failed = make_record(
        0, "tune", 1, status="failed", metrics={}, curves={}, error="CUDA out of memory", log="log/1.txt"
    )
    study_dir = write_study(runs, [pruned, failed])
    (study_dir / "log").mkdir()
    (study_dir / "log" / "1.txt").write_text("Traceback: all of it\n")
    sync(study_dir, uri)
    found = contents(uri)
    assert found[f"trial:digits:{pruned.trial_id}"]["status"] == "KILLED"
    assert found[f"trial:digits:{pruned.trial_id}"]["tags"]["status"] == "pruned"
    run = found[f"trial:digits:{failed.trial_id}"]
    assert run["status"] == "FAILED"
    assert "CUDA out of memory" in run["tags"][NOTE_TAG]
    logs = list((runs / "mlartifacts").rglob("1.txt"))
    assert [path.read_text() for path in logs] == ["Traceback: all of it\n"]


def test_odd_names_and_long_values_arrive_whole(runs: Path, uri: str) -> None:
    config = {
        "λ_u": 1.0,
        "../up": "x",
        "a=b": "=",
        "a?b": "?",
        "": "nameless",
        "k" * 300: "long key",
        "text": "é\n😀" * 4000,
    }
    record = make_record(0, "tune", 0, config=config, metrics={"val/error %": 5.0, "val_error": 1.0}, curves={})
    sync(write_study(runs, [record]), uri)
    run = contents(uri)[f"trial:digits:{record.trial_id}"]
    assert run["params"]["λ_u"] == "1.0"
    assert {"=", "?", "x", "nameless", "long key"} <= set(run["params"].values())
    assert any(key.startswith("val/error _-") for key in run["points"])
    (whole,) = (runs / "mlartifacts").rglob("text.txt")
    assert whole.read_bytes().decode() == config["text"]


def test_thousands_of_points_and_hundreds_of_params(runs: Path, uri: str) -> None:
    curves = {f"m{i}": [(step, step / 7) for step in range(1, 701)] for i in range(3)}
    curves["odd"] = [(1, math.nan), (2, math.inf), (3, 1.0)]
    config = {f"p{i}": i for i in range(250)}
    record = make_record(0, "tune", 0, curves={}, config=config)
    study_dir = write_study(runs, [])
    object.__setattr__(record, "curves", {k: v for k, v in curves.items() if k != "odd"})
    append(study_dir, record)
    sync(study_dir, uri)
    run = contents(uri)[f"trial:digits:{record.trial_id}"]
    assert {key: len(run["points"][key]) for key in ("m0", "m1", "m2")} == {"m0": 700, "m1": 700, "m2": 700}
    assert sum(key.startswith("p") and key[1:].isdigit() for key in run["params"]) == 250


def test_values_that_are_not_finite_do_not_stop_a_sync(runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = make_record(0, "tune", 0, curves={"loss": [(1, math.nan), (2, math.inf), (3, -math.inf), (4, 1.0)]})
    monkeypatch.setattr("orchestrator.mirror.wanted.Ledger.records", lambda self: [odd])
    study_dir = write_study(runs, [])
    assert sync(study_dir, uri).written == 1
    assert differences(study_dir, uri) == []
    assert len(contents(uri)[f"trial:digits:{odd.trial_id}"]["points"]["loss"]) == 4


def test_two_syncs_at_once_write_each_run_once(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    results: list[SyncResult] = []
    threads = [threading.Thread(target=lambda: results.append(sync(study_dir, MLflowStore(uri)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.written for result in results) == [0, 8]
    assert len(contents(uri)) == 11


def test_progress_is_told(runs: Path, uri: str) -> None:
    told: list[tuple[int, int]] = []
    sync(write_study(runs, some_records()), uri, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 8), (8, 8)]


@pytest.mark.usefixtures("in_calls")
def test_progress_is_told_after_each_call(runs: Path, uri: str) -> None:
    told: list[tuple[int, int]] = []
    sync(write_study(runs, some_records()), uri, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 8) for n in range(9)]


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_a_folder_is_no_store(tmp_path: Path, uri: str) -> None:
    with pytest.raises(MirrorError, match=r"^MLFLOW_TRACKING_URI: .* is a folder, .* use sqlite:"):
        sync(write_study(tmp_path, []), uri)


def test_a_database_without_its_driver_is_said(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, few_records())
    with pytest.raises(StoreUnavailable, match="install what the store wants") as found:
        sync(study_dir, "postgresql+pg8000://me:planted-secret@127.0.0.1/lab")
    assert "planted" not in str(found.value)


def test_a_file_that_is_no_database_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("hello, I am a text file")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"mlflow\.db: not an SQLite database; move it away"):
        sync(write_study(tmp_path, []), f"sqlite:///{tmp_path}/mlflow.db")
    assert time.monotonic() - began < 2


def test_a_dead_server_is_said_within_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9"):
        sync(write_study(tmp_path, some_records()), "http://127.0.0.1:9")
    assert time.monotonic() - began < 20


def test_a_study_that_never_ran_is_said(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=r"no study\.json there; `ablate run` writes it"):
        sync(tmp_path / "nothing", f"sqlite:///{tmp_path}/mlflow.db")


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


def test_the_process_follows_the_ledger_until_it_is_finished(runs: Path, uri: str) -> None:
    records = some_records()
    study_dir = write_study(runs, records[:3])
    with MirrorProcess(study_dir, uri, study_dir / "log" / "mirror.log") as mirror:
        wait_for(lambda: mirror.status() == MirrorStatus(3, 3))
        append(study_dir, *records[3:6])
        wait_for(lambda: mirror.status() == MirrorStatus(6, 6))
        append(study_dir, *records[6:])
        assert mirror.finish(30) == MirrorStatus(8, 8, None, 0)
    assert len(contents(uri)) == 11
    assert (study_dir / "log" / "mirror.log").read_text() == ""


def test_the_process_makes_its_last_sync_when_the_driver_is_killed(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    code = (
        "import sys, time; from pathlib import Path; from orchestrator.running.mirror_process import MirrorProcess\n"
        "mirror = MirrorProcess(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[1]) / 'log' / 'mirror.log')\n"
        "mirror.start(); print(mirror._process.pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(study_dir), uri], stdout=subprocess.PIPE, text=True, cwd=root
    ) as driver:
        assert driver.stdout is not None
        mirror_pid = int(driver.stdout.readline())
        driver.send_signal(signal.SIGKILL)
    wait_for(lambda: not _alive(mirror_pid))
    assert MirrorStatus.load(study_dir / "log" / "mirror.json") == MirrorStatus(8, 8)
    assert len(contents(uri)) == 11


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_process_killed_in_the_middle_leaves_a_store_that_the_next_sync_completes(runs: Path, uri: str) -> None:
    records = [make_record(0, "tune", n) for n in range(20)]
    study_dir = write_study(runs, records)
    mirror = MirrorProcess(study_dir, uri, study_dir / "log" / "mirror.log")
    mirror.start()
    wait_for(lambda: mirror.status().total == 20)
    assert mirror._process is not None
    os.kill(mirror._process.pid, signal.SIGKILL)
    assert mirror.finish(5).error is not None
    sync(study_dir, uri)
    found = contents(uri)
    assert len(found) == 22
    assert all(run["complete"] for run in found.values())


def test_the_process_says_so_when_the_store_stays_away(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, some_records())
    log = study_dir / "log" / "mirror.log"
    with MirrorProcess(study_dir, "http://127.0.0.1:9", log) as mirror:
        wait_for(lambda: mirror.status().error is not None)
        status = mirror.finish(40)
    assert status.exit_status == 3
    assert "127.0.0.1" in (status.error or "")
    assert "`ablate sync`" in log.read_text().splitlines()[-1]


def test_finish_does_not_wait_longer_than_asked(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    mirror = MirrorProcess(study_dir, uri, study_dir / "log" / "mirror.log")
    mirror.start()
    began = time.monotonic()
    status = mirror.finish(0.1)
    assert time.monotonic() - began < 3
    assert status.exit_status == -signal.SIGKILL
    assert "`ablate sync`" in (status.error or "")
    assert sync(study_dir, uri).total == 8


def test_a_manifest_is_enough(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, [])
    assert StudyManifest.load(study_dir).study == "digits"
    assert sync(study_dir, uri) == SyncResult(written=0, present=0, total=0)
    assert set(contents(uri)) == {"study:digits"}


def differences(study_dir: Path, uri: str) -> list[tuple[str, str]]:
    return [(d.run, d.what) for d in check(study_dir, uri)]


def test_a_check_finds_nothing_after_a_sync(runs: Path, uri: str) -> None:
    odd = make_record(
        0,
        "tune",
        2,
        status="failed",
        error="boom",
        log="log/trials/x.log",
        config={"a b?": "x" * 7000, "nested": {"": 1}},
        curves={"val_error": [(1, 6.0), (3, 4.0)]},
        metrics={"val_error": 4.0},
    )
    study_dir = write_study(runs, [*some_records(), odd, make_record(1, "tune", 3, cell="gone", curves={})])
    (study_dir / "log" / "trials").mkdir(parents=True)
    (study_dir / "log" / "trials" / "x.log").write_text("a traceback")
    assert ("digits", "is missing") in differences(study_dir, uri)
    sync(study_dir, uri)
    assert differences(study_dir, uri) == []


def test_a_check_names_every_difference_and_a_repair_mends_them(runs: Path, uri: str) -> None:
    records = some_records()
    study_dir = write_study(runs, records)
    sync(study_dir, uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits").experiment_id
    ids = {run.data.tags[KEY_TAG]: run.info.run_id for run in client.search_runs([experiment], max_results=1000)}
    trials = [ids[f"trial:digits:{record.trial_id}"] for record in records]
    client.delete_run(trials[0])
    client.log_metric(trials[1], "val_error", 1.0, step=200)
    client.set_tag(trials[2], "arm", "mine")
    client.log_param(trials[3], "new", "1")
    client.delete_tag(trials[4], COMPLETE_TAG)
    client.set_tag(trials[5], PARENT_TAG, ids["study:digits"])
    client.set_terminated(trials[6], "KILLED")
    for key, extra in (("trial:digits:unknown", "stranger"), (f"trial:digits:{records[7].trial_id}", "spare")):
        client.create_run(experiment, 2_000_000_000_000, {KEY_TAG: key, COMPLETE_TAG: "1"}, extra)
    client.create_run(experiment, 0, {}, "a run of the user's own")
    (runs / "mlartifacts" / "digits" / ids["study:digits"] / "artifacts" / "study.yaml").unlink()

    found = differences(study_dir, uri)
    names = [f"{r.arm} {r.phase} {f'seed {r.seed}' if r.phase == 'evaluate' else r.number}" for r in records]
    assert (names[0], "is missing") in found
    assert (names[1], "metric val_error: 1.0 in MLflow, 11.0 in the ledger") in found
    assert (names[1], "curve val_error: 3 points in MLflow, 2 in the ledger") in found
    assert (names[2], f"tag arm: mine in MLflow, {records[2].arm} in the ledger") in found
    assert (names[3], "param new: 1 in MLflow, not in the ledger") in found
    assert (names[4], "is incomplete") in found
    assert (names[5], "hangs below another run") in found
    assert (names[6], "state: KILLED in MLflow, FINISHED in the ledger") in found
    assert ("spare", f"is there twice, as {trials[7]} too") in found
    assert ("stranger", "is of no record in the ledger") in found
    assert ("digits", "artifact study.yaml: not in MLflow") in found
    assert len({run for run, _ in found}) == 10

    discard_changed(study_dir, uri)
    sync(study_dir, uri)
    assert differences(study_dir, uri) == []
    active = client.search_runs([experiment], max_results=1000)
    assert [run.info.run_name for run in active if KEY_TAG not in run.data.tags] == ["a run of the user's own"]


def test_the_report_is_an_artifact_of_the_study_and_follows_it(
    runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_dir = write_study(runs, some_records())
    report = study_dir / "report"
    (report / "figures").mkdir(parents=True)
    (report / "report.html").write_text("<p>first")
    (report / "figures" / "effects.svg").write_text("<svg/>")
    (report / "link.html").symlink_to(runs / "mlflow.db")
    sync(study_dir, uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits").experiment_id
    root = next(r for r in client.search_runs([experiment]) if r.data.tags[KEY_TAG] == "study:digits").info.run_id

    def page() -> str:
        return Path(client.download_artifacts(root, "report/report.html")).read_text()

    assert page() == "<p>first"
    assert MLflowStore(uri).artifact_paths(root) == {"study.yaml", "report/report.html", "report/figures/effects.svg"}
    (report / "report.html").write_text("<p>second")
    sync(study_dir, uri)
    assert page() == "<p>second"
    assert differences(study_dir, uri) == []
    monkeypatch.setattr(MlflowClient, "log_artifact", lambda *_, **__: pytest.fail("sends the same files again"))
    append(study_dir, make_record(0, "tune", 2))
    assert sync(study_dir, MLflowStore(uri)).written == 1
    assert differences(study_dir, uri) == []


def test_artifacts_may_go_to_an_object_store(
    runs: Path, uri: str, s3: S3, remote: RemoteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", remote.uri)
    study_dir = write_study(runs, [*few_records(), make_record(0, "tune", 5, status="failed", log="log/trials/a.log")])
    (study_dir / "log" / "trials").mkdir(parents=True)
    (study_dir / "log" / "trials" / "a.log").write_text("traceback")
    sync(study_dir, uri)
    assert {Path(name).name for name in remote.files("digits")} == {"study.yaml", "a.log"}
    assert check(study_dir, uri) == []
    assert not (runs / "mlartifacts").exists()


def test_a_mean_that_no_longer_holds_is_taken_back(runs: Path, uri: str) -> None:
    study_dir = write_study(runs, some_records())
    sync(study_dir, uri)
    make_manifest(evaluation_seeds=(7, 8)).save(study_dir)  # seeds that nobody has run yet
    sync(study_dir, uri)
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("digits").experiment_id], "tags.`ablate.level` = 'cell'")
    assert [math.isnan(run.data.metrics["test_error"]) for run in found] == [True, True]
    assert differences(study_dir, uri) == []
    for seeds in ((0, 1), (0,), (1,), (0, 1)):  # means that rise and fall with no record more
        make_manifest(evaluation_seeds=seeds).save(study_dir)
        sync(study_dir, uri)
        assert differences(study_dir, uri) == []


def test_a_record_that_no_trial_wrote_is_said(runs: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study_dir = write_study(runs, [])
    odd = replace(make_record(0, "tune", 0), curves=PackedCurves.of_texts(['{"val_error": 3}'])[0])
    monkeypatch.setattr("orchestrator.mirror.wanted.Ledger.records", lambda self: [odd])
    with pytest.raises(MirrorError, match="no trial wrote"):
        sync(study_dir, uri)
