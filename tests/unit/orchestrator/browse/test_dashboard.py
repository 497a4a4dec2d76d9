from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from typer.testing import CliRunner

from orchestrator.browse.dashboard import DashboardError, make_dashboard, storage_of
from orchestrator.cli.app import app
from orchestrator.cli.options import study_dir
from orchestrator.common.errors import InputError, StudyNotFound
from orchestrator.design.plan import make_plan
from orchestrator.running.runner import manifest
from results.ledger.ledger import Ledger
from results.records.manifest import StudyManifest
from tests.unit.orchestrator.planning import run_made_up_trials, small_study
from tests.unit.orchestrator.worlds import START
from trainables.algorithms import ALGORITHMS, registry


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that ran without training, its ledger and manifest as `ablate run` leaves them."""
    runs = tmp_path_factory.mktemp("runs")
    loaded = small_study(runs, "search.trials=4")
    plan = make_plan(loaded.spec)
    run_made_up_trials(plan, runs)
    manifest(plan, loaded).save(runs / "small")
    return runs / "small"


def studies(folder: Path) -> dict[str, optuna.Study]:
    storage = storage_of(folder)
    return {
        s.study_name: optuna.load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()
    }


def test_each_cell_is_a_study_with_its_trials_as_they_ended(folder: Path) -> None:
    found = studies(folder)
    records = [r for r in Ledger(folder / "ledger").records() if r.phase == "tune"]
    assert set(found) == {r.arm for r in records} == {"rsmatch", "rsmatch-without-queue", "fixmatch"}
    for name, study in found.items():
        ours = sorted((r for r in records if r.arm == name), key=lambda r: r.number)
        assert len(study.trials) == len(ours)
        assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
        for trial, record in zip(study.trials, ours, strict=True):
            assert trial.params == record.suggested
            assert trial.intermediate_values == dict(record.curves["val_error"])
            assert trial.value == (record.metrics["val_error"] if record.status == "completed" else None)
            assert trial.datetime_start == record.started_at.replace(tzinfo=None) >= START.replace(tzinfo=None)
        assert study.user_attrs["evaluated seeds"] == 2
        assert study.best_trial.number == study.user_attrs["chosen trial"]
        assert study.metric_names == ["val_error"]


def test_ranges_are_the_studys_own(folder: Path) -> None:
    shapes = studies(folder)["fixmatch"].trials[0].distributions
    rate = shapes["learning_rate"]
    assert isinstance(rate, optuna.distributions.FloatDistribution)
    assert rate.log


def changed(study: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a study's folder whose manifest is another."""
    copy = folder / study.name
    shutil.copytree(study, copy)
    content = json.loads((copy / "study.json").read_text())
    change(content)
    (copy / "study.json").write_text(json.dumps(content))
    assert StudyManifest.load(copy)
    return copy


