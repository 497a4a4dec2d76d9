"""Synthetic pools: made once per seed block, kept on disk by the hash of all that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from trainables.code_files import PACKAGE, digest_of, files_behind
from trainables.configuration import content_hash
from trainables.data.datasets import I64, U8, DatasetDamaged, Images, dataset_of
from trainables.data.faults import with_faults
from trainables.data.fitted import FitSpec, load_fit
from trainables.data.made_elsewhere import generator_of, made_fingerprint
from trainables.data.splits import Split, synthetic_count
from trainables.environment import environment
from trainables.files import open_ordinary, replacing
from trainables.specs import DataSpec, without_place

Report = Callable[[str, int, int], None]
"""Called with what is being done (`training flow`), how much of it is done, and how much there is."""


def _silent(doing: str, done: int, total: int) -> None:
    pass


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
    made: str = ""
    """Hash of a folder's images; empty for a generator that is trained."""

    @property
    def key(self) -> str:
        """Content hash that names the file."""
        depends = {**self.__dict__, "generator": without_place(self.generator), "dataset": without_place(self.dataset)}
        source = _source(faults=bool(self.faults))
        return content_hash({**depends, "source": source, "environment": environment()})

    @property
    def fit(self) -> FitSpec:
        """The training that it is drawn from."""
        name = without_place(self.generator)
        return FitSpec(fingerprint=self.fingerprint, generator=name, seed=self.seed, split=self.split)


@cache
def _source(*, faults: bool) -> str:
    """Of the files that decide what a generator makes, with faults or without; an edit of an algorithm makes no pool anew."""
    generators = PACKAGE / "data" / "generators.py"
    names = ["fitted.py", "made_elsewhere.py", "pools.py", *(["faults.py"] if faults else [])]
    files = files_behind("trainables.data.generators", generators) | {PACKAGE / "data" / name for name in names}
    return digest_of({p.relative_to(PACKAGE).as_posix(): p for p in files})


def pool_specs(spec: DataSpec, split: Split, fingerprint: str, seed: int) -> list[PoolSpec]:
    """The pools of one seed block, one for each generator, sharing the synthetic images as evenly as can be."""
    counts = pool_counts(spec, len(split.unlabelled))
    return [
        PoolSpec(
            dataset=spec.dataset,
            fingerprint=fingerprint,
            generator=name,
            seed=seed,
            count=count,
            split=content_hash(split.generator.tolist()),
            class_skew=spec.class_skew,
            faults=tuple((fault, strength) for fault, strength in spec.faults.items() if strength),
            made=made_fingerprint(name, spec.dataset),
        )
        for name, count in zip(spec.generators, counts, strict=True)
        if sum(counts)
    ]


def pool_counts(spec: DataSpec, real: int) -> list[int]:
    """Images of each generator beside `real` unlabelled ones, as even as can be."""
    total = synthetic_count(real, spec.contamination)
    share, extra = divmod(total, max(len(spec.generators), 1))
    return [share + (i < extra) for i in range(len(spec.generators))]


def pool_path(cache: Path, pool: PoolSpec) -> Path:
    """Where the pool is kept."""
    return cache / f"{without_place(pool.generator).partition(':')[0]}-{pool.key}.npz"


def load_pool(pool: PoolSpec, train: Images, cache: Path, *, device: str = "cpu", report: Report = _silent) -> Images:
    """The pool's images, with the classes that were asked for; made and kept if they are not there or damaged.

    Args:
        pool: What to make.
        train: The generator part of the dataset.
        cache: Folder of pools and fitted generators, shared by studies.
        device: A torch device, used for training and drawing only.
        report: Called while the generator trains, in steps, and while it draws, in images.
    """
    path = pool_path(cache, pool)
    try:
        return read_pool(path)
    except (FileNotFoundError, DatasetDamaged):
        pass
    if pool.faults:
        drawn = load_pool(replace(pool, faults=()), train, cache, device=device, report=report)
        faulty = with_faults(drawn.images, drawn.labels, dict(pool.faults), seed=pool.fit.stream)
        return _keep(path, faulty, drawn.labels)
    dataset, name = dataset_of(pool.dataset), without_place(pool.generator)
    kind, state = generator_of(pool.generator, pool.dataset), {}
    labels = kind.labels(pool.count, dataset.num_classes, skew=pool.class_skew, seed=pool.seed)
    if kind.trained:
        state = load_fit(
            pool.fit,
            train,
            cache,
            num_classes=dataset.num_classes,
            device=device,
            progress=lambda done, total: report(f"training {name}", done, total),
        )
    images: U8 = kind.draw(
        state,
        labels,
        shape=dataset.image_shape,
        num_classes=dataset.num_classes,
        seed=pool.fit.stream,
        device=device,
        progress=lambda done, total: report(f"drawing {name}", done, total),
    )
    return _keep(path, images, labels)


def _keep(path: Path, images: U8, labels: I64) -> Images:
    made = Images(images=images, labels=labels)
    with replacing(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, images=images, labels=labels, fingerprint=np.array(made.fingerprint))
    return made


def read_pool(path: Path) -> Images:
    """The pool in this file. Raises FileNotFoundError, and DatasetDamaged where its content does not fit its hash."""
    try:
        with open_ordinary(path) as handle, np.load(handle, allow_pickle=False) as file:
            images = Images(images=file["images"], labels=file["labels"])
            stored = str(file["fingerprint"])
    except FileNotFoundError:
        raise
    except Exception as problem:  # damaged bytes make zip and array readers raise most kinds of exception
        raise DatasetDamaged(f"{path}: not a pool ({problem})") from problem
    if images.fingerprint != stored:
        raise DatasetDamaged(f"{path}: its images do not match its hash")
    return images
