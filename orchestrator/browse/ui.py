"""The MLflow UI on the local store: a server on loopback, as a child process that ends with its caller."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.browse.mlflow_server import SAID, USERS
from orchestrator.browse.ui_access import OPENERS, Access, access, allowed_hosts, authorization, is_loopback
from orchestrator.common.addresses import address_of, sqlite_path, without_secrets_in
from orchestrator.common.child_process import ROOT, child_environment, module_command
from orchestrator.common.errors import AblateError
from orchestrator.common.mirror_status import VIEW_NAME

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 5000
START_SECONDS = 60.0
OUR_APP = "ablate"
"""`orchestrator.browse.mlflow_app`, by the name under which MLflow finds it once this package is installed."""


class UIError(AblateError):
    """The UI could not be shown."""


class RunningUI:
    """A UI that answers. `url` is the page to open; a context manager that ends the server it started.

    Args:
        address: where the server answers, without a path.
        url: the page to open.
        process: the server, None where somebody else runs it.
        access: what it asks for; None on loopback.
    """

    def __init__(
        self, address: str, url: str, process: subprocess.Popen[bytes] | None, access: Access | None = None
    ) -> None:
        self.address = address
        self.url = url
        self.access = access
        self._process = process

    def wait(self) -> int:
        """Wait until the server ends, or until Ctrl-C, which ends it; returns its exit status, 0 after Ctrl-C."""
        if self._process is None:
            return 0
        try:
            return self._process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            self.stop()

    def stop(self) -> None:
        """End the server; safe to call twice."""
        if self._process is not None:
            _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve_ui(
    uri: str,
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    experiment: str | None = None,
    log_path: Path | None = None,
    private: Path | None = None,
) -> RunningUI:
    """Start the MLflow UI and wait until it answers.

    Args:
        uri: the tracking store. A server's address is not served again: its own UI is the answer.
        host: interface to listen on. Only this machine reaches the default; on any other one MLflow asks for a password.
        port: default 5000, or a free one where that is taken.
        experiment: a study's name, to open its page rather than the list.
        log_path: where the server's output goes; default nowhere.
        private: folder that keeps the password; the store's own unless given.

    Raises UIError where the port is taken, or the store cannot be served.
    """
    if urllib.parse.urlsplit(uri).scheme in ("http", "https"):
        address = address_of(uri)
        return RunningUI(address, _page(address, experiment, authorization(uri)), None)
    file = sqlite_path(uri)
    if file is not None:
        _check_sqlite(file)
    if port is not None and not 1 <= port <= 65_535:
        raise UIError(f"--port: {port} is not a port; use 1 to 65535")
    door = None if is_loopback(host) else access(private or (file.parent if file else Path()))
    chosen = _choose_port(host, port)
    address = f"http://{_in_url(_reachable(host))}:{chosen}"
    process = _start(uri, host, chosen, door)
    output = _Output(process, log_path, uri)
    try:
        _wait_until_up(process, address, log_path, output)
        return RunningUI(address, _page(address, experiment, door.header if door else None), process, door)
    except BaseException:
        _end(process)
        raise


def _check_sqlite(path: Path) -> None:
    """MLflow would make a store that is missing, and try a file that is none for more than a minute."""
    remedy = "`ablate sync STUDY` writes one from the ledger"
    try:
        with path.open("rb") as handle:
            is_database = handle.read(16) == b"SQLite format 3\x00"
    except FileNotFoundError:
        raise UIError(f"{path}: no MLflow store there yet; {remedy}") from None
    except OSError as problem:
        raise UIError(f"{path}: cannot be read ({problem.strerror}); make it readable") from problem
    if not is_database:
        raise UIError(f"{path}: not an SQLite database; move it away, and {remedy}")


class _Output(threading.Thread):
    """Brings what a server says into its log, without secrets; ends with the server.

    Args:
        process: The server.
        log_path: The log; None for nowhere.
        uri: Of its store.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path | None, uri: str) -> None:
        super().__init__(name="mlflow-log", daemon=True)
        self.reason = ""
        """Why the server was not started."""
        self._process = process
        self._uri = uri
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = (log_path or Path(os.devnull)).open("ab")
        self.start()

    def run(self) -> None:
        """Until the server closes its end."""
        stream = self._process.stdout
        assert stream is not None
        with stream, self._log as log:
            for raw in stream:
                line = without_secrets_in(raw.decode(errors="replace"), self._uri)
                if line.startswith(SAID):
                    self.reason = line.removeprefix(SAID).strip()
                with suppress(OSError):  # a full disk must not stop the server
                    log.write(line.encode())
                    log.flush()


