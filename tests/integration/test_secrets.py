"""What stands in the environment, or in an address, stays there: not in the ledger, MLflow, logs, reports or what is printed."""

from __future__ import annotations

import importlib
import os
import re
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import ray  # noqa: F401  # which brings psutil along

from orchestrator.browse.ui import serve_ui
from orchestrator.mirror import MLflowStore
from tests.integration.studies import ablate, write_study
from tests.integration.test_clusters import finish, start

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-1-of-the-store",
    "AWS_SESSION_TOKEN": "planted-7-of-the-session",
    "RAY_AUTH_TOKEN": "planted-2-of-the-cluster",
    "MLFLOW_TRACKING_PASSWORD": "planted-3-of-the-server",
    "HF_TOKEN": "planted-4-of-the-hub",
    "LAB_API_KEY": "planted-5-of-the-lab",
}


def test_planted_secrets_are_nowhere(tmp_path: Path) -> None:
    study = write_study(tmp_path, baselines=["no-such-thing"])
    env = {**SECRETS, "MLFLOW_TRACKING_USERNAME": "me"}
    said = []
    store = f"sqlite:///{tmp_path}/mlflow.db"
    MLflowStore(store).experiment("there already", {})
    with serve_ui(store) as server:
        env["MLFLOW_TRACKING_URI"] = server.address.replace("//", "//me:planted-6-in-the-address@")
        status, text = finish(tmp_path, "run", study, **env)
        assert status == 2
        said.append(text)
        study = write_study(tmp_path, search={"trials": 0})
        too_long = tmp_path / ("t" * 75)
        too_long.mkdir()
        seen = watch(
            start(
                tmp_path,
                "run",
                study,
                **{**env, "TMPDIR": str(too_long), "HOME": "/proc/1/home", "RAY_AUTH_MODE": "token"},
            )
        )
        said.append((tmp_path / "output.txt").read_text())
        assert seen.status == 0, said[-1]
        for command in (
            ["status", "small"],
            ["report", "small"],
            ["sync", "small", "--check"],
            ["plan", study],
        ):
            status, text = finish(tmp_path, *command, **env)
            assert status == 0, text
            said.append(text)
    assert (tmp_path / "runs" / "small" / "report" / "report.html").is_file()
    assert b"fixmatch evaluate seed 0" in (tmp_path / "mlflow.db").read_bytes()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"planted-" not in path.read_bytes(), path
    assert "planted-" not in "".join(said)
    check_what_was_seen(seen)


@dataclass
class Seen:
    """What a look at a run's processes, again and again, found."""

    status: int = -1
    folders: set[Path] = field(default_factory=set)
    """Of Ray's sessions."""
    modes: dict[str, int] = field(default_factory=dict)
    """Of each session's folder, and of the token in it."""
    files: set[Path] = field(default_factory=set)
    """That were searched there."""
    secret: set[str] = field(default_factory=set)
    """Files and command lines with a planted secret."""
    listening: dict[str, set[str]] = field(default_factory=dict)
    """Addresses by name of the process."""


def watch(driver: subprocess.Popen[bytes]) -> Seen:
    """Look at the processes of a run, and at all files of the folder that its Ray has for itself, until it ends."""
    psutil = importlib.import_module("psutil")
    seen, root = Seen(), psutil.Process(driver.pid)
    while driver.poll() is None:
        processes = [root]
        with suppress(psutil.Error):
            processes += root.children(recursive=True)
        for process in processes:
            try:
                line = " ".join(process.cmdline())
                if "planted-" in line:
                    seen.secret.add(line)
                seen.folders |= {Path(found) for found in re.findall(r"(/[^\s=]*/ablate-[^/\s]+)/r/session_", line)}
                for connection in process.net_connections("inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        seen.listening.setdefault(process.name(), set()).add(connection.laddr.ip)
            except psutil.Error:
                continue
        for folder in seen.folders:
            search(folder, seen)
        time.sleep(0.2)
    seen.status = driver.returncode
    return seen


def search(folder: Path, seen: Seen) -> None:
    below = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    for path in (folder, *below):
        try:
            about = path.lstat()
            if path == folder:
                seen.modes["folder"] = stat.S_IMODE(about.st_mode)
            elif path.name == "auth_token":
                seen.modes["token"] = stat.S_IMODE(about.st_mode)
            if stat.S_ISREG(about.st_mode):
                seen.files.add(path)
                if b"planted-" in path.read_bytes():
                    seen.secret.add(str(path))
        except OSError:  # gone meanwhile
            continue


def check_what_was_seen(seen: Seen) -> None:
    """Ray's part in it: nothing written, a private folder that is gone, nothing but loopback."""
    (folder,) = seen.folders
    assert not folder.exists()
    assert seen.modes == {"folder": 0o700, "token": 0o600}
    names = {path.name for path in seen.files}
    assert {"runtime_env_agent.log", "raylet.out", "gcs_server.out"} <= names
    assert not seen.secret
    assert {"gcs_server", "raylet", "ray::RuntimeEnvAgent"} <= set(seen.listening)
    local = {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert {name: found - local for name, found in seen.listening.items() if found - local} == {}


def test_a_study_with_a_secret_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", SECRETS["LAB_API_KEY"])
    study = write_study(tmp_path, question=f"is {SECRETS['LAB_API_KEY']} good?")
    done = ablate("run", study, cwd=tmp_path)
    assert done.returncode == 2
    assert "the value of LAB_API_KEY stands here" in " ".join((done.stdout + done.stderr).split())
    assert "planted-" not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()
