from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.common import import_paths
from orchestrator.common.import_paths import PACKAGES, ROOT, leave_out_working_folder, workers_path

SHADOWS = ("queue", "results", "mlflow", "torch", "ray", "yaml", "numpy", "typing", "statistics", "trainables")


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """A folder in which every module that could stand in for another ends the process."""
    folder = tmp_path / "shadows"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("raise SystemExit('shadow')", encoding="utf-8")
    return folder


def python(*arguments: str, cwd: Path, path: str | None = None) -> str:
    """What a Python says that is told nothing of this program's place but what the arguments say."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    if path is not None:
        environment["PYTHONPATH"] = path
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, env=environment)
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", [None, os.pathsep + ROOT, ".", "HERE"])
def test_the_command_starts_beside_files_of_any_name(shadows: Path, path: str | None) -> None:
    given = str(shadows) if path == "HERE" else path
    for arguments in (["-m", "orchestrator"], ["-c", "import sys; from orchestrator.__main__ import main; main()"]):
        said = python(*arguments, "--version", cwd=shadows, path=given)
        assert said.startswith("rs-ablate ")
        assert "Traceback" not in said


def test_a_source_tree_that_is_not_installed_is_run_from_inside(shadows: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in PACKAGES:
        shutil.copytree(Path(ROOT) / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SHADOWS:
        if name not in PACKAGES:
            shutil.copy(shadows / f"{name}.py", tree)
    (tree / "sitecustomize.py").write_text(  # as if there were no installation
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')]",
        encoding="utf-8",
    )
    assert python("-m", "orchestrator", "--version", cwd=tree).startswith("rs-ablate ")
    code = (
        "import orchestrator.__main__, orchestrator.common.import_paths as p, sys; p.leave_out_working_folder();"
        "import results, torch; print(results.__file__, sys.path[-1], p.workers_path().split(':')[-1])"
    )
    assert python("-c", code, cwd=tree).split() == [str(tree / "results" / "__init__.py"), str(tree), str(tree)]


def test_what_a_notebook_stands_beside(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs.csv").write_text("a,b", encoding="utf-8")
    ours = f"{ROOT}/results/__init__.py"
    for code in (
        "from orchestrator import load_study; import results",
        "import results; from orchestrator import load_study; import results",
        "from results.ledger.ledger import Ledger; from orchestrator import load_study; import results; results.ledger",
    ):
        assert python("-c", f"{code}; print(results.__file__)", cwd=tmp_path).strip() == ours
    theirs = tmp_path / "results" / "__init__.py"
    theirs.write_text("mine = 1", encoding="utf-8")
    assert (
        python("-c", "from orchestrator import load_study; print(load_study.__module__)", cwd=tmp_path).strip()
        == "orchestrator.cli.api"
    )
    said = python("-c", "import results; from orchestrator import load_study", cwd=tmp_path)
    assert said.splitlines()[-1].startswith(
        f"ImportError: {theirs} stands in the way of this program's package 'results' ({ROOT}/results); give it another name"
    )
    shutil.move(tmp_path / "results", tmp_path / "findings")  # the remedy
    assert not python("-c", "import findings; from orchestrator import load_study; load_study", cwd=tmp_path)


def test_the_working_folder_is_last_where_python_was_told_of_it_and_else_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = [path for path in sys.path if path and path != str(tmp_path)]
    for given, last in (("", []), (os.pathsep + "/x", []), (".", [str(tmp_path)]), (str(tmp_path), [str(tmp_path)])):
        monkeypatch.setenv("PYTHONPATH", given)
        for entry in ("", str(tmp_path)):
            monkeypatch.setattr(sys, "path", [entry, *before])
            leave_out_working_folder()
            assert sys.path == [*before, *last]
    monkeypatch.chdir(Path(os.__file__).parent)
    monkeypatch.setattr(sys, "path", before)
    leave_out_working_folder()
    assert sys.path == before


def test_workers_look_where_this_process_looks_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, script, given, study = (tmp_path / name for name in ("here", "script", "given", "study"))
    for folder in (here, script, given, study):
        folder.mkdir()
    monkeypatch.chdir(here)
    own = import_paths._own_places()
    assert any(path.endswith("site-packages") for path in own)
    monkeypatch.setenv("PYTHONPATH", f"{given}{os.pathsep}")
    monkeypatch.setattr(sys, "path", [str(study), str(given), *own, "no folder"])
    assert workers_path([str(study)]) == str(given)
    monkeypatch.setattr(sys, "path", [str(script), "", str(given), *own])
    assert workers_path().split(os.pathsep) == [str(script), str(here), str(given)]
    monkeypatch.setattr(
        sys, "path", [str(given), *own, str(here)]
    )  # as `ablate` leaves it where PYTHONPATH names the folder
    assert workers_path().split(os.pathsep) == [str(given), *own, str(here)]
    monkeypatch.setenv("PYTHONPATH", "")
    import ray

    monkeypatch.setattr(sys, "path", [str(Path(ray.__file__).parent / "thirdparty_files"), *own])
    assert workers_path() == ""


@pytest.mark.parametrize("path", [None, ".", os.pathsep + "/x"])
def test_a_working_folder_that_is_gone_is_on_no_path(tmp_path: Path, path: str | None) -> None:
    (tmp_path / "gone").mkdir()
    code = (
        "import os, sys; os.rmdir(os.getcwd()); sys.path.insert(0, '')\n"
        "from orchestrator.common.import_paths import leave_out_working_folder, workers_path\n"
        "path = workers_path(); assert not path or '' not in path.split(os.pathsep); leave_out_working_folder()\n"
        "print([p for p in sys.path if not os.path.isabs(p) and 'editable' not in p])"
    )
    assert python("-P", "-c", code, cwd=tmp_path / "gone", path=path).strip() == "[]"
