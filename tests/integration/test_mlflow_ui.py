"""The MLflow UI as a user meets it: a server on loopback that shows a study's runs, and ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.browse.ui import RunningUI, UIError, serve_ui
from orchestrator.browse.ui_access import own_addresses
from orchestrator.mirror import MLflowStore, SyncResult, sync
from tests.integration.mlflow_studies import append, make_manifest, some_records, write_study
from tests.tools import CHROMIUM, needs_chromium

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = tmp_path_factory.mktemp("runs")
    address = f"sqlite:///{runs}/mlflow.db"
    sync(write_study(runs, some_records()), address)
    return address


@pytest.fixture(scope="module")
def ui(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUI]:
    with serve_ui(uri, experiment="digits", log_path=tmp_path_factory.mktemp("log") / "ui.log") as running:
        yield running


def ask(ui: RunningUI, path: str, body: dict[str, Any] | None = None, **headers: str) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ui.address + path, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        content: bytes = answer.read()
        return content


def test_the_page_is_served_with_a_link_to_the_study(ui: RunningUI) -> None:
    assert ui.url.startswith(f"{ui.address}/#/experiments/1/runs?")
    assert b"<title>MLflow</title>" in ask(ui, "/")


def test_the_server_listens_on_loopback_only(ui: RunningUI) -> None:
    port = int(ui.address.rsplit(":", 1)[1])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [line[1].split(":")[0] for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port]
    assert listening == ["0100007F"]


def test_the_stores_address_is_on_no_command_line(ui: RunningUI, uri: str) -> None:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert uri.encode() not in process.read_bytes()


FOREIGN = ("attacker.example", "10.evil.example", "192.168.evil.example", "127.0.0.1.evil.example", "0.0.0.0")
"""Names that another site may lead here, and patterns of private addresses match."""
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=100"


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", [SEARCH, "/", "/ablate/digits/0123", "/graphql", "/get-artifact?path=x&run_id=y"])
def test_a_page_of_another_site_cannot_reach_it_by_a_name_of_its_own(ui: RunningUI, path: str, host: str) -> None:
    for name in (host, f"{host}:{ui.address.rpartition(':')[2]}"):
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            ask(ui, path, Host=name)
        refused.value.close()


def test_it_answers_to_the_names_of_loopback(ui: RunningUI) -> None:
    port = ui.address.rpartition(":")[2]
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert b"digits" in ask(ui, SEARCH, Host=name)


def test_a_page_of_another_site_changes_nothing(ui: RunningUI) -> None:
    for origin in ("http://attacker.example", "http://10.evil.example", "null"):
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            ask(ui, "/api/2.0/mlflow/experiments/create", {"name": "theirs"}, Origin=origin)
        refused.value.close()


def test_what_opens_a_server_of_the_users_own_does_not_open_this_one(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "*")
    monkeypatch.setenv("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "*")
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    with serve_ui(uri) as running:
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            ask(running, SEARCH, Host="attacker.example")
        refused.value.close()
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            ask(running, "/api/2.0/mlflow/experiments/create", {"name": "theirs"}, Origin="http://attacker.example")
        refused.value.close()


def test_runs_nest(ui: RunningUI) -> None:
    answer = json.loads(ask(ui, "/api/2.0/mlflow/runs/search", {"experiment_ids": ["1"]}))
    tags = {r["info"]["run_id"]: {t["key"]: t["value"] for t in r["data"]["tags"]} for r in answer["runs"]}
    parents = {
        (run["ablate.level"], tags.get(run.get("mlflow.parentRunId", ""), {}).get("ablate.level"))
        for run in tags.values()
    }
    assert parents == {("study", None), ("cell", "study"), ("trial", "cell")}


def test_artifacts_are_served(ui: RunningUI) -> None:
    query = {"experiment_ids": ["1"], "filter": "tags.`ablate.level` = 'study'"}
    (run,) = json.loads(ask(ui, "/api/2.0/mlflow/runs/search", query))["runs"]
    assert ask(ui, f"/get-artifact?path=study.yaml&run_id={run['info']['run_id']}") == b"study: digits\n"


def test_a_study_is_mirrored_through_a_server_exactly_once(ui: RunningUI, tmp_path: Path) -> None:
    records = some_records()
    study_dir = write_study(tmp_path, records[:4], make_manifest(study="remote"))
    store = MLflowStore(ui.address)
    assert sync(study_dir, store) == SyncResult(written=4, present=0, total=4)
    append(study_dir, *records[4:])
    assert sync(study_dir, store) == SyncResult(written=4, present=4, total=8)
    assert sync(study_dir, MLflowStore(ui.address)) == SyncResult(written=0, present=8, total=8)
    found = json.loads(ask(ui, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=remote"))["experiment"]
    runs = json.loads(ask(ui, "/api/2.0/mlflow/runs/search", {"experiment_ids": [found["experiment_id"]]}))["runs"]
    assert len(runs) == 11
    query = {"experiment_ids": [found["experiment_id"]], "filter": "tags.`ablate.level` = 'study'"}
    (run,) = json.loads(ask(ui, "/api/2.0/mlflow/runs/search", query))["runs"]
    assert ask(ui, f"/get-artifact?path=study.yaml&run_id={run['info']['run_id']}") == b"study: digits\n"


@needs_chromium
def test_a_browser_shows_the_runs(ui: RunningUI, tmp_path: Path) -> None:
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--no-first-run", f"--user-data-dir={tmp_path}", "--virtual-time-budget=15000", "--dump-dom", ui.url]
    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    assert "Which parts earn their place?" in page
    assert "Model training" in page
    assert "test_error" in page


def test_another_port_is_taken_where_the_usual_one_is_busy(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        monkeypatch.setattr("orchestrator.browse.ui.DEFAULT_PORT", busy.getsockname()[1])
        with pytest.raises(UIError, match=r"--port: \d+ is taken on 127\.0\.0\.1; leave it out"):
            serve_ui(uri, port=busy.getsockname()[1])
        code = (
            "import signal, sys; from orchestrator.browse.ui import serve_ui\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
            "with serve_ui(sys.argv[1]) as ui:\n"
            "    print(ui.address, ui._process.pid, flush=True); ui.wait()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, uri],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as user:
            assert user.stdout is not None
            address, group = user.stdout.readline().split()
            user.send_signal(signal.SIGINT)
            user.wait(20)
        with pytest.raises(ProcessLookupError):
            os.killpg(int(group), 0)
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(address, timeout=2)


def test_a_store_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UIError, match=r"no MLflow store there yet; `ablate sync STUDY` writes one"):
        serve_ui(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_number_that_is_no_port_is_said(uri: str, port: int) -> None:
    with pytest.raises(UIError, match=r"--port: .* is not a port"):
        serve_ui(uri, port=port)


def test_an_interface_that_this_machine_has_not_is_said(uri: str) -> None:
    with pytest.raises(
        UIError, match=r"--host: cannot listen on '203\.0\.113\.7' \(.*\); leave it out for 127\.0\.0\.1"
    ):
        serve_ui(uri, host="203.0.113.7")


def test_a_server_that_cannot_start_is_said_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("hello, I am a text file")
    began = time.monotonic()
    with pytest.raises(UIError, match=r"not an SQLite database"):
        serve_ui(f"sqlite:///{tmp_path}/mlflow.db", log_path=tmp_path / "ui.log")
    assert time.monotonic() - began < 5


def test_a_server_of_the_user_s_own_is_not_started_again() -> None:
    ui = serve_ui("http://127.0.0.1:9/", experiment="digits")
    assert ui.url == "http://127.0.0.1:9/"
    assert ui.wait() == 0


def test_a_server_that_others_reach_asks_for_a_password(uri: str, tmp_path: Path) -> None:
    private = tmp_path / "private"
    search = "/api/2.0/mlflow/experiments/search?max_results=100"
    for _ in range(2):  # the password stays
        with serve_ui(
            uri, host="0.0.0.0", experiment="digits", private=private, log_path=tmp_path / "ui.log"
        ) as running:
            assert running.access is not None
            assert running.url.startswith(f"{running.address}/#/experiments/1/runs?")
            for header in ({}, {"Authorization": "Basic YWRtaW46cGFzc3dvcmQxMjM0"}):
                with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                    ask(running, search, **header)
                refused.value.close()
            assert b"digits" in ask(running, search, Authorization=running.access.header)
            for name in ("10.evil.example", "192.168.evil.example"):
                with pytest.raises(urllib.error.HTTPError, match="403") as refused:
                    ask(running, search, Authorization=running.access.header, Host=name)
                refused.value.close()
            for name in (socket.gethostname(), *(a for a in own_addresses() if ":" not in a)):
                host = f"{name}:{running.address.rpartition(':')[2]}"
                assert b"digits" in ask(running, search, Authorization=running.access.header, Host=host)
    assert json.loads((private / "mlflow-auth.json").read_text())["password"] == running.access.password
    assert {p.stat().st_mode & 0o077 for p in private.glob("mlflow-auth*")} == {0}
    assert running.access.password not in (tmp_path / "ui.log").read_text()
