"""Tab completes commands, options, study files and names of studies, in a process that imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.completion import KINDS, kinds, study_files
from orchestrator.cli.listing import entries
from tests.integration.studies import environment

COMMAND = (
    "import sys\nsys.argv[0] = 'ablate'\nfrom orchestrator.cli.app import main\ntry:\n    main()\nfinally:\n"
    "    heavy = {'torch', 'ray', 'optuna', 'mlflow', 'yaml', 'scipy', 'numpy'} & set(sys.modules)\n"
    "    print('heavy:', *sorted(heavy), file=sys.stderr)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "top.yaml",
        "notes.txt",
        "studies/digits.yaml",
        "studies/other.yml",
        "studies/readme.md",
        ".git/x.yaml",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for name in ("runs/digits", "runs/dull", "elsewhere/far"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "study.json").touch()
    (tmp_path / "runs" / "cache").mkdir()
    return tmp_path


def offered(folder: Path, words: str, number: int) -> list[str]:
    """What bash is told after Tab at the word of this number."""
    variables = {"_ABLATE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    result = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), **variables},
    )
    assert result.stderr.strip() == "heavy:"
    return result.stdout.split()


def test_a_shell_is_told_names_and_files(folder):
    assert offered(folder, "ablate st", 1) == ["status"]
    assert offered(folder, "ablate run stu", 2) == ["studies/digits.yaml", "studies/other.yml"]
    assert offered(folder, "ablate status di", 2) == ["digits"]
    assert offered(folder, "ablate report --runs elsewhere f", 4) == ["far"]
    assert offered(folder, "ablate list d", 2) == ["datasets", "designs"]
    assert "--max-hours" in offered(folder, "ablate run --max", 2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_shown(folder, shell):
    code = "import sys; sys.argv[0] = 'ablate'; from orchestrator.cli.app import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", shell],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert "_ABLATE_COMPLETE" in result.stdout


def test_study_files_are_those_here_and_one_folder_down(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert study_files("") == ["studies/digits.yaml", "studies/other.yml", "top.yaml"]
    assert study_files("studies/") == ["studies/digits.yaml", "studies/other.yml"]
    assert study_files("studies/o") == ["studies/other.yml"]
    assert study_files("nowhere/x") == []
    assert study_files(f"{folder}/to") == [f"{folder}/top.yaml"]


def test_kinds_are_those_that_are_listed():
    assert kinds("") == list(KINDS)
    for kind in KINDS:
        assert all(entries(kind))
