"""Synthetic images made by tasks of a real Ray."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.ssl import building
from orchestrator.ssl.building import build_pools
from orchestrator.storage.pool_cache import PoolCache
from trainables.data.base import DatasetMissing
from trainables.data.seed_block import make_pools, missing_fits, missing_pools
from trainables.specs import DataSpec

pytestmark = pytest.mark.filterwarnings("ignore")
JOBS = [
    (DataSpec(dataset="digits", labels_per_class=2, contamination=c, generators=("vae", "pca")), 0) for c in (0.3, 0.5)
]


def test_blocks_that_share_generators_train_each_once_and_say_how_far_they_are(shared_ray, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "PLAIN_SECONDS", 0.0)
    output = io.StringIO()
    build_pools(shared_ray, JOBS, PoolCache(tmp_path), gpus=0, console=Console(file=output, width=200))
    assert len(list(tmp_path.glob("generator-*.pt"))) == 2
    assert len(list(tmp_path.glob("*.npz"))) == 4
    for spec, seed in JOBS:
        assert not missing_pools(spec, seed, tmp_path)
    lines = output.getvalue().splitlines()
    assert lines[0] == "making synthetic images for 2 seed blocks, training 2 generators …"
    assert "  1/2 seed blocks" in lines
    assert lines[-1] == "  2/2 seed blocks"
    assert any("digits, seed 0, vae: training" in line for line in lines)
    spec, seed = JOBS[0]
    here = make_pools(spec, seed, tmp_path / "here", device="cpu")
    there = make_pools(spec, seed, tmp_path, device="cpu")
    assert [p.fingerprint for p in here] == [p.fingerprint for p in there]


def test_a_training_that_is_there_is_used(shared_ray, tmp_path):
    spec, seed = JOBS[0]
    make_pools(spec, seed, tmp_path, device="cpu")
    assert not missing_fits(*JOBS[1], tmp_path)
    output = io.StringIO()
    build_pools(shared_ray, JOBS[1:], PoolCache(tmp_path), gpus=0, console=Console(file=output, width=200))
    assert output.getvalue().startswith("making synthetic images for 1 seed blocks …")
    assert not missing_pools(*JOBS[1], tmp_path)


def test_what_a_task_says_about_images_is_the_users_to_read(shared_ray, tmp_path):
    @shared_ray.remote(num_cpus=0)
    def complains() -> None:
        raise DatasetMissing(f"{Path('pets')}: no such folder")

    board = shared_ray.remote(building.Board).options(num_cpus=0).remote()
    view = building.BuildView(Console(file=io.StringIO()), 1, "seed blocks")
    with pytest.raises(DatasetMissing) as caught:
        building.wait_for(shared_ray, [complains.remote()], board, view)
    assert str(caught.value) == "pets: no such folder"
