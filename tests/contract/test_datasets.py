"""What holds for every dataset."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract.trials import Blocks, data_spec
from trainables.data import DATASETS, Images
from trainables.data.datasets import fingerprint_of
from trainables.data.seed_block import cut_block, load_dataset

every_dataset = pytest.mark.parametrize("name", DATASETS)


def test_every_dataset_is_under_contract() -> None:
    assert {"digits", "fashion-mnist"} == set(DATASETS)  # add the new one's size to `trials.SIZES`


@every_dataset
@pytest.mark.usefixtures("quick")
def test_images_are_what_the_dataset_declares(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.name == name
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


@every_dataset
@pytest.mark.usefixtures("quick")
def test_the_fingerprint_is_of_pixels_and_labels(name: str) -> None:
    dataset = DATASETS[name]
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


def pairs(part: Images) -> list[tuple[bytes, int]]:
    return sorted((bytes(image), int(label)) for image, label in zip(part.images, part.labels, strict=True))


@every_dataset
@pytest.mark.usefixtures("quick")
def test_a_seed_block_holds_each_image_once(name: str, blocks: Blocks) -> None:
    _, train, split, fingerprint = cut_block(data_spec(name), 0)
    block = blocks(data_spec(name))
    assert block.test is not None
    real = block.unlabelled.pool.at(np.flatnonzero(block.unlabelled.generator < 0))
    assert np.array_equal(block.labelled.images, train.images[split.labelled])
    assert pairs(real) == pairs(train.at(split.unlabelled))
    assert pairs(block.validation) == pairs(train.at(split.validation))
    assert block.provenance["fingerprint"] == fingerprint
    assert block.provenance["unlabelled_real"] == len(real)
    if not DATASETS[name].official_test:
        assert np.array_equal(block.test.images, train.images[split.test])


@every_dataset
def test_the_test_part_is_the_same_for_every_seed(name: str, blocks: Blocks) -> None:
    one, two = (blocks(data_spec(name), seed) for seed in (0, 1))
    assert one.test is not None
    assert two.test is not None
    assert one.test.fingerprint == two.test.fingerprint
    assert one.labelled.fingerprint != two.labelled.fingerprint
    assert one.unlabelled.pool.fingerprint != two.unlabelled.pool.fingerprint
