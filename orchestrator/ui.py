"""The MLflow UI on the local store: a server on loopback, as a child process that ends with its caller."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import AblateError
from orchestrator.mirror_process import VIEW_NAME
from orchestrator.ui_access import Access, access, is_loopback

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 5000
START_SECONDS = 60.0
OUR_APP = "ablate"
"""`orchestrator.mlflow_app`, by the name under which MLflow finds it once this package is installed."""
_SQLITE = "sqlite:///"


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
        address = uri.rstrip("/")
        return RunningUI(address, _page(address, experiment), None)
    if uri.startswith(_SQLITE):
        _check_sqlite(Path(uri.removeprefix(_SQLITE)))
    if port is not None and not 1 <= port <= 65_535:
        raise UIError(f"--port: {port} is not a port; use 1 to 65535")
    door = None if is_loopback(host) else access(private or _folder_of(uri))
    chosen = _choose_port(host, port)
    address = f"http://{_in_url(_reachable(host))}:{chosen}"
    process = _start(uri, host, chosen, log_path, door)
    try:
        _wait_until_up(process, address, log_path)
        return RunningUI(address, _page(address, experiment, door), process, door)
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


def _folder_of(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE)).parent if uri.startswith(_SQLITE) else Path()


def _start(uri: str, host: str, port: int, log_path: Path | None, door: Access | None) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
    ]
    command += ["--workers", "1"]
    if door is not None:
        command += ["--app-name", "basic-auth"]
    elif any(point.name == OUR_APP for point in entry_points(group="mlflow.app")):  # not where only the source is there
        command += ["--app-name", OUR_APP]
    if uri.startswith(_SQLITE):
        artifacts = Path(uri.removeprefix(_SQLITE)).absolute().parent / "mlartifacts"
        command += ["--artifacts-destination", str(artifacts)]
    if door is not None:
        # Asked for: also names under which this machine is known, which MLflow's check of the Host header would refuse.
        names = {
            "localhost",
            f"localhost:{port}",
            socket.gethostname(),
            f"{socket.gethostname()}:{port}",
            host,
            f"{host}:{port}",
        }
        private = ["127.0.0.1", f"127.0.0.1:{port}", "10.*", "192.168.*", *(f"172.{n}.*" for n in range(16, 32))]
        command += ["--allowed-hosts", ",".join([*sorted(names - {"0.0.0.0", "::"}), *private])]
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # three more processes, for GenAI evaluation only
    }
    if log_path is not None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
    with (log_path or Path(os.devnull)).open("ab") as log:
        # A session of its own: MLflow's command starts the server as its child, and both end together by this group.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # the store's address may hold a password, and everybody on the machine can read a command line
            env={
                **os.environ,
                "MLFLOW_BACKEND_STORE_URI": uri,
                **{k: os.environ.get(k, v) for k, v in settings.items()},
                **(door.env if door is not None else {}),
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


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log_path: Path | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    where = f"; see {log_path}" if log_path else ""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise UIError(f"MLflow's server ended with status {process.returncode} before it answered{where}")
        with suppress(OSError):
            if _get(f"{address}/health") == b"OK":
                return
        time.sleep(0.1)
    raise UIError(f"MLflow's server did not answer on {address} within {START_SECONDS:.0f} s{where}")


def _page(address: str, experiment: str | None, door: Access | None = None) -> str:
    """The study's runs, or the list of experiments where the store has none of that name."""
    if experiment is None:
        return f"{address}/"
    query = urllib.parse.urlencode({"experiment_name": experiment})
    try:
        answer: dict[str, Any] = json.loads(_get(f"{address}/api/2.0/mlflow/experiments/get-by-name?{query}", door))
        view = urllib.parse.urlencode({"workflowType": "machine_learning", "viewStateShareKey": VIEW_NAME})
        return f"{address}/#/experiments/{answer['experiment']['experiment_id']}/runs?{view}"
    except (OSError, ValueError, KeyError):
        return f"{address}/"


def _get(url: str, door: Access | None = None) -> bytes:
    # No proxy: the server is this machine's, and a proxy of the environment does not know it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Authorization": door.header} if door else {})
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
