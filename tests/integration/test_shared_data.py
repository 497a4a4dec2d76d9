"""A study's images in the object store of a real Ray."""

from __future__ import annotations

import gc
import pickle
import time
from typing import Any

import numpy as np
import pytest

from orchestrator.cluster import shared_data
from orchestrator.cluster.shared_data import SharedData
from results.ledger.ledger import Ledger
from trainables.data.seed_block import load_dataset, load_seed_block, make_pools
from trainables.data.shared_images import SharedBlock
from trainables.specs import DataSpec, TrainingSpec, TrialSpec

pytestmark = pytest.mark.filterwarnings("ignore")
DATA = DataSpec(dataset="digits", labels_per_class=2, contamination=0.3, generators=("vae",))


def trial(phase: str = "tune", seed: int = 0) -> TrialSpec:
    return TrialSpec(
        algorithm="fixmatch",
        hyperparameters={},
        data=DATA,
        training=TrainingSpec(steps=2),
        seed=seed,
        phase=phase,  # type: ignore[arg-type]
        fingerprint=load_dataset("digits")[2],
        source="",
    )


@pytest.fixture
def shared(shared_ray, pools):
    make_pools(DATA, 0, pools, device="cpu")
    with SharedData(pools, shared_ray) as data:
        yield data


def held(ray) -> set[str]:
    """Objects that this process holds references to."""
    gc.collect()
    return set(ray._private.worker.global_worker.core_worker.get_all_reference_counts())


def test_processes_read_the_store_itself(shared_ray, shared, pools):
    block = shared.block(trial("evaluate"))

    @shared_ray.remote(num_cpus=0)
    def look(block: SharedBlock) -> Any:
        found = block.read("evaluate")
        arrays = [found.train.images, found.train.labels, found.test.images, *(p.images for p in found.pools)]
        return [(a.flags.writeable, a.flags.owndata) for a in arrays], found.fingerprint

    flags, fingerprint = shared_ray.get(look.remote(block))
    assert flags == [(False, False)] * 4
    assert fingerprint == load_dataset("digits")[2]
    ours = load_seed_block(DATA, 0, "evaluate", pools, shared=block)
    theirs = load_seed_block(DATA, 0, "evaluate", pools)
    assert ours.provenance == theirs.provenance
    for name in ("labelled", "validation", "test"):
        assert getattr(ours, name).fingerprint == getattr(theirs, name).fingerprint
    assert np.array_equal(ours.unlabelled.pool.images, theirs.unlabelled.pool.images)
    assert not ours.unlabelled.pool.parts[0].images.flags.writeable


def test_each_array_is_put_once_and_tuning_gets_no_reference_to_the_test_part(shared):
    tune, evaluate, again = (shared.block(trial(phase)) for phase in ("tune", "evaluate", "tune"))
    assert tune.test is None
    assert evaluate.test is not None
    assert (tune.train, tune.pools) == (evaluate.train, evaluate.pools) == (again.train, again.pools)


def test_a_trial_whose_pool_is_still_to_be_made_reads_files(shared):
    assert shared.block(trial(seed=99)) is None
    assert shared.block(trial()) is not None


def test_what_the_store_has_lost_is_read_from_files(shared_ray, shared, pools):
    @shared_ray.remote(num_cpus=0)
    class Owner:
        def put(self, images):
            return [shared_ray.put(images)]

    owner, block = Owner.remote(), shared.block(trial("evaluate"))
    block.pools = tuple(shared_ray.get(owner.put.remote(shared_ray.get(block.pools[0]))))
    assert block.read("evaluate") is not None
    shared_ray.kill(owner)
    while block.read("evaluate") is not None:
        time.sleep(0.1)
    ours = load_seed_block(DATA, 0, "evaluate", pools, shared=block)
    assert ours.provenance == load_seed_block(DATA, 0, "evaluate", pools).provenance


def test_a_store_that_takes_nothing_costs_a_study_nothing(shared_ray, pools, monkeypatch):
    data = SharedData(pools, shared_ray)

    def full(value: Any) -> Any:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shared_ray, "put", full)
        assert data.block(trial()) is None
    assert data.block(trial()) is None, "it is not asked again"


def test_pools_that_were_used_longest_ago_make_room(shared_ray, pools, monkeypatch):
    for seed in (0, 1):
        make_pools(DATA, seed, pools, device="cpu")
    monkeypatch.setattr(shared_data, "POOLS_SHARE", 0.0)
    with SharedData(pools, shared_ray) as data:
        first = data.block(trial())
        data.block(trial(seed=1))
        assert len(data._pools) == 1
        assert first.read("tune") is not None, "a trial in motion keeps its own"
        assert data.block(trial()).pools != first.pools


def test_a_study_reads_the_store_and_lets_go_of_it(shared_ray, run, runs, monkeypatch):
    handed: list[SharedBlock] = []
    block = SharedData.block
    seen: set[str] = set()

    def spy(self: SharedData, spec: TrialSpec) -> SharedBlock | None:
        found = block(self, spec)
        assert found is not None
        assert (found.test is not None) == (spec.phase == "evaluate")
        seen.update(r.hex() for r in (found.train, *found.pools, found.test) if r is not None)
        handed.append(found)
        return found

    monkeypatch.setattr(SharedData, "block", spy)
    outcome, _ = run(runs, study="stored", search={"trials": 2, "generation": 2})
    assert not outcome.failed
    assert len(handed) == outcome.recorded
    assert all(h.train is None for h in handed)
    assert seen
    assert not seen & held(shared_ray)
    stored = {r.trial_id: (r.metrics, r.curves, r.data) for r in Ledger(outcome.folders.ledger).records()}
    monkeypatch.setattr(SharedData, "block", lambda self, spec: None)
    outcome, _ = run(runs.parent / "files", study="stored", search={"trials": 2, "generation": 2})
    assert stored == {r.trial_id: (r.metrics, r.curves, r.data) for r in Ledger(outcome.folders.ledger).records()}


def test_references_are_gone_from_what_tune_writes_of_a_trial_that_ended(shared):
    found = shared.block(trial())
    found.release()
    assert pickle.loads(pickle.dumps(found)).train is None
