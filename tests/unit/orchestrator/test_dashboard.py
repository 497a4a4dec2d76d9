from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.dashboard import DashboardError, make_dashboard, storage_of
from orchestrator.runner import manifest
from orchestrator.study_plan import make_plan
from results.ledger import Ledger
from results.manifest import StudyManifest
from tests.unit.orchestrator.planning import run_made_up_trials, small_study
from tests.unit.orchestrator.worlds import START


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


def test_settings_of_another_release_are_said(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "study.json").read_text())
    content["settings"]["data"]["dataset"] = ["digits"]
    (tmp_path / "study.json").write_text(json.dumps(content))
    assert StudyManifest.load(tmp_path)
    with pytest.raises(DashboardError, match="its settings cannot be read"):
        storage_of(tmp_path)


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
