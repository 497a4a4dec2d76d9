"""`make` names its targets, and making the virtual environment shows that it is alive."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
WAITS = "#!/bin/sh\nif mkdir '{0}/waited' 2>/dev/null; then exit 0; fi\ntouch '{0}/said'\nexec '{1}' 60\n"
"""In place of `sleep`: no wait at first, so that a line is printed; after it, as long as anybody likes."""
INSTALLS = "#!/bin/sh\nwhile [ ! -e '{0}/said' ]; do :; done\nexit {1}\n"
"""In place of the environment's Python: done as soon as a line was printed."""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def setup(folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    sleep = next(p for p in ("/bin/sleep", "/usr/bin/sleep") if Path(p).exists())
    program(folder / "bin/sleep", WAITS.format(folder, sleep))
    program(folder / "venv/bin/python", INSTALLS.format(folder, status))
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(ROOT / "scripts/setup"), sys.executable, str(folder / "venv"), str(folder / "stamp")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("status", [0, 7])
def test_setup_says_how_much_is_there_until_pip_ends_and_no_longer(tmp_path, status):
    done = setup(tmp_path, status)
    assert done.returncode == status
    assert len(re.findall(r"setup: \d+ s, \d+ MB in .* so far", done.stdout)) == 1
    assert ("setup: done" in done.stdout) == (tmp_path / "stamp").exists() == (status == 0)


def test_make_help_names_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {*re.findall(r"^make (\w+)", shown, re.MULTILINE), *re.findall(r"make (\w+) ", shown)}
    assert set(targets[1].split()) - {"help"} == named


def test_make_setup_says_what_to_type_next():
    said = subprocess.run(["make", "-n", "setup"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "next: . .venv/bin/activate, then ablate doctor" in said
