"""All images of one seed block, as a trial of one phase may see them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.datasets import Dataset, Images, dataset_of, fingerprint_of
from trainables.data.generators import Progress, _silent
from trainables.data.pools import load_pool, pool_path, pool_specs
from trainables.data.splits import Split, cut
from trainables.seeds import stream_seed
from trainables.specs import DataSpec, Phase


@dataclass(frozen=True, kw_only=True, eq=False)
class Unlabelled:
    """The unlabelled pool with the truth about it, which diagnostics may read and algorithms never see.

    Real and synthetic images are shuffled: an image's place says nothing about its origin.
    """

    pool: Images
    """Labels are the true class of real images and the class that was asked for of synthetic ones."""
    generator: NDArray[np.int8]
    """-1 for a real image, else the place of its generator in the specification, int8 [n]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedBlock:
    """One seed's images. `test` is None in the tune phase: no code that runs there can reach a test label."""

    labelled: Images
    validation: Images
    unlabelled: Unlabelled
    test: Images | None
    provenance: dict[str, Any]
    """Sizes and hashes, for the record."""


@lru_cache(maxsize=2)
def load_dataset(name: str) -> tuple[Images, Images | None, str]:
    """A dataset's training and official test part and its fingerprint, kept in memory."""
    dataset = dataset_of(name)
    train, test = dataset.load()
    return train, test, fingerprint_of(train, test)


def cut_block(spec: DataSpec, seed: int) -> tuple[Dataset, Images, Split, str]:
    """The dataset, its training images, their split and the fingerprint for one seed block."""
    dataset = dataset_of(spec.dataset)
    train, _, fingerprint = load_dataset(spec.dataset)
    return dataset, train, cut(dataset, train.labels, spec, seed), fingerprint


def missing_pools(spec: DataSpec, seed: int, cache: Path) -> list[Path]:
    """Files of the seed block's pools that are not in the cache yet."""
    _, _, split, fingerprint = cut_block(spec, seed)
    paths = (pool_path(cache, p) for p in pool_specs(spec, split, fingerprint, seed))
    return [path for path in paths if not path.exists()]


def make_pools(spec: DataSpec, seed: int, cache: Path, *, device: str, progress: Progress = _silent) -> list[Images]:
    """The seed block's synthetic pools, one for each generator, from the cache or made now."""
    _, train, split, fingerprint = cut_block(spec, seed)
    pools = pool_specs(spec, split, fingerprint, seed)
    part = train.at(split.generator)

    def nth(i: int) -> Progress:
        return lambda done, total: progress(i * total + done, len(pools) * total)

    return [load_pool(p, part, cache, device=device, progress=nth(i)) for i, p in enumerate(pools)]


def load_seed_block(spec: DataSpec, seed: int, phase: Phase, cache: Path, *, device: str = "cpu") -> SeedBlock:
    """Cut the dataset for `seed`, add the synthetic pools, and leave out the test part unless `phase` is evaluate.

    Args:
        spec: The data condition.
        seed: The seed block.
        phase: "tune" or "evaluate".
        cache: Folder of synthetic pools.
        device: Where missing pools are trained.
    """
    _, train, split, fingerprint = cut_block(spec, seed)
    pools = make_pools(spec, seed, cache, device=device)
    real = train.at(split.unlabelled)
    images = np.concatenate([real.images, *(p.images for p in pools)])
    labels = np.concatenate([real.labels, *(p.labels for p in pools)])
    generator = np.concatenate(
        [np.full(len(real), -1, np.int8), *(np.full(len(p), i, np.int8) for i, p in enumerate(pools))]
    )
    order = np.random.default_rng(stream_seed(seed, "pool order")).permutation(len(labels))
    test = None
    if phase == "evaluate":
        _, official, _ = load_dataset(spec.dataset)
        test = official if official is not None else train.at(split.test)
    return SeedBlock(
        labelled=train.at(split.labelled),
        validation=train.at(split.validation),
        unlabelled=Unlabelled(pool=Images(images=images[order], labels=labels[order]), generator=generator[order]),
        test=test,
        provenance={
            "dataset": spec.dataset,
            "fingerprint": fingerprint,
            "labelled": len(split.labelled),
            "validation": len(split.validation),
            "unlabelled_real": len(real),
            "synthetic": {
                name: {"images": len(p), "hash": p.fingerprint}
                for name, p in zip(spec.generators[: len(pools)], pools, strict=True)
            },
        },
    )