def _start(uri: str, host: str, port: int, door: Access | None) -> subprocess.Popen[bytes]:
    command = module_command("orchestrator.browse.mlflow_server", "server", "--host", host, "--port", str(port))
    # uvicorn puts the working folder first among those that modules are imported from, unless it is told of another
    command += ["--uvicorn-opts", shlex.join(["--app-dir", str(ROOT)])]
    command += ["--workers", "1", "--allowed-hosts", ",".join(allowed_hosts(host, port, asks=door is not None))]
    if door is not None:
        command += ["--app-name", "basic-auth"]
    elif any(point.name == OUR_APP for point in entry_points(group="mlflow.app")):  # not where only the source is there
        command += ["--app-name", OUR_APP]
    file = sqlite_path(uri)
    if file is not None:
        command += ["--artifacts-destination", (file.absolute().parent / "mlartifacts").as_uri()]
    environment = child_environment()
    if door is None:  # what somebody set for a server of their own must not open this one to others' pages
        environment = {k: v for k, v in environment.items() if k not in OPENERS}
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # three more processes, for GenAI evaluation only
    }
    # A session of its own: MLflow's command starts the server as its child, and both end together by this group.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # the store's address may hold a password, and everybody on the machine can read a command line
        env={
            **environment,
            "MLFLOW_BACKEND_STORE_URI": uri,
            **{k: os.environ.get(k, v) for k, v in settings.items()},
            **({**door.env, USERS: str(door.users)} if door is not None else {}),
        },
    )


def _choose_port(host: str, port: int | None) -> int:
    try:
        with _socket(host) as probe:
            probe.bind((host, 0))
            free = int(probe.getsockname()[1])
    except OSError as problem:
        raise UIError(
            f"--host: cannot listen on {host!r} ({problem.strerror}); leave it out for {LOOPBACK}"
        ) from problem
    if port is not None:
        if not _is_free(host, port):
            raise UIError(f"--port: {port} is taken on {host}; leave it out and a free one is chosen")
        return port
    return DEFAULT_PORT if _is_free(host, DEFAULT_PORT) else free


def _is_free(host: str, port: int) -> bool:
    with _socket(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log_path: Path | None, output: _Output) -> None:
    deadline = time.monotonic() + START_SECONDS
    where = f"; see {log_path}" if log_path else ""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            output.join(5)
            if output.reason:
                raise UIError(output.reason)
            raise UIError(f"MLflow's server ended with status {process.returncode} before it answered{where}")
        with suppress(OSError):
            if _get(f"{address}/health") == b"OK":
                return
        time.sleep(0.1)
    raise UIError(f"MLflow's server did not answer on {address} within {START_SECONDS:.0f} s{where}")


def _page(address: str, experiment: str | None, header: str | None) -> str:
    """The study's runs, or the list of experiments where the store has none of that name."""
    if experiment is None:
        return f"{address}/"
    query = urllib.parse.urlencode({"experiment_name": experiment})
    try:
        answer: dict[str, Any] = json.loads(_get(f"{address}/api/2.0/mlflow/experiments/get-by-name?{query}", header))
        view = urllib.parse.urlencode({"workflowType": "machine_learning", "viewStateShareKey": VIEW_NAME})
        return f"{address}/#/experiments/{answer['experiment']['experiment_id']}/runs?{view}"
    except (OSError, ValueError, KeyError, HTTPException):
        return f"{address}/"


def _get(url: str, header: str | None = None) -> bytes:
    # No proxy: the server is this machine's, and a proxy of the environment does not know it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Authorization": header} if header else {})
    with opener.open(request, timeout=5) as answer:
        body: bytes = answer.read()
        return body


def _reachable(host: str) -> str:
    return LOOPBACK if host == "0.0.0.0" else "::1" if host == "::" else host


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its child: the group that `_start` made has the process's own id and nobody else in it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            if number == signal.SIGTERM and _group_ended(process.pid, 5):
                return


def _group_ended(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return True
        time.sleep(0.05)
    return False
