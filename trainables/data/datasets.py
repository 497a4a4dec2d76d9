"""Real images by name. Loading gives uint8 arrays; nothing here needs torch."""

from __future__ import annotations

import gzip
import importlib.util
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from trainables.data.base import (
    I64,
    U8,
    Dataset,
    DatasetDamaged,
    DatasetMissing,
    Images,
    fingerprint_of,
    place,
)
from trainables.data.image_folder import ImageFolder
from trainables.data.published import CIFAR10, CIFAR100, STL10, SVHN
from trainables.files import NotOrdinary, read_ordinary
from trainables.specs import FOLDER_PREFIX, folder_of

FOLDER_NAME = f"{FOLDER_PREFIX}PATH"
"""How a folder of images is named."""


class Digits(Dataset):
    """scikit-learn's 1,797 handwritten digits of 8×8 pixels (Alpaydin and Kaynak 1998); comes with the package."""

    name = "digits"
    title = "digits"
    classes = tuple("0123456789")
    image_shape = (1, 8, 8)
    size = 1797
    test_size = 500
    official_test = False
    flip = False
    generator_size = 500

    def missing(self) -> str | None:
        """scikit-learn carries the images."""
        if importlib.util.find_spec("sklearn") is None:
            return "scikit-learn, which carries the images, is not installed; `pip install scikit-learn`"
        return None

    def load(self) -> tuple[Images, Images | None]:
        """All 1,797 images; grey levels 0 to 16 are spread over 0 to 255."""
        if reason := self.missing():
            raise DatasetMissing(f"{self.name}: {reason}")
        path = Path(str(importlib.util.find_spec("sklearn").submodule_search_locations[0]))  # type: ignore[union-attr,index]
        with gzip.open(path / "datasets" / "data" / "digits.csv.gz") as file:
            rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
        images = np.round(rows[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, *self.image_shape)
        return Images(images=images, labels=rows[:, 64].copy()), None


class FashionMNIST(Dataset):
    """Fashion-MNIST (Xiao et al. 2017), 60,000 + 10,000 images of 28×28, from its IDX files."""

    name = "fashion-mnist"
    title = "Fashion-MNIST"
    classes = (
        "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip
    image_shape = (1, 28, 28)
    size = 60_000
    test_size = 10_000
    official_test = True
    flip = True
    generator_size = 10_000
    folders: ClassVar[tuple[Path, ...]] = (
        Path("data/fashion-mnist"),
        Path("data/FashionMNIST/raw"),
        Path("/usr/share/datasets/fashion-mnist"),
        Path("/usr/share/dataset-fashion-mnist"),
    )
    files: ClassVar[dict[str, int]] = {
        "train-images-idx3-ubyte": 3,
        "train-labels-idx1-ubyte": 1,
        "t10k-images-idx3-ubyte": 3,
        "t10k-labels-idx1-ubyte": 1,
    }

    def missing(self) -> str | None:
        """Looks for the four IDX files, plain or gzipped, in the known folders."""
        if self._folder() is not None:
            return None
        return (
            f"the IDX files ({', '.join(self.files)}, plain or .gz) are in none of "
            f"{', '.join(map(str, self.folders))}; on Debian `apt-get install dataset-fashion-mnist`, "
            "elsewhere `python -c \"import torchvision; torchvision.datasets.FashionMNIST('data', download=True)\"`"
        )

    def _folder(self) -> Path | None:
        for folder in map(place, self.folders):
            if all(any((folder / f"{name}{end}").is_file() for end in ("", ".gz")) for name in self.files):
                return folder
        return None

    def load(self) -> tuple[Images, Images | None]:
        """The official training and test parts."""
        folder = self._folder()
        if folder is None:
            raise DatasetMissing(f"{self.name}: {self.missing()}")
        arrays = [_read_idx(folder, name, dimensions) for name, dimensions in self.files.items()]
        parts = []
        for images, labels in (arrays[:2], arrays[2:]):
            if len(images) != len(labels):
                raise DatasetDamaged(f"{folder}: {len(images)} images but {len(labels)} labels; fetch the files again")
            if images.shape[1:] != self.image_shape[1:]:
                raise DatasetDamaged(f"{folder}: images of {images.shape[1]}×{images.shape[2]} pixels, not 28×28")
            if labels.max(initial=0) >= self.num_classes:
                raise DatasetDamaged(f"{folder}: label {labels.max()} is above {self.num_classes - 1}")
            parts.append(Images(images=images[:, None], labels=labels.astype(np.int64)))
        return parts[0], parts[1]


def _read_idx(folder: Path, name: str, dimensions: int) -> U8:
    """One IDX file of unsigned bytes (two zero bytes, type 8, number of dimensions, sizes, data)."""
    path = folder / name
    if not path.is_file():
        path = folder / f"{name}.gz"
    try:
        content = read_ordinary(path)
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error, NotOrdinary) as problem:
        raise DatasetDamaged(f"{path}: cannot be read ({problem}); fetch the file again") from problem
    if len(content) < 4 + 4 * dimensions or content[:4] != bytes((0, 0, 8, dimensions)):
        raise DatasetDamaged(f"{path}: does not begin like an IDX file of {dimensions} dimensions of unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    data = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions)
    if len(data) != int(np.prod(shape, dtype=np.int64)):
        raise DatasetDamaged(f"{path}: {len(data)} bytes of data where {'×'.join(map(str, shape))} are announced")
    return data.reshape(shape).copy()  # torch takes arrays that may be written to


DATASETS: dict[str, Dataset] = {d.name: d for d in (Digits(), FashionMNIST(), CIFAR10(), CIFAR100(), STL10(), SVHN())}
"""The datasets that have a name; a folder of images is found by `dataset_of`."""


def is_dataset(name: str) -> bool:
    """Whether a study may name it: one of DATASETS, or `folder:PATH`. Does not look at the disk."""
    return name in DATASETS or bool(folder_of(name))


def dataset_of(name: str) -> Dataset:
    """The dataset that a study calls `name`: one of DATASETS, or for `folder:PATH` the images below PATH.

    A folder is looked at when something is asked that only its files tell, and then once per process. Raises KeyError for
    a name that `is_dataset` refuses.
    """
    path = folder_of(name)
    return _image_folder(path) if path else DATASETS[name]


@cache
def _image_folder(path: str) -> ImageFolder:
    return ImageFolder(Path(path))


__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASETS",
    "FOLDER_NAME",
    "I64",
    "STL10",
    "SVHN",
    "U8",
    "Dataset",
    "DatasetDamaged",
    "DatasetMissing",
    "Digits",
    "FashionMNIST",
    "ImageFolder",
    "Images",
    "dataset_of",
    "fingerprint_of",
    "is_dataset",
]
