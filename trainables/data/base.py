"""What a dataset is: its declarations, its images, and what is said where its files are not there or not whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]


class DatasetMissing(Exception):
    """The dataset's files are not on this machine; the message says how to get them."""


class DatasetDamaged(Exception):
    """A file of the dataset is not what its format says; the message names it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """A labelled set of images.

    Attributes:
        images: uint8 [n, C, H, W].
        labels: int64 [n], 0 to K-1.
    """

    images: U8
    labels: I64

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, index: I64) -> Images:
        """The images at these places, copied."""
        return Images(images=self.images[index], labels=self.labels[index])

    @cached_property
    def fingerprint(self) -> str:
        """20 hex digits over shape, pixels and labels."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:20]


class Dataset:
    """One real dataset. A subclass sets the declarations, and implements `missing` and `load`.

    `test` is None where the dataset has no official test part; then `test_size` images are cut off once, the same for
    every seed block, so that no seed block trains on an image that another one is tested on.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    size: int
    """Images outside the official test part."""
    test_size: int
    official_test: bool
    flip: bool
    """Whether a mirrored image still belongs to its class."""
    generator_size: int
    """Images that only generators see, per seed block."""
    smallest_class: int | None = None
    """Images of the smallest class among `size`; None where classes are about even."""

    def missing(self) -> str | None:
        """None where `load` will find its files; else what is not there and how to get it."""
        raise NotImplementedError

    def load(self) -> tuple[Images, Images | None]:
        """Training and official test part. Raises DatasetMissing or DatasetDamaged."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)


def fingerprint_of(train: Images, test: Images | None) -> str:
    """Hash of all that a dataset's `load` gave."""
    if test is None:
        return train.fingerprint
    return hashlib.sha256(f"{train.fingerprint}{test.fingerprint}".encode()).hexdigest()[:20]


_started_in = Path()


def look_from(folder: Path) -> None:
    """Take relative places of datasets from `folder` instead of the current one.

    A Ray Tune worker's current folder is one of Tune's own; it is told where the study was started.
    """
    global _started_in
    _started_in = folder


def place(path: Path) -> Path:
    """Where a dataset's files are, as seen from the folder in which the study was started."""
    return _started_in / path
