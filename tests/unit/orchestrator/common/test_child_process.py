from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.common.child_process import ROOT, child_environment, module_command


def test_the_working_folder_is_on_no_childs_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(tmp_path)
    for given in ("", os.pathsep, ".", f"{tmp_path}{os.pathsep}{other}{os.pathsep}"):
        found = child_environment({"PYTHONPATH": given})
        paths = found["PYTHONPATH"].split(os.pathsep)
        assert paths[0] == str(ROOT)
        assert paths[1:] == ([str(other)] if "other" in given else [])
    assert child_environment({})["PYTHONSAFEPATH"] == "1"


def test_a_module_of_the_working_folder_is_not_run(tmp_path: Path) -> None:
    for name in ("this", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the working folder')", encoding="utf-8")
    command = module_command("this")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=child_environment(), check=True)
    assert "Beautiful is better than ugly" in done.stdout


def test_the_root_of_an_installed_program_is_not_named_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("site.getsitepackages", lambda: [str(ROOT)])
    assert "PYTHONPATH" not in child_environment({"HOME": "/"})
