"""Synthetic pools: made once per seed block, kept on disk by the hash of all that they depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from trainables.code_files import PACKAGE, digest_of, files_behind
from trainables.configuration import content_hash
from trainables.data.datasets import I64, U8, DatasetDamaged, Images, dataset_of
from trainables.data.faults import with_faults
from trainables.data.generators import GENERATORS, Progress, _silent
from trainables.data.splits import Split, synthetic_count
from trainables.environment import environment
from trainables.files import replacing
from trainables.seeds import stream_seed
from trainables.specs import DataSpec


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """One generator's share of one seed block's synthetic images."""

    dataset: str
    fingerprint: str
    generator: str
    seed: int
    count: int
    split: str
    """Hash of the generator part."""
    class_skew: float = 1.0
    """Images of the commonest class for each one of the rarest."""
    faults: tuple[tuple[str, float], ...] = ()
    """Name and strength of each fault that is not 0; none for the images as the generator drew them."""

    @property
    def key(self) -> str:
        """Content hash that names the file."""
        return content_hash(
            {**self.__dict__, "source": _source(faults=bool(self.faults)), "environment": environment()}
        )


@cache
def _source(*, faults: bool) -> str:
    """Of the files that decide what a generator makes, with faults or without; an edit of an algorithm makes no pool anew."""
    generators = PACKAGE / "data" / "generators.py"
    files = files_behind("trainables.data.generators", generators) | {PACKAGE / "data" / "pools.py"}
    if faults:
        files |= {PACKAGE / "data" / "faults.py"}
    return digest_of({p.relative_to(PACKAGE).as_posix(): p for p in files})


def pool_specs(spec: DataSpec, split: Split, fingerprint: str, seed: int) -> list[PoolSpec]:
    """The pools of one seed block, one for each generator, sharing the synthetic images as evenly as can be."""
    total = synthetic_count(len(split.unlabelled), spec.contamination)
    share, extra = divmod(total, max(len(spec.generators), 1))
    return [
        PoolSpec(
            dataset=spec.dataset,
            fingerprint=fingerprint,
            generator=name,
            seed=seed,
            count=share + (i < extra),
            split=content_hash(split.generator.tolist()),
            class_skew=spec.class_skew,
            faults=tuple((fault, strength) for fault, strength in spec.faults.items() if strength),
        )
        for i, name in enumerate(spec.generators)
        if total
    ]


def pool_path(cache: Path, pool: PoolSpec) -> Path:
    """Where the pool is kept."""
    return cache / f"{pool.generator}-{pool.key}.npz"


def load_pool(
    pool: PoolSpec, train: Images, cache: Path, *, device: str = "cpu", progress: Progress = _silent
) -> Images:
    """The pool's images, with the classes that were asked for; made and kept if they are not there or damaged.

    Args:
        pool: What to make.
        train: The generator part of the dataset.
        cache: Folder of pools, shared by studies.
        device: A torch device, used for training only.
        progress: Called while the generator trains.
    """
    path = pool_path(cache, pool)
    try:
        return read_pool(path)
    except (FileNotFoundError, DatasetDamaged):
        pass
    dataset, stream = dataset_of(pool.dataset), stream_seed(pool.seed, "generator", pool.generator)
    if pool.faults:
        drawn = load_pool(replace(pool, faults=()), train, cache, device=device, progress=progress)
        return _keep(path, with_faults(drawn.images, drawn.labels, dict(pool.faults), seed=stream), drawn.labels)
    labels = wanted_classes(pool.count, dataset.num_classes, skew=pool.class_skew, seed=pool.seed)
    images: U8 = GENERATORS[pool.generator].make(
        train,
        labels,
        num_classes=dataset.num_classes,
        seed=stream,
        device=device,
        progress=progress,
    )
    return _keep(path, images, labels)


def wanted_classes(count: int, num_classes: int, *, skew: float, seed: int) -> I64:
    """The classes that are asked for, int64 [count]; fewer of them are the first of more.

    Frequencies fall geometrically from the commonest class to the rarest, in an order that the seed draws. Every stretch has
    them about right: the next class is the one that is furthest behind.
    """
    if skew == 1:
        return np.arange(count, dtype=np.int64) % num_classes
    order = np.random.default_rng(stream_seed(seed, "class skew")).permutation(num_classes)
    weight = skew ** -(np.arange(num_classes) / max(num_classes - 1, 1))
    share, had = weight / weight.sum(), np.zeros(num_classes)
    labels = np.empty(count, np.int64)
    for i in range(count):
        k = int(np.argmax(share * (i + 1) - had))
        had[k] += 1
        labels[i] = order[k]
    return labels


def _keep(path: Path, images: U8, labels: I64) -> Images:
    made = Images(images=images, labels=labels)
    with replacing(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, images=images, labels=labels, fingerprint=np.array(made.fingerprint))
    return made


def read_pool(path: Path) -> Images:
    """The pool in this file. Raises FileNotFoundError, and DatasetDamaged where its content does not fit its hash."""
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            images = Images(images=file["images"], labels=file["labels"])
            stored = str(file["fingerprint"])
    except FileNotFoundError:
        raise
    except Exception as problem:  # damaged bytes make zip and array readers raise most kinds of exception
        raise DatasetDamaged(f"{path}: not a pool ({problem})") from problem
    if images.fingerprint != stored:
        raise DatasetDamaged(f"{path}: its images do not match its hash")
    return images
