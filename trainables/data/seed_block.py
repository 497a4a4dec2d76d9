"""All images of one seed block, as a trial of one phase may see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.datasets import Dataset, Images, dataset_of, fingerprint_of
from trainables.data.fitted import FitSpec, fit_path, load_fit
from trainables.data.made_elsewhere import generator_of, joint_fingerprint, made_fingerprints
from trainables.data.picked import ImageSet, Picked, as_picked, pick
from trainables.data.pools import PoolSpec, Report, _silent, load_pool, pool_path, pool_specs
from trainables.data.shared_images import BlockImages, SharedBlock
from trainables.data.splits import Split, cut
from trainables.seeds import stream_seed
from trainables.specs import DataSpec, Phase, without_place

_CHUNK = 4096
_SMALLEST_DEVIATION = 1e-3
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Of each channel: means, standard deviations."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Unlabelled:
    """The unlabelled pool with the truth about it, which diagnostics may read and algorithms never see.

    Real and synthetic images are shuffled: an image's place says nothing about its origin.
    """

    pool: ImageSet
    """Labels are the true class of real images and the class that was asked for of synthetic ones."""
    generator: NDArray[np.int8]
    """-1 for a real image, else the place of its generator in the specification, int8 [n]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedBlock:
    """One seed's images. `test` is None in the tune phase: no code that runs there can reach a test label.

    Images stay where they were read, which may be memory that other processes read too; a block holds their places.
    """

    labelled: ImageSet
    validation: ImageSet
    unlabelled: Unlabelled
    test: ImageSet | None
    provenance: dict[str, Any]
    """Sizes and hashes, for the record."""

    @cached_property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of each channel over labelled and unlabelled images, of pixels in 0..1.

        Sums are of whole numbers, and so exact: neither the order of images nor the number of threads moves a bit.
        """
        sets = (as_picked(self.labelled), as_picked(self.unlabelled.pool))
        sums = np.zeros(sets[0].image_shape[0], np.int64)
        squares, pixels = np.zeros_like(sums), 0
        for images in sets:
            for start in range(0, len(images), _CHUNK):
                part = images.pixels(start, start + _CHUNK)
                sums += part.sum(axis=(0, 2, 3), dtype=np.int64)
                squares += np.square(part, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.int64)
                pixels += part[:, 0].size
        mean = sums / pixels
        deviation = np.sqrt(np.maximum(squares / pixels - np.square(mean), 0))
        return tuple((mean / 255).tolist()), tuple(np.maximum(deviation / 255, _SMALLEST_DEVIATION).tolist())


@lru_cache(maxsize=2)
def load_dataset(name: str) -> tuple[Images, Images | None, str]:
    """A dataset's training and official test part and its fingerprint, kept in memory, image after image."""
    dataset = dataset_of(name)
    train, official = dataset.load()
    train, test = _contiguous(train), None if official is None else _contiguous(official)
    return train, test, fingerprint_of(train, test)


def _contiguous(part: Images) -> Images:
    """With arrays of which an image is read in one go, and which the object store takes as they are."""
    return Images(images=np.ascontiguousarray(part.images), labels=np.ascontiguousarray(part.labels))


def data_fingerprint(spec: DataSpec) -> str:
    """Hash of all images that a condition's outcomes depend on, as trials carry it."""
    return joint_fingerprint(load_dataset(spec.dataset)[2], made_fingerprints(spec))


def cut_block(spec: DataSpec, seed: int) -> tuple[Dataset, Images, Split, str]:
    """The dataset, its training images, their split and the fingerprint for one seed block."""
    dataset = dataset_of(spec.dataset)
    train, _, fingerprint = load_dataset(spec.dataset)
    return dataset, train, cut(dataset, train.labels, spec, seed), fingerprint


def block_pools(spec: DataSpec, seed: int) -> list[PoolSpec]:
    """The seed block's synthetic pools, one for each generator."""
    _, _, split, fingerprint = cut_block(spec, seed)
    return pool_specs(spec, split, fingerprint, seed)


