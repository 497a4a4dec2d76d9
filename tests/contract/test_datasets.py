"""What holds for every dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.contract.trials import SIZES, Blocks, data_spec
from trainables.data import DATASETS, Images, dataset_of, is_dataset, size_problem
from trainables.data.datasets import fingerprint_of
from trainables.data.seed_block import cut_block, load_dataset
from trainables.specs import DataSpec


@pytest.fixture(params=[*DATASETS, "folder"])
def name(request: pytest.FixtureRequest, made_up: Path) -> str:
    """Every dataset that has a name, and a folder of images."""
    return f"folder:{made_up / 'images'}" if request.param == "folder" else request.param


def test_every_dataset_is_under_contract() -> None:
    assert {*DATASETS, "folder"} == set(SIZES)  # a new one is made up in `made_up.py`, unless a package carries it


@pytest.mark.usefixtures("quick")
def test_images_are_what_the_dataset_declares(name: str) -> None:
    dataset = dataset_of(name)
    assert dataset.name == (f"folder:{dataset.title}" if name.startswith("folder:") else name)
    assert dataset.missing() is None
    train, test = dataset.load()
    assert (test is not None) == dataset.official_test
    for part in filter(None, (train, test)):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert part.images.shape == (len(part), *dataset.image_shape)
        assert part.images.flags.writeable
        assert set(part.labels) == set(range(dataset.num_classes))
        assert part.images.max() > 127
    assert len(set(dataset.classes)) == dataset.num_classes
    if name != "fashion-mnist":  # of which more than was made up is declared
        assert len(train) == dataset.size
        assert test is None or len(test) == dataset.test_size
    counts = np.bincount(train.labels)
    assert dataset.smallest_class in (None, counts.min())
    assert is_dataset(name)
    assert 0 < dataset.generator_size < dataset.size
    assert size_problem(data_spec(name)) is None
    assert "per class are 200000" in str(size_problem(data_spec(name, labels_per_class=100_000)))


@pytest.mark.usefixtures("quick")
def test_the_fingerprint_is_of_pixels_and_labels(name: str) -> None:
    dataset = dataset_of(name)
    assert fingerprint_of(*dataset.load()) == fingerprint_of(*dataset.load()) == load_dataset(name)[2]
    train, _ = dataset.load()
    changed = train.at(np.arange(len(train)))
    assert changed.fingerprint == train.fingerprint
    changed = train.at(np.arange(len(train)))
    changed.images[3, 0, 2, 2] ^= 1
    assert changed.fingerprint != train.fingerprint
    changed = train.at(np.arange(len(train)))
    changed.labels[3] ^= 1
    assert changed.fingerprint != train.fingerprint


def real_spec(name: str) -> DataSpec:
    """Synthetic images for two datasets only: what generators do has a contract of its own, and takes its time."""
    return data_spec(name) if name in ("digits", "fashion-mnist") else data_spec(name, contamination=0.0)


def pairs(part: Images) -> list[tuple[bytes, int]]:
    return sorted((bytes(image), int(label)) for image, label in zip(part.images, part.labels, strict=True))


@pytest.mark.usefixtures("quick")
def test_a_seed_block_holds_each_image_once(name: str, blocks: Blocks) -> None:
    _, train, split, fingerprint = cut_block(real_spec(name), 0)
    block = blocks(real_spec(name))
    assert block.test is not None
    real = block.unlabelled.pool.at(np.flatnonzero(block.unlabelled.generator < 0))
    assert np.array_equal(block.labelled.images, train.images[split.labelled])
    assert pairs(real) == pairs(train.at(split.unlabelled))
    assert pairs(block.validation) == pairs(train.at(split.validation))
    assert block.provenance["fingerprint"] == fingerprint
    assert block.provenance["unlabelled_real"] == len(real)
    if not dataset_of(name).official_test:
        assert np.array_equal(block.test.images, train.images[split.test])


def test_the_test_part_is_the_same_for_every_seed(name: str, blocks: Blocks) -> None:
    one, two = (blocks(real_spec(name), seed) for seed in (0, 1))
    assert one.test is not None
    assert two.test is not None
    assert one.test.fingerprint == two.test.fingerprint
    assert one.labelled.fingerprint != two.labelled.fingerprint
    assert one.unlabelled.pool.fingerprint != two.unlabelled.pool.fingerprint
