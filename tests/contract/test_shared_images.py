"""Images in the object store: read without a copy, to the same bits, and test labels out of reach of tuning."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract.trials import ARMS, Arm, Blocks, data_spec, outcome, trial
from trainables.data.datasets import Images
from trainables.data.picked import Picked, as_picked
from trainables.data.pools import pool_path, read_pool
from trainables.data.seed_block import Unlabelled, block_pools, load_dataset, load_seed_block
from trainables.data.shared_images import SharedBlock, sealed
from trainables.seeds import stream_seed
from trainables.shared_views import SharedViews, on_device, read_only, views_of
from trainables.specs import DataSpec, Phase
from trainables.training import Trainer
from trainables.views import Views

pytestmark = pytest.mark.usefixtures("quick")
CPU = torch.device("cpu")
DATASETS_ = ["digits", "fashion-mnist"]


class Store:
    """Stands for Ray's object store: keeps objects with arrays that nobody may write to, and counts what is asked for."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.asked: list[int] = []

    def put(self, value: Any) -> int:
        images = value[0] if isinstance(value, tuple) else value
        for array in (images.images, images.labels) if isinstance(images, Images) else ():
            array.flags.writeable = False
        self.objects.append(value)
        return len(self.objects) - 1

    def get(self, references: Any, timeout: float) -> Any:
        assert timeout > 0
        if isinstance(references, int):
            return self.get([references], timeout)[0]
        self.asked += references
        return [self.objects[r] for r in references]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    found = Store()
    monkeypatch.setattr("trainables.data.shared_images.ray.get", found.get, raising=False)
    return found


def shared(store: Store, spec: DataSpec, seed: int, phase: Phase, pools: Path) -> SharedBlock:
    """A seed block in the store, as the driver puts it there."""
    load_seed_block(spec, seed, phase, pools)  # makes missing pools
    train, official, fingerprint = load_dataset(spec.dataset)
    copies = [Images(images=x.images.copy(), labels=x.labels.copy()) for x in sealed(spec.dataset, train, official)]
    made = [read_pool(pool_path(pools, p)) for p in block_pools(spec, seed)]
    test = store.put(copies[1])
    return SharedBlock(
        train=store.put((copies[0], fingerprint)),
        pools=[store.put(p) for p in made],
        test=test if phase == "evaluate" else None,
    )


@pytest.mark.parametrize("phase", ["tune", "evaluate"])
@pytest.mark.parametrize("contamination", [0.0, 0.4])
@pytest.mark.parametrize("dataset", DATASETS_)
def test_a_trial_is_the_same_to_the_bit_from_the_store_and_from_files(
    dataset: str, contamination: float, phase: Phase, store: Store, pools: Path
) -> None:
    spec = trial(Arm("rsmatch"), data=data_spec(dataset, contamination=contamination), phase=phase)
    found = shared(store, spec.data, 0, phase, pools)
    theirs = load_seed_block(spec.data, 0, phase, pools)
    ours = load_seed_block(spec.data, 0, phase, pools, shared=found)
    assert store.asked
    assert ours.provenance == theirs.provenance
    assert ours.statistics == theirs.statistics
    assert outcome(Trainer(spec, ours, CPU)) == outcome(Trainer(spec, theirs, CPU))


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_every_arm_trains_on_images_that_nobody_may_write_to(arm: Arm, store: Store, pools: Path) -> None:
    spec = trial(arm, steps=2, reports=1)
    block = load_seed_block(spec.data, 0, "evaluate", pools, shared=shared(store, spec.data, 0, "evaluate", pools))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(spec, block, CPU).run_to_report()


@pytest.mark.parametrize("dataset", DATASETS_)
def test_no_pixel_is_copied(dataset: str, store: Store, pools: Path) -> None:
    spec = trial(Arm("fixmatch"), data=data_spec(dataset))
    found = shared(store, spec.data, 0, "evaluate", pools)
    block = load_seed_block(spec.data, 0, "evaluate", pools, shared=found)
    train = store.objects[found.train][0].images
    pool_arrays = [store.objects[p].images for p in found.pools]
    for images in (block.labelled, block.validation, block.unlabelled.pool):
        assert isinstance(images, Picked)
        assert np.shares_memory(images.parts[0].images, train)
    assert isinstance(block.unlabelled.pool, Picked)
    for part, array in zip(block.unlabelled.pool.parts[1:], pool_arrays, strict=True):
        assert np.shares_memory(part.images, array)
    assert block.test is not None
    assert np.shares_memory(as_picked(block.test).parts[0].images, store.objects[found.test].images)
    trainer = Trainer(spec, block, CPU)
    views = trainer._unlabelled
    assert isinstance(views, SharedViews)
    assert [p.data_ptr() for p in views._parts] == [a.ctypes.data for a in (train, *pool_arrays)]