def missing_pools(spec: DataSpec, seed: int, cache: Path) -> list[Path]:
    """Files of the seed block's pools that are not in the cache yet."""
    paths = (pool_path(cache, p) for p in block_pools(spec, seed))
    return [path for path in paths if not path.exists()]


def missing_fits(spec: DataSpec, seed: int, cache: Path) -> list[FitSpec]:
    """Generators that must be trained before the seed block's missing pools can be drawn."""
    missing = [p for p in block_pools(spec, seed) if not pool_path(cache, p).exists()]
    trained = [p for p in missing if generator_of(p.generator, p.dataset).trained]
    return [p.fit for p in trained if not fit_path(cache, p.fit).exists()]


def make_fit(fit: FitSpec, spec: DataSpec, cache: Path, *, device: str, report: Report = _silent) -> None:
    """Train and keep one of the generators that `missing_fits` names for a data condition, if it is not there."""
    dataset, train, split, _ = cut_block(spec, fit.seed)
    load_fit(
        fit,
        train.at(split.generator),
        cache,
        num_classes=dataset.num_classes,
        device=device,
        progress=lambda done, total: report("training", done, total),
    )


def make_pools(spec: DataSpec, seed: int, cache: Path, *, device: str, report: Report = _silent) -> list[Images]:
    """The seed block's synthetic pools, one for each generator, from the cache or made now."""
    _, train, split, fingerprint = cut_block(spec, seed)
    pools = pool_specs(spec, split, fingerprint, seed)
    part = train.at(split.generator)
    return [load_pool(p, part, cache, device=device, report=report) for p in pools]


def load_seed_block(
    spec: DataSpec, seed: int, phase: Phase, cache: Path, *, device: str = "cpu", shared: SharedBlock | None = None
) -> SeedBlock:
    """Cut the dataset for `seed`, add the synthetic pools, and leave out the test part unless `phase` is evaluate.

    Args:
        spec: The data condition.
        seed: The seed block.
        phase: "tune" or "evaluate".
        cache: Folder of synthetic pools.
        device: Where missing pools are trained.
        shared: Where the images are in the object store; without, or where they are lost, they come from files.
    """
    found = None if shared is None else shared.read(phase)
    if found is None:
        found = _from_files(spec, seed, phase, cache, device)
    train, pools = found.train, found.pools
    split = cut(dataset_of(spec.dataset), train.labels, spec, seed)
    real = len(split.unlabelled)
    synthetic = len(train) + np.arange(sum(map(len, pools)))
    generator = np.repeat(np.arange(-1, len(pools), dtype=np.int8), [real, *map(len, pools)])
    order = np.random.default_rng(stream_seed(seed, "pool order")).permutation(len(generator))
    place = np.concatenate([split.unlabelled, synthetic])[order].astype(np.int32)
    test: ImageSet | None = found.test
    if phase == "evaluate" and test is None:
        test = pick(train, split.test)
    return SeedBlock(
        labelled=pick(train, split.labelled),
        validation=pick(train, split.validation),
        unlabelled=Unlabelled(pool=Picked(parts=(train, *pools), place=place), generator=generator[order]),
        test=test,
        provenance={
            "dataset": spec.dataset,
            "fingerprint": joint_fingerprint(found.fingerprint, found.made),
            "labelled": len(split.labelled),
            "validation": len(split.validation),
            "unlabelled_real": real,
            "synthetic": {
                without_place(name): {"images": len(p), "hash": p.fingerprint}
                for name, p in zip(spec.generators[: len(pools)], pools, strict=True)
            },
        },
    )


def _from_files(spec: DataSpec, seed: int, phase: Phase, cache: Path, device: str) -> BlockImages:
    train, official, fingerprint = load_dataset(spec.dataset)
    pools = make_pools(spec, seed, cache, device=device)
    test = official if phase == "evaluate" else None
    made = made_fingerprints(spec)
    return BlockImages(train=train, fingerprint=fingerprint, pools=tuple(pools), test=test, made=made)