def keeps_no_ranges(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        del cell["space"]


def test_ranges_that_an_earlier_manifest_did_not_keep_are_the_settings_own(folder: Path, tmp_path: Path) -> None:
    found = studies(changed(folder, tmp_path, keeps_no_ranges))
    for name, study in studies(folder).items():
        assert [t.distributions for t in found[name].trials] == [t.distributions for t in study.trials]


def test_what_is_searched_and_cannot_be_told_is_said(folder: Path, tmp_path: Path) -> None:
    def of_another_release(content: dict[str, Any]) -> None:
        keeps_no_ranges(content)
        content["settings"]["data"]["dataset"] = ["digits"]

    def of_an_algorithm_of_their_own(content: dict[str, Any]) -> None:
        keeps_no_ranges(content)
        for arm in content["arms"]:
            arm["algorithm"] = "theirs:Their"

    release, theirs = tmp_path / "release", tmp_path / "theirs"
    with pytest.raises(
        DashboardError, match=r"study\.json: .* arm 'rsmatch' .* \(1 settings are not of this release\)"
    ):
        storage_of(changed(folder, release, of_another_release))
    with pytest.raises(DashboardError, match=r"\(no 'theirs:Their' here\); `ablate run` with the study's file writes"):
        storage_of(changed(folder, theirs, of_an_algorithm_of_their_own))
    run = [
        "run",
        str(folder.parent / "small.yaml"),
        "--runs",
        str(theirs),
        "--set",
        "search.trials=4",
        "--no-mlflow",
        "-q",
    ]
    assert CliRunner().invoke(app, run).exit_code == 0
    assert set(studies(theirs / "small")) == set(studies(folder)), "so it does"


OWN = """
from pathlib import Path

from trainables.algorithms import FixMatch

Path(__file__).with_name("imported").touch()

class My(FixMatch):
    name = "my-match"
    title = "MyMatch"
"""


def test_the_algorithm_of_a_study_that_has_run_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, by file, and where the file is elsewhere by now: only what ran counts."""
    home, runs = tmp_path / "home", tmp_path / "home" / "runs"
    home.mkdir()
    (home / "own_for_dashboard.py").write_text(OWN)
    own = {
        "study": "own",
        "method": "own_for_dashboard:My",
        "ablation": {"components": "all"},
        "baselines": ["fixmatch"],
    }
    loaded = small_study(home, "search.trials=2", **own)
    plan = make_plan(loaded.spec)
    run_made_up_trials(plan, runs)
    manifest(plan, loaded).save(runs / "own")
    del ALGORITHMS["own_for_dashboard:My"]
    registry._drop("own_for_dashboard")
    (home / "imported").unlink()
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(home / "own.yaml", moved)
    for place in (tmp_path, home, moved):
        monkeypatch.chdir(place)
        for name in ("own", str(home / "own.yaml"), str(moved / "own.yaml")):
            assert studies(study_dir(name, runs))["my-match"].trials[0].params
            commands = (["status", name], ["report", name, "--only", "table"], ["compare", name, "own"])
            for command in commands if place == tmp_path else commands[:1]:
                done = CliRunner().invoke(app, [*command, "--runs", str(runs)])
                assert done.exit_code == 0, (command, done.output, done.exception)
    assert not (home / "imported").exists()
    assert "own_for_dashboard:My" not in ALGORITHMS


def test_a_file_names_its_study_whatever_else_it_says(tmp_path: Path) -> None:
    for text, said in (
        ("studdy: own", r"1: no key 'studdy' here; did you mean 'study'\?$"),
        ("", "is empty"),
        ("study: [a", "1: YAML syntax"),
        ("study: Cache X", "1: study: names a folder"),
        ("- 1", "1: expected a mapping"),
    ):
        (tmp_path / "wrong.yaml").write_text(text)
        with pytest.raises(InputError, match=said):
            study_dir(str(tmp_path / "wrong.yaml"), tmp_path)
    (tmp_path / "other.yaml").write_text("study: other\nof_a_later_release: 1\n")
    with pytest.raises(StudyNotFound, match="no study has run"):
        study_dir(str(tmp_path / "other.yaml"), tmp_path)


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with make_dashboard(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ask(address: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as answer:
        return answer.read()


def test_the_page_shows_the_studies_on_this_machine_only(address: str) -> None:
    listed = json.loads(ask(f"{address}/api/studies"))["study_summaries"]
    assert {s["study_name"] for s in listed} == {"rsmatch", "rsmatch-without-queue", "fixmatch"}
    assert b"<html" in ask(f"{address}/dashboard").lower()
    for name in (
        "evil.example:80",
        "10.evil.example:8080",
        "10.0.0.1:8080",
        "0.0.0.0:8080",
        "localhost.evil.example:8080",
    ):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            ask(f"{address}/api/studies", Host=name)


def test_a_port_that_is_taken_is_said(folder: Path, address: str) -> None:
    with pytest.raises(DashboardError, match="give another"):
        make_dashboard(folder, port=int(address.rsplit(":", 1)[1]))