@pytest.mark.parametrize("dataset", DATASETS_)
def test_tuning_asks_for_no_test_part_even_where_it_is_in_reach(dataset: str, store: Store, pools: Path) -> None:
    spec = data_spec(dataset)
    found = shared(store, spec, 0, "evaluate", pools)
    assert found.test is not None
    block = load_seed_block(spec, 0, "tune", pools, shared=found)
    assert block.test is None
    assert found.test not in store.asked
    load_seed_block(spec, 0, "evaluate", pools, shared=found)
    assert found.test in store.asked


@pytest.mark.parametrize("dataset", DATASETS_)
def test_shared_training_images_hold_no_test_label(dataset: str, pools: Path) -> None:
    train, official, _ = load_dataset(dataset)
    without, test = sealed(dataset, train, official)
    block = load_seed_block(data_spec(dataset), 0, "evaluate", pools)
    assert block.test is not None
    assert test.fingerprint == block.test.fingerprint
    assert len(without) == len(train)
    if official is None:
        assert (without.labels == -1).sum() == len(test)
        assert not without.images[without.labels == -1].any()
        assert (train.labels >= 0).all()


def test_an_evaluation_without_a_reference_to_the_test_part_reads_files(store: Store, pools: Path) -> None:
    spec = data_spec()
    found = shared(store, spec, 0, "tune", pools)
    block = load_seed_block(spec, 0, "evaluate", pools, shared=found)
    assert block.test is not None
    assert store.asked == []


def test_released_references_are_gone_from_every_copy_in_the_process(store: Store, pools: Path) -> None:
    found = shared(store, data_spec(), 0, "evaluate", pools)
    config = copy.deepcopy({"shared": found})
    found.release()
    assert config["shared"].read("tune") is None
    assert (found.train, found.pools, found.test) == (None, (), None)


def test_statistics_are_those_of_the_images_laid_end_to_end(blocks: Blocks) -> None:
    block = blocks(data_spec("fashion-mnist"))
    seen = np.concatenate([block.labelled.images, block.unlabelled.pool.images]).astype(np.float64) / 255
    mean, deviation = block.statistics
    np.testing.assert_allclose(mean, seen.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviation, seen.std(axis=(0, 2, 3)), rtol=1e-9)


def test_statistics_do_not_depend_on_the_order_of_images_to_the_last_bit(blocks: Blocks) -> None:
    block = blocks(data_spec())
    pool = as_picked(block.unlabelled.pool)
    turned = Unlabelled(
        pool=pool.at(np.arange(len(pool))[::-1].copy()), generator=block.unlabelled.generator[::-1].copy()
    )
    assert replace(block, unlabelled=turned).statistics == block.statistics


@pytest.mark.parametrize("channels", [1, 3])
def test_views_of_parts_equal_views_of_one_array(channels: int) -> None:
    rng = np.random.default_rng(0)
    parts = tuple(
        Images(images=rng.integers(0, 256, (n, channels, 16, 16), np.uint8), labels=rng.integers(0, 10, n))
        for n in (9, 5, 7)
    )
    picked = Picked(parts=parts, place=rng.permutation(21)[:15].astype(np.int32))
    whole = torch.from_numpy(picked.images)
    statistics = {"mean": torch.full((channels,), 0.4), "std": torch.full((channels,), 0.3)}
    ours = views_of(picked, CPU, flip=True, **statistics)
    theirs = Views(whole, flip=True, **statistics)
    assert isinstance(ours, SharedViews)
    assert torch.equal(on_device(picked, CPU), whole)
    assert torch.equal(ours.plain(3, 12), theirs.plain(3, 12))
    assert torch.equal(ours.plain(12, 99), theirs.plain(12, 99))
    index = torch.tensor([14, 0, 3, 3, 7])
    for kind in ("weak", "strong"):
        drawn = [
            getattr(v, kind)(index, torch.Generator().manual_seed(stream_seed(0, "views")))[:] for v in (ours, theirs)
        ]
        assert torch.equal(*drawn)
        assert drawn[0].stride() == drawn[1].stride()


def test_picked_images_answer_as_images_do() -> None:
    rng = np.random.default_rng(0)
    parts = tuple(
        Images(images=rng.integers(0, 256, (n, 1, 4, 4), np.uint8), labels=rng.integers(0, 9, n)) for n in (6, 4)
    )
    whole = Images(images=np.concatenate([p.images for p in parts]), labels=np.concatenate([p.labels for p in parts]))
    place = np.array([9, 0, 5, 6, 6], np.int32)
    picked = Picked(parts=parts, place=place)
    expected = whole.at(place)
    assert len(picked) == 5
    assert picked.fingerprint == expected.fingerprint
    assert picked.at(np.array([1, 4])).fingerprint == expected.at(np.array([1, 4])).fingerprint
    assert as_picked(whole).fingerprint == whole.fingerprint
    assert as_picked(picked) is picked


def test_a_tensor_over_an_array_that_nobody_may_write_to_shares_its_memory() -> None:
    array = np.arange(6, dtype=np.uint8)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = read_only(array)
    assert tensor.data_ptr() == array.ctypes.data
