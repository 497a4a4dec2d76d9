"""Studies on clusters of several nodes that come and go."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from results.ledger.ledger import Ledger
from results.report.writing import load_table
from tests.integration.raylets import Raylets
from tests.integration.studies import command, environment, keep_pools, with_pools, write_study
from tests.integration.test_faults import wait_for
from tests.integration.test_study_run import outcomes

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

LONGER: dict[str, Any] = {
    "training": {"steps": 200, "reports": 10, "unlabelled_ratio": 4},
    "evaluate": {"seeds": 5},
    "resources": {"cpus": 1, "gpus": 0, "actors": None},
}
LONGER_TRIALS = 3 * (5 + 5)


def start(tmp_path: Path, *arguments: str | Path, **env: str) -> subprocess.Popen[bytes]:
    """`ablate` with its output in `output.txt`; the clusters of these tests ask for no token."""
    with (tmp_path / "output.txt").open("ab") as log:
        return subprocess.Popen(
            command(*arguments),
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env={**environment(), "RAY_AUTH_MODE": "disabled", **env},
            start_new_session=True,
        )


def finish(tmp_path: Path, *arguments: str | Path, **env: str) -> tuple[int, str]:
    """The exit status and the output of `ablate`."""
    (tmp_path / "output.txt").unlink(missing_ok=True)
    status = start(tmp_path, *arguments, **env).wait(300)
    return status, " ".join((tmp_path / "output.txt").read_text().split())


@pytest.fixture
def nodes() -> Iterator[Raylets]:
    with Raylets(client=True) as cluster:
        yield cluster


def test_nodes_come_and_go_and_the_answer_stays(nodes, run, pools, tmp_path):
    study = write_study(tmp_path, **LONGER)
    undisturbed, _ = run(with_pools(tmp_path / "undisturbed", pools), **LONGER)
    keep_pools(tmp_path / "undisturbed", pools)
    runs = with_pools(tmp_path / "runs", pools)
    ledger = Ledger(runs / "small" / "ledger")
    seen: dict[str, set[int]] = {}

    def recorded(number: int) -> bool:
        for node, pids in seen.items():
            if node in living:
                pids |= nodes.workers(node)
        return len(ledger.parts()) >= number

    def node_of(process: int) -> str | None:
        return next((node for node, pids in seen.items() if process in pids), None)

    first, second = nodes.add(), nodes.add()
    living = {first, second}
    seen.update({first: set(), second: set()})
    driver = start(tmp_path, "run", study, "--address", nodes.address)
    assert wait_for(lambda: recorded(4), driver, 200)
    third = nodes.add()
    living.add(third)
    seen[third] = set()
    assert wait_for(lambda: recorded(10), driver)
    nodes.kill(first)
    living.remove(first)
    before = {r.trial_id: r.started_at for r in ledger.records()}
    assert wait_for(lambda: recorded(14), driver)
    nodes.kill(second)
    living.remove(second)
    fourth = nodes.add()
    living.add(fourth)
    seen[fourth] = set()
    while driver.poll() is None:
        wait_for(lambda: recorded(10_000), driver, 300)

    assert driver.returncode == 0, (tmp_path / "output.txt").read_text()
    records = ledger.records()
    assert len(records) == LONGER_TRIALS
    assert max(Counter(r.trial_id for r in ledger.history()).values()) == 1
    assert {i: t for i, t in ((r.trial_id, r.started_at) for r in records) if i in before} == before
    assert {node_of(r.process) for r in records} >= {first, second, third, fourth}
    assert outcomes(records) == outcomes(Ledger(undisturbed.folders.ledger).records())
    assert load_table(runs / "small").answers() == load_table(undisturbed.folders.study).answers()


def test_a_head_that_dies_ends_the_run_and_a_new_one_goes_on(nodes, pools, tmp_path):
    study = write_study(tmp_path, **LONGER)
    runs = with_pools(tmp_path / "runs", pools)
    ledger = Ledger(runs / "small" / "ledger")
    nodes.add(cpus=2)
    impatient = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
    driver = start(tmp_path, "run", study, "--address", nodes.address, **impatient)
    assert wait_for(lambda: len(ledger.parts()) >= 3, driver, 200)
    nodes.kill_head()
    assert driver.wait(120) == 1
    said = " ".join((tmp_path / "output.txt").read_text().split())
    assert f"the Ray cluster {nodes.address} is lost" in said
    assert "Traceback" not in said
    before = {r.trial_id: r.started_at for r in ledger.records()}
    assert 3 <= len(before) < LONGER_TRIALS

    nodes.restart_head()
    nodes.add(cpus=2)
    status, said = finish(tmp_path, "run", study, "--address", nodes.client)
    assert status == 0, said
    after = ledger.records()
    assert len(after) == LONGER_TRIALS
    assert {i: t for i, t in ((r.trial_id, r.started_at) for r in after) if i in before} == before
    assert max(Counter(r.trial_id for r in ledger.history()).values()) == 1


def test_a_cluster_that_cannot_run_the_study_is_refused_with_the_reason(nodes, tmp_path):
    study = write_study(tmp_path)
    status, said = finish(tmp_path, "run", study, "--address", nodes.address)
    assert status == 2
    assert "no node of the cluster has that; they have 0 CPUs and 0 GPUs; ask for less, or add a node" in said

    hidden = nodes.add_hiding(tmp_path / "runs")
    if hidden is None:
        pytest.skip("this user cannot hide a folder from a process")
    status, said = finish(tmp_path, "run", study, "--address", nodes.address)
    assert status == 2
    assert f"({hidden}): it does not share {tmp_path / 'runs' / 'small'} with this machine" in said
    assert not Ledger(tmp_path / "runs" / "small" / "ledger").records()
