"""What stands in the environment, or in an address, stays there: not in the ledger, MLflow, logs, reports or what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.mirror import MLflowStore
from orchestrator.ui import serve_ui
from tests.integration.studies import ablate, write_study
from tests.integration.test_clusters import finish

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-1-of-the-store",
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
        for command in (
            ["run", study],
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


def test_a_study_with_a_secret_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", SECRETS["LAB_API_KEY"])
    study = write_study(tmp_path, question=f"is {SECRETS['LAB_API_KEY']} good?")
    done = ablate("run", study, cwd=tmp_path)
    assert done.returncode == 2
    assert "the value of LAB_API_KEY stands here" in " ".join((done.stdout + done.stderr).split())
    assert "planted-" not in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()
