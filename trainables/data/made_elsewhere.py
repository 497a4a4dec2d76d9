"""Synthetic images that the user made elsewhere, in PATH/CLASS/*.png: a generator that hands them out."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.configuration import content_hash
from trainables.data.datasets import I64, U8, DatasetDamaged, Images, dataset_of
from trainables.data.generators import GENERATORS, Generator, Progress, Shape, _silent, wanted_classes
from trainables.data.image_folder import read_class_folders
from trainables.seeds import stream_seed
from trainables.specs import DataSpec, folder_of

if TYPE_CHECKING:
    from torch import Tensor


class FolderGenerator(Generator):
    """Images of a folder for one dataset, which they must fit: its classes and its image size.

    Nothing is trained. A draw is a seeded sample without replacement.

    Args:
        path: The folder.
        dataset: Name of the dataset.
    """

    title = "images that you made elsewhere"
    trained = False
    steps = 0

    def __init__(self, path: str, dataset: str) -> None:
        self.path, self._dataset = path, dataset

    @property
    def images(self) -> Images:
        """All that are there. Raises DatasetMissing or ImagesRefused."""
        return _read(self.path, self._dataset)

    def labels(self, count: int, num_classes: int, *, skew: float = 1, seed: int = 0) -> I64:
        """As `wanted_classes`, as far as there are images. Raises DatasetDamaged where there are too few."""
        there = np.bincount(self.images.labels, minlength=num_classes)
        if count > there.sum():
            raise DatasetDamaged(too_few(self.path, int(there.sum()), count))
        return wanted_classes(count, num_classes, skew=skew, seed=seed, available=there)

    def fit(
        self, train: Images, *, num_classes: int, seed: int, device: str, progress: Progress = _silent
    ) -> dict[str, Tensor]:
        """There is nothing to find out."""
        return {}

    def draw(
        self,
        state: dict[str, Tensor],
        labels: I64,
        *,
        shape: Shape,
        num_classes: int,
        seed: int,
        device: str,
        progress: Progress = _silent,
    ) -> U8:
        """For each of `labels` another image of that class, uint8 [n, C, H, W]. Raises DatasetDamaged where there are too few."""
        images, drawn = self.images, np.empty((len(labels), *shape), np.uint8)
        progress(0, len(labels))
        for k in range(num_classes):
            members, wanted = np.flatnonzero(images.labels == k), np.flatnonzero(labels == k)
            if len(wanted) > len(members):
                name = dataset_of(self._dataset).classes[k]
                raise DatasetDamaged(too_few(str(Path(self.path) / name), len(members), len(wanted)))
            order = np.random.default_rng(stream_seed(seed, "draw", k)).permutation(len(members))
            drawn[wanted] = images.images[members[order[: len(wanted)]]]
        progress(len(labels), len(labels))
        return drawn


def too_few(path: str, there: int, needed: int) -> str:
    """What is said of a folder from which more images are asked for than it has."""
    return (
        f"{path}: {there:,} images where {needed:,} are needed for this contamination; add images, name a further generator, "
        "or lower data.contamination"
    )


@lru_cache(maxsize=4)
def _read(path: str, dataset: str) -> Images:
    known = dataset_of(dataset)
    return read_class_folders(Path(path), known.classes, known.image_shape)


def is_generator(name: str) -> bool:
    """Whether a study may name it: one of GENERATORS, or `folder:PATH`. Does not look at the disk."""
    return name in GENERATORS or bool(folder_of(name))


def generator_of(name: str, dataset: str) -> Generator:
    """The generator that a study calls `name`. Raises KeyError for a name that `is_generator` refuses."""
    path = folder_of(name)
    return FolderGenerator(path, dataset) if path else GENERATORS[name]


def made_fingerprint(name: str, dataset: str) -> str:
    """Hash of a folder's images and their classes; empty for a generator that is trained."""
    path = folder_of(name)
    return _read(path, dataset).fingerprint if path else ""


def made_fingerprints(spec: DataSpec) -> tuple[str, ...]:
    """Of the folders that a condition takes images from, in the order in which it names them."""
    folders = [name for name in spec.generators if folder_of(name)] if spec.contamination else []
    return tuple(made_fingerprint(name, spec.dataset) for name in folders)


def joint_fingerprint(dataset: str, made: tuple[str, ...]) -> str:
    """Of a dataset's images and folders' images by their fingerprints; where there are no folders, the dataset's own."""
    return content_hash([dataset, *made]) if made else dataset


__all__ = [
    "FolderGenerator",
    "generator_of",
    "is_generator",
    "joint_fingerprint",
    "made_fingerprint",
    "made_fingerprints",
    "too_few",
]
