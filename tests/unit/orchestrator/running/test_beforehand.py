"""What a plan says that a run would refuse, and that the run does so, before Ray starts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from orchestrator.check.loading import LoadedStudy
from orchestrator.cli.app import app
from orchestrator.common.errors import AblateError
from orchestrator.common.folders import StudyFolders
from orchestrator.forecast.power import prospect_warnings
from orchestrator.running.plan_summary import summarise_plan
from orchestrator.running.runner import RunOptions, run_study
from orchestrator.storage.lock import StudyBusy, study_lock
from results.records.manifest import ManifestDamaged
from tests.unit.orchestrator.planning import small_study


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    return small_study(tmp_path_factory.mktemp("study"), "data.contamination=0", "data.generators=[]")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def notes(loaded: LoadedStudy, runs: Path) -> list[str]:
    """Of a plan, those about a run."""
    summary = summarise_plan(loaded, runs)
    others = {*loaded.warnings, *prospect_warnings(summary["prospects"])}
    return [warning for warning in summary["warnings"] if warning not in others]


def refusal(loaded: LoadedStudy, runs: Path) -> tuple[str, str]:
    """What a run said until it was refused, and why it was."""
    console = Console(file=io.StringIO(), width=1000)
    with pytest.raises((AblateError, OSError, ManifestDamaged)) as problem:
        run_study(loaded, RunOptions(runs=runs, mirror=False), console)
    return console.file.getvalue(), str(problem.value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("place", "make"),
    [
        ("ledger", Path.touch),
        ("checkpoints", Path.touch),
        ("log", Path.touch),
        ("study.json", Path.mkdir),
    ],
)
def test_what_is_in_a_runs_way(loaded: LoadedStudy, tmp_path: Path, place: str, make: Callable[[Path], None]) -> None:
    path = StudyFolders(tmp_path, "small").study / place
    path.parent.mkdir()
    make(path)
    (note,) = notes(loaded, tmp_path)
    assert str(path) in note
    assert note.endswith("`ablate run` refuses the study so; move it away")
    before, why = refusal(loaded, tmp_path)
    assert str(path) in why
    assert "starting Ray" not in before
    path.rename(tmp_path / "away")
    assert notes(loaded, tmp_path) == [], "the remedy works"


def test_a_study_that_runs_now(loaded: LoadedStudy, tmp_path: Path) -> None:
    with study_lock(StudyFolders(tmp_path, "small").lock):
        (note,) = notes(loaded, tmp_path)
        assert "a driver runs the study now" in note
        with pytest.raises(StudyBusy):
            run_study(loaded, RunOptions(runs=tmp_path, mirror=False), Console(file=io.StringIO()))
    assert notes(loaded, tmp_path) == []


def test_a_folder_that_no_database_address_can_say(loaded: LoadedStudy, tmp_path: Path) -> None:
    assert notes(loaded, tmp_path / "a\nb") == [refusal(loaded, tmp_path / "a\nb")[1]]


def test_a_folder_for_rays_sockets_that_is_too_long(
    loaded: LoadedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "a" * 80)
    assert notes(loaded, tmp_path) == [refusal(loaded, tmp_path)[1]]
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert notes(loaded, tmp_path) == [], "a cluster's folders are its own"


def test_a_plan_with_a_note_ends_well(loaded: LoadedStudy, tmp_path: Path) -> None:
    where = [str(loaded.path), "--runs", str(tmp_path), "--set", "resources.custom={a100: 1}"]
    done = CliRunner().invoke(app, ["plan", *where])
    assert done.exit_code == 0
    assert "note: resources: a trial wants 1 CPUs, 0 GPUs and 1 of a100, but this machine has " in done.stderr
