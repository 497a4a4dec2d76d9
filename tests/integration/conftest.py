from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.check.loading import load_study
from orchestrator.cluster.connection import cluster
from orchestrator.running.runner import RunOptions, run_study
from tests.integration.studies import keep_pools, with_pools, write_study


@pytest.fixture(scope="session")
def shared_ray():
    """One local cluster for all tests that run studies in this process; two logical GPUs."""
    with cluster(num_cpus=4, num_gpus=2) as ray:
        yield ray


@pytest.fixture(scope="session")
def pools(tmp_path_factory):
    """Synthetic pools that tests share, so that each is made once."""
    return tmp_path_factory.mktemp("pools")


@pytest.fixture
def runs(tmp_path, pools):
    """An empty folder of runs with the shared pools; what a test adds to them is kept for the next."""
    yield with_pools(tmp_path / "runs", pools)
    keep_pools(tmp_path / "runs", pools)


@pytest.fixture(scope="module")
def run(shared_ray, tmp_path_factory):
    """Run a small study in this process: `run(runs, **changes)` gives its outcome and what was printed."""

    def go(runs: Path, *overrides: str, **changes):
        loaded = load_study(write_study(tmp_path_factory.mktemp("studies"), **changes), overrides)
        output = io.StringIO()
        outcome = run_study(loaded, RunOptions(runs=runs), Console(file=output, width=160))
        return outcome, output.getvalue()

    return go
