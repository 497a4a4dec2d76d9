"""Every command of every page runs as it stands there, every complete study and every Python block too."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT
from tests.integration.pages import DIGITS, SCENARIOS, Reader, write_yaml
from tests.integration.raylets import Raylets
from tests.integration.studies import keep_pools, with_pools
from tests.integration.test_jobs import KNOWN, nodes_env
from tests.integration.test_synthesis import pipeline  # noqa: F401

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def digits_that_ran(shared_ray, pools, tmp_path_factory):
    """The folder of somebody whose small digits study has run; to be copied."""
    folder = tmp_path_factory.mktemp("digits")
    write_yaml(folder / "studies" / "digits.yaml", DIGITS)
    with_pools(folder / "runs", pools)
    Reader(folder, pools, {}.__getitem__).in_this_process(["run", "studies/digits.yaml"])
    keep_pools(folder / "runs", pools)
    return folder


@pytest.fixture
def cluster_and_store(s3_server, tmp_path):
    """The job server of a cluster of this machine, and what a process needs in its environment to reach it and the store."""
    env = {**KNOWN, **s3_server.env, "ABLATE_CACHE": str(tmp_path / "copies")}
    with Raylets({**nodes_env(tmp_path / "home"), **env}, dashboard=True) as nodes:
        nodes.add(cpus=2)
        yield nodes.dashboard, {**env, "RAY_ADDRESS": nodes.address}


@pytest.mark.parametrize("page", SCENARIOS)
def test_the_lines_of_a_page_run_in_order(page, shared_ray, pools, tmp_path, monkeypatch, request):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder, pools, request.getfixturevalue)
    SCENARIOS[page](reader)
    reader.reads(ROOT / page)
