"""What the command says of itself: its help by workflow, its versions, and itself where it says what to type next."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.app import app
from orchestrator.cli.running import _kept
from orchestrator.common.command_name import called
from orchestrator.running import runner
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study

ROOT = Path(__file__).parents[4]


def ablate(*arguments: str):
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "100", "TERM": "dumb"})


def test_help_has_the_commands_by_workflow_in_the_order_in_which_they_are_wanted():
    text = ablate("--help").stdout
    places = [text.index(f"─ {panel} ─") for panel in ("Begin", "Run", "Read")]
    assert places == sorted(places)
    commands = list(typer.main.get_command(app).commands)
    assert commands == [
        "doctor", "init", "list", "schema", "plan", "data", "run", "status", "submit",
        "report", "compare", "ui", "sync", "dashboard",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "--help"]])
def test_help_says_no_type_where_there_is_no_value(arguments):
    assert "bool" not in ablate(*arguments).stdout


def test_versions_are_told_without_importing_what_they_are_of():
    program = (
        "import sys\nsys.argv[1:] = ['--version']\nfrom orchestrator.cli.app import main\ntry:\n    main()\nfinally:\n"
        "    print('heavy:', *sorted({'torch', 'ray', 'optuna', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:-2] == [f"{name} {version(name)}" for name in ("rs-ablate", "ray", "torch", "optuna", "mlflow")]
    assert lines[-1] == "heavy:"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A command beside the working folder, and one that the PATH has."""
    monkeypatch.chdir(tmp_path)
    for folder in (".venv/bin", "usr/bin"):
        path = tmp_path / folder / "ablate"
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
    return tmp_path


def test_the_command_is_named_as_a_shell_would_find_it(elsewhere, monkeypatch):
    monkeypatch.setenv("PATH", str(elsewhere / "usr/bin"))
    monkeypatch.setattr(sys, "argv", [".venv/bin/ablate", "run", "x"])
    assert called("run", Path("my study.yaml")) == ".venv/bin/ablate run 'my study.yaml'"
    monkeypatch.setenv("PATH", str(elsewhere))
    assert called("run") == ".venv/bin/ablate run"
    monkeypatch.setenv("PATH", str(elsewhere / ".venv/bin"))
    assert called("run", "--set", "a=[1, 2]") == "ablate run --set 'a=[1, 2]'"


def test_a_module_is_named_as_one_and_another_program_not_at_all(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/orchestrator/__main__.py"])
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "orchestrator"])
    assert called("run") == ".venv/bin/python -m orchestrator run"
    monkeypatch.setattr(sys, "argv", ["/x/pytest"])
    assert called("run") == "ablate run"
    monkeypatch.setattr(sys, "argv", ["ablate"])
    assert called("run") == "ablate run"


@pytest.mark.parametrize(
    ("in_motion", "text"),
    [
        ([], ""),
        ([True], ", the one that was running keeps its checkpoint"),
        ([True, True], ", the 2 that were running keep their checkpoints"),
        ([True, False, False], ", of the 3 that were running 1 keeps its checkpoint"),
        ([False], ", the one that was running had just begun"),
        ([False, False], ", the 2 that were running had just begun"),
    ],
)
def test_an_interrupted_run_says_what_is_kept_of_trials_without_a_record(in_motion, text):
    assert _kept(in_motion) == text


def test_a_run_that_has_nothing_to_do_says_what_else_the_ledger_has(tmp_path):
    runs = tmp_path / "runs"
    run_made_up_trials(make_plan(small_study(tmp_path, "evaluate.seeds=4").spec), runs)
    study = str(tmp_path / "small.yaml")
    result = ablate("run", study, "--runs", str(runs), "--no-mlflow")
    assert result.exit_code == 0
    assert "nothing to run, the ledger has all 21 trials" in result.stdout
    assert "note: the ledger has 6 more records" in result.stderr
    assert "--set evaluate.seeds=4 counts them" in result.stderr
    page = runs / "small" / "report" / "report.html"
    assert "over 2 seeds" in page.read_text(encoding="utf-8")
    more = ablate("run", study, "--runs", str(runs), "--no-mlflow", "--set", "evaluate.seeds=4")
    assert "more records" not in more.stderr
    assert "over 4 seeds" in page.read_text(encoding="utf-8")
    written = page.stat().st_mtime_ns
    assert ablate("run", study, "--runs", str(runs), "--no-mlflow", "--set", "evaluate.seeds=4").exit_code == 0
    assert page.stat().st_mtime_ns == written, "nothing else was asked"


def test_an_interrupted_run_names_the_command_that_goes_on_with_it(tmp_path, monkeypatch):
    def interrupted(loaded, options, console):
        plan = make_plan(loaded.spec)
        folders = runner.StudyFolders(options.runs, loaded.spec.study)
        return runner.RunOutcome(folders=folders, plan=plan, interrupted=True, in_motion=[True, True])

    monkeypatch.setattr(runner, "run_study", interrupted)
    small_study(tmp_path)
    study, runs = str(tmp_path / "small.yaml"), str(tmp_path / "runs")
    result = ablate("run", study, "--runs", runs, "--set", "evaluate.seeds=4")
    assert result.exit_code == 130
    said = " ".join(result.stdout.split())
    assert "0 trials were recorded by this run, the 2 that were running keep their checkpoints" in said
    assert f"`ablate run {study} --set evaluate.seeds=4 --runs {runs}` goes on from there" in said
