"""Every command and study that the README shows works as it stands there."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

from orchestrator.arms import derive_arms
from orchestrator.study import load_study
from tests.docs.pages import README, ROOT, blocks, shell_lines
from tests.integration.studies import SMALL, ablate, command, environment

pytestmark = pytest.mark.filterwarnings("ignore")


def test_make_targets_exist_and_ci_runs_the_first_commands():
    targets = [line.removeprefix("make ") for line in shell_lines(README) if line.startswith("make ")]
    assert targets == ["study", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
        assert f"make {target}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_study_loads(tmp_path):
    (text,) = blocks(README, "yaml")
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    arms = derive_arms(load_study(path).spec).arms
    assert [a.name for a in arms] == ["rsmatch", "rsmatch-without-queue", "fixmatch"]


@pytest.mark.timeout(900)
def test_commands_run_in_order(tmp_path):
    """On the default study's names, with small numbers in its file."""
    study = {**SMALL, "study": "digits", "baselines": [], "search": {"trials": 1}}
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    commands = [shlex.split(line)[1:] for line in shell_lines(README) if line.startswith("ablate ")]
    verbs = [c[0] for c in commands]
    assert set(verbs) >= {
        "run",
        "plan",
        "status",
        "report",
        "ui",
        "dashboard",
        "sync",
        "data",
        "list",
        "doctor",
        "init",
    }
    for arguments in commands:
        if arguments[0] in ("ui", "dashboard"):
            serves(arguments, tmp_path)
            continue
        result = ablate(*arguments, cwd=tmp_path)
        assert result.returncode == 0, f"{arguments}: {result.stderr}"
        assert "Traceback" not in result.stderr
    assert (tmp_path / "runs" / "digits" / "report" / "report.html").is_file()
    assert (tmp_path / "runs" / "digits" / "report" / "data.svg").is_file()


def serves(arguments, folder):
    """A server says on which loopback address it answers, and ends with its server when told to."""
    output = folder / "ui.txt"
    with output.open("wb") as sink:
        server = subprocess.Popen(command(*arguments), cwd=folder, stdout=sink, stderr=sink, env=environment())
        try:
            deadline = time.monotonic() + 90
            while "http://127.0.0.1:" not in output.read_text() and time.monotonic() < deadline:
                assert server.poll() is None, output.read_text()
                time.sleep(0.1)
            assert "http://127.0.0.1:" in output.read_text()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    address = re.search(r"http://127\.0\.0\.1:\d+", output.read_text()).group()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)
