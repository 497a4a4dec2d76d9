"""Which synthetic pools a study lacks, and a sample of its images for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import Plan
from trainables.data import Images
from trainables.data.seed_block import cut_block, make_pools, missing_pools
from trainables.files import replacing
from trainables.specs import DataSpec, without_place

if TYPE_CHECKING:
    from pathlib import Path

IMAGES_PER_CLASS = 4


def missing_blocks(plan: Plan, folders: StudyFolders) -> list[tuple[DataSpec, int]]:
    """Seed blocks of which a synthetic pool is still to be made."""
    return [(spec, seed) for spec, seed in plan.seed_blocks if missing_pools(spec, seed, folders.pools)]


def missing_names(plan: Plan, folders: StudyFolders) -> list[str]:
    """The files that their pools are kept in."""
    return [path.name for spec, seed in plan.seed_blocks for path in missing_pools(spec, seed, folders.pools)]


def save_sample(folders: StudyFolders, spec: DataSpec, seed: int) -> Path:
    """Write `images.npz`: a few real and synthetic images of each class of one seed block, uint8 [K, n, H, W, C]."""
    path = folders.study / "images.npz"
    dataset, train, split, _ = cut_block(spec, seed)
    pools = make_pools(spec, seed, folders.pools, device="cpu")
    arrays = {"real": _by_class(train.at(split.unlabelled), dataset.num_classes)}
    for name, pool in zip(map(without_place, spec.generators), pools, strict=False):
        arrays[f"synthetic_{name}"] = _by_class(pool, dataset.num_classes)
    with replacing(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, classes=np.array(dataset.classes), **arrays)
    return path


def _by_class(images: Images, classes: int) -> Any:
    chosen = [images.images[images.labels == k][:IMAGES_PER_CLASS] for k in range(classes)]
    n = min(map(len, chosen))
    return np.stack([c[:n] for c in chosen]).transpose(0, 1, 3, 4, 2)
