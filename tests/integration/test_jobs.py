"""Studies that are sent to a cluster as jobs."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from results.report.writing import load_table
from tests.integration.raylets import Raylets
from tests.integration.studies import keep_pools, with_pools, write_study
from tests.integration.test_clusters import finish, start
from tests.integration.test_faults import wait_for

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

TOKEN = "0123456789abcdef-not-for-others-0123456789abcdef"
KNOWN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
OF_THE_NODES = {"AWS_SECRET_ACCESS_KEY": "planted-8-of-the-nodes", "HF_TOKEN": "planted-8-of-the-hub"}
OF_THE_SENDER = {"AWS_SECRET_ACCESS_KEY": "planted-9-of-the-sender", "LAB_API_KEY": "planted-9-of-the-lab"}


def nodes_env(home: Path) -> dict[str, str]:
    home.mkdir()
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home)}


def test_a_study_goes_on_without_the_machine_that_sent_it(run, pools, tmp_path):
    study = write_study(tmp_path)
    undisturbed, _ = run(with_pools(tmp_path / "undisturbed", pools))
    keep_pools(tmp_path / "undisturbed", pools)
    env = nodes_env(tmp_path / "home")
    with_pools(tmp_path / "home" / "here" / "runs", pools)
    with Raylets({**env, **KNOWN, **OF_THE_NODES}, dashboard=True) as nodes:
        nodes.add(cpus=2)
        there = ("--address", nodes.dashboard)
        for stranger in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x" * 40}):
            status, said = finish(tmp_path, "submit", study, *there, **stranger)
            assert status == 2
            assert "Authentication" in said
            assert "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the cluster's token" in said
            assert "Traceback" not in said

        (tmp_path / "output.txt").unlink()
        laptop = start(tmp_path, "submit", study, *there, "--runs", "here/runs", **KNOWN, **OF_THE_SENDER)
        assert wait_for(lambda: "trials to run" in (tmp_path / "output.txt").read_text(), laptop)
        os.killpg(laptop.pid, signal.SIGKILL)
        laptop.wait()
        status, said = finish(tmp_path, "submit", study, *there, "--runs", "here/runs", **KNOWN)
        assert status == 2
        assert "small: it runs there already, as ablate-small-" in said

        while True:
            status, said = finish(tmp_path, "status", "small", *there, "--json", **KNOWN)
            assert status == 0, said
            found = json.loads(said)
            if found["job"]["state"] != "running":
                break
        assert found["state"] == "complete", found["sentence"]
        assert found["job"]["state"] == "succeeded"
        status, said = finish(tmp_path, "report", "small", *there, **KNOWN)
        assert status == 0, said
        assert load_table(tmp_path / "runs" / "small").answers() == load_table(undisturbed.folders.study).answers()
        assert (tmp_path / "runs" / "small" / "report" / "report.html").is_file()
        assert not list((tmp_path / "runs").glob(".tmp*"))

        status, said = finish(tmp_path, "status", "smal", *there, **KNOWN)
        assert (status, "did you mean" in said or "there are small" in said) == (2, True)
        status, said = finish(tmp_path, "doctor", *there, **KNOWN)
        assert "it asks for a token; 1 studies sent" in said
    written = [p for p in (tmp_path / "home" / "here").rglob("*") if p.is_file()]
    assert written
    assert not [p for p in written if TOKEN.encode() in p.read_bytes()]
    of_ray = [p for p in nodes.session.rglob("*") if p.is_file()]
    assert {"runtime_env_agent.log", "small.yaml"} <= {p.name for p in of_ray}
    here = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert not [p for p in (*of_ray, *here) if b"planted-" in p.read_bytes()]


def test_a_cluster_that_is_open_to_all_is_refused_unless_asked_for(tmp_path):
    study = write_study(tmp_path, search={"trials": 1}, evaluate={"seeds": 1})
    with Raylets(nodes_env(tmp_path / "home"), dashboard=True) as nodes:
        nodes.add(cpus=2)
        status, said = finish(tmp_path, "submit", study, "--address", nodes.dashboard)
        assert status == 2
        assert "takes jobs from everybody who reaches it" in said
        status, said = finish(tmp_path, "doctor", "--address", nodes.dashboard)
        assert status == 1
        assert "it takes jobs from everybody who reaches it" in said
        assert f"1. cluster {nodes.dashboard}: start Ray with RAY_AUTH_MODE=token" in said
        status, said = finish(
            tmp_path, *("submit", study, "--address", nodes.dashboard, "--insecure", "--max-trials", "1")
        )
        assert status == 0, said
        assert "1 trials were recorded by this run" in said
