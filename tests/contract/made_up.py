"""Small datasets of made-up images, written in the formats of the real ones."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from trainables.data.datasets import CIFAR10, CIFAR100, STL10, SVHN, Dataset, FashionMNIST

PUBLISHED: dict[type[Dataset], tuple[int, int, int]] = {
    CIFAR10: (200, 20, 60),
    CIFAR100: (2500, 200, 300),
    STL10: (200, 20, 60),
    SVHN: (200, 30, 60),
}
"""Images to make up: training, test, and of the training ones for generators."""


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = False) -> None:
    """An IDX file of unsigned bytes, as Fashion-MNIST comes."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)


def made_up_fashion(folder: Path, *, train: int = 500, test: int = 60, zipped: bool = False) -> None:
    """Four IDX files of 28×28: each class a bright bar at its own height, under noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in {"train": train, "t10k": test}.items():
        labels = rng.permutation(np.arange(n) % 10)
        images = rng.integers(0, 80, (n, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 3 : 2 * label + 6, 4:24] += 150
        end = ".gz" if zipped else ""
        write_idx(folder / f"{part}-images-idx3-ubyte{end}", images, zipped=zipped)
        write_idx(folder / f"{part}-labels-idx1-ubyte{end}", labels, zipped=zipped)


def made_up_images(n: int, classes: int, shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [n, C, H, W] with labels int64 [n], as many of each class as can be: a bright square in a class's own place."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    images = rng.integers(0, 90, (n, *shape), dtype=np.uint8)
    places = np.random.default_rng(1).integers(0, shape[1] - 5, (classes, 2))
    for image, (y, x) in zip(images, places[labels], strict=True):
        image[:, y : y + 5, x : x + 5] += 150
    return images, labels


def made_up_published(root: Path, kind: type[Any]) -> None:
    """The files of one of PUBLISHED below `root`, small, in the real format."""
    train, test, _ = PUBLISHED[kind]
    parts = [made_up_images(n, len(kind.classes), kind.image_shape, seed) for seed, n in enumerate((train, test))]
    for file in kind.files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
    if issubclass(kind, CIFAR10):
        *batches, _ = kind.files
        shares = [np.array_split(array, len(batches)) for array in parts[0]]
        for file, images, labels in zip(kind.files, [*shares[0], parts[1][0]], [*shares[1], parts[1][1]], strict=True):
            (root / file).write_bytes(cifar_batch(images, labels, kind.labels_key))
    elif kind is STL10:
        for (images, labels), (images_file, labels_file) in zip(
            parts, [list(kind.files)[:2], list(kind.files)[2:]], strict=True
        ):
            (root / images_file).write_bytes(images.transpose(0, 1, 3, 2).tobytes())
            (root / labels_file).write_bytes((labels + 1).astype(np.uint8).tobytes())
    else:
        for (images, labels), file in zip(parts, kind.files, strict=True):
            write_svhn(root / file, images, labels)


def write_svhn(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """A compressed MATLAB file, where the digit 0 has label 10."""
    y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": y}, do_compression=True)


def cifar_batch(images: np.ndarray, labels: np.ndarray, key: str) -> bytes:
    """A batch as Python 2 and its numpy pickled it."""
    rows = images.reshape(len(images), -1)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01"
        + _old(len(rows))
        + _old(rows.shape[1])
        + b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + _old(rows.tobytes())
        + b"tb"
    )
    names = [f"{n}.png" for n in range(len(rows))]
    items = _old("batch_label") + _old("a batch") + _old(key) + _old(labels.tolist()) + _old("data") + array
    return b"\x80\x02}(" + items + _old("filenames") + _old(names) + b"u."


def _old(value: int | str | bytes | list[Any]) -> bytes:
    """A value in the opcodes of Python 2's protocol 2, where text is bytes."""
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_old, value)) + b"e"
    content = value.encode() if isinstance(value, str) else value
    return b"T" + struct.pack("<i", len(content)) + content


def made_up_folder(
    root: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog", "owl"),
    train: int = 60,
    test: int = 12,
    shape: tuple[int, int, int] = (3, 12, 10),
    suffix: str = ".png",
) -> None:
    """`root`/train/CLASS/*.png and, unless `test` is 0, `root`/test/CLASS/*.png."""
    for part, n in {"train": train, "test": test}.items():
        images, labels = made_up_images(n, len(classes), shape, len(part))
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / part / classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            picture(image).save(folder / f"{i:04}{suffix}")


def picture(image: np.ndarray) -> Image.Image:
    """uint8 [C, H, W] as a PIL image, grey for C = 1."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def made_up_data(root: Path) -> None:
    """Every dataset that can be made up, as `use_made_up_data` finds them."""
    made_up_fashion(root / "fashion-mnist", zipped=True)
    for kind in PUBLISHED:
        made_up_published(root / "data", kind)
    made_up_folder(root / "images")


def use_made_up_data(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Have the datasets read what `made_up_data` wrote below `root`, and believe that this is what was published."""
    patch.setattr(FashionMNIST, "folders", (root / "fashion-mnist",))
    patch.setattr(FashionMNIST, "generator_size", 150)
    for kind in PUBLISHED:
        use_published(patch, kind, root / "data")


def use_published(patch: pytest.MonkeyPatch, kind: type[Any], root: Path) -> None:
    """Have a dataset read the files below `root` and take their MD5 and sizes for the published ones."""
    train, test, generator = PUBLISHED[kind]
    patch.setattr(kind, "folder", root)
    patch.setattr(kind, "size", train)
    patch.setattr(kind, "test_size", test)
    patch.setattr(kind, "generator_size", generator)
    patch.setattr(kind, "files", {f: hashlib.md5((root / f).read_bytes()).hexdigest() for f in kind.files})
    if kind.smallest_class is not None:
        patch.setattr(kind, "smallest_class", train // len(kind.classes))
