"""Studies in an object store, on nodes and machines that share no disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.storage.object_store import RemoteFolder
from orchestrator.storage.pool_cache import POOLS
from orchestrator.storage.working_copy import runs_folder
from results.ledger.ledger import Ledger
from results.report.writing import load_table
from tests.integration.raylets import Raylets
from tests.integration.studies import SMALL_TRIALS, keep_pools, with_pools, write_study
from tests.integration.test_clusters import LONGER, LONGER_TRIALS, finish, start
from tests.integration.test_faults import wait_for
from tests.integration.test_study_run import outcomes
from tests.object_store import SECRET

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def send_pools(remote: RemoteFolder, pools: Path) -> None:
    for path in pools.glob("[!.]*.npz"):
        remote.send(path, f"{POOLS}/{path.name}")


def everything_said(folder: Path) -> bytes:
    """What the runs wrote on this machine, the copies included."""
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_nodes_that_share_no_disk_come_and_go_and_so_does_the_store(run, pools, s3, remote, tmp_path, monkeypatch):
    undisturbed, _ = run(with_pools(tmp_path / "undisturbed", pools), **LONGER)
    keep_pools(tmp_path / "undisturbed", pools)
    send_pools(remote, pools)
    study = write_study(tmp_path, **LONGER)

    def recorded() -> int:
        return len(Ledger(runs_folder(remote.uri) / "small" / "ledger").records())

    with Raylets(env={**s3.env, "ABLATE_CACHE": str(tmp_path / "head")}) as nodes:
        first = nodes.add(env={"ABLATE_CACHE": str(tmp_path / "first")})
        nodes.add(env={"ABLATE_CACHE": str(tmp_path / "second")})
        driver = start(tmp_path, "run", study, "--runs", remote.uri, "--address", nodes.address)
        assert wait_for(lambda: recorded() >= 4, driver, 200)
        nodes.kill(first)
        nodes.add(env={"ABLATE_CACHE": str(tmp_path / "third")})
        assert wait_for(lambda: recorded() >= 10, driver, 200)
        s3.stop()
        before = recorded()
        assert wait_for(lambda: recorded() >= before + 3, driver, 200)  # nothing waits for the store
        s3.start()
        status = driver.wait(400)
    assert status == 0, (tmp_path / "output.txt").read_text()
    assert not remote.files("small/checkpoints")
    assert not remote.files("small/claims")
    assert SECRET.encode() not in everything_said(tmp_path)

    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "another machine"))
    status, said = finish(tmp_path, "report", "small", "--runs", remote.uri)
    assert status == 0, said
    copy = runs_folder(remote.uri) / "small"
    assert copy.is_relative_to(tmp_path / "another machine")
    records = Ledger(copy / "ledger").records()
    assert len(records) == LONGER_TRIALS
    assert outcomes(records) == outcomes(Ledger(undisturbed.folders.ledger).records())
    assert load_table(copy).answers() == load_table(undisturbed.folders.study).answers()


def test_another_machine_goes_on_where_one_was_killed(run, pools, s3, remote, tmp_path, monkeypatch):
    study = write_study(tmp_path)
    with_pools(tmp_path / "pools-only", pools)
    send_pools(remote, pools)
    driver = start(tmp_path, "run", study, "--runs", remote.uri)
    assert wait_for(lambda: len(remote.files("small/ledger")) >= 5, driver, 200)
    status, said = finish(tmp_path, "run", study, "--runs", remote.uri)
    assert status == 2
    assert "is running this study" in said
    driver.kill()
    driver.wait()
    known = set(remote.files("small/ledger"))

    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "another machine"))
    status, said = finish(tmp_path, "run", study, "--runs", remote.uri)
    assert status == 0, said
    records = Ledger(runs_folder(remote.uri) / "small" / "ledger").records()
    assert len(records) == SMALL_TRIALS
    assert {Path(name).stem.removeprefix("part-") for name in known if "part-" in name} <= {r.trial_id for r in records}
    status, said = finish(tmp_path, "plan", study, "--runs", remote.uri, "--json")
    assert status == 0, said
    assert '"to_run": 0,' in said


def test_a_store_that_is_away_is_said_before_anything_starts(s3, remote, tmp_path):
    study = write_study(tmp_path)
    s3.stop()
    status, said = finish(tmp_path, "run", study, "--runs", remote.uri)
    assert status == 2
    assert f"{remote.uri}: " in said
    assert "onnect" in said
    assert "Traceback" not in said


def test_a_node_without_the_right_to_the_store_is_refused(s3, remote, tmp_path):
    study = write_study(tmp_path)
    with Raylets(
        env={**s3.env, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "ABLATE_CACHE": str(tmp_path / "node")}
    ) as nodes:
        nodes.add()
        status, said = finish(tmp_path, "run", study, "--runs", remote.uri, "--address", nodes.address)
    assert status == 2
    assert f"it cannot read and write {remote.uri}/small (" in said
    assert "Traceback" not in said
