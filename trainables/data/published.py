"""Colour datasets in the files that their authors published, where torchvision puts them: `data/` in the current folder.

A file is read when its MD5 is the published one, and only then: a truncated, changed or hostile file is named before anything
in it is interpreted. The pickles of CIFAR are read without letting them build objects even so.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trainables.data.base import U8, Dataset, DatasetDamaged, DatasetMissing, Images, place
from trainables.files import NotOrdinary, read_ordinary

MOST_BYTES = 2**30
"""No published file is as large; a larger one is not read into memory to find that out."""


class Published(Dataset):
    """A dataset in its official files. A subclass declares them and implements `_training` and `_test`."""

    official_test = True
    folder: ClassVar[Path] = Path("data")
    """Which torchvision calls `root`."""
    files: ClassVar[dict[str, str]]
    """MD5 by path below `folder`."""
    fetch: ClassVar[str]
    """Python that has torchvision fetch them into data/."""

    def missing(self) -> str | None:
        """Looks for each file; does not read it."""
        absent = [str(path) for path in map(self._place, self.files) if not path.is_file()]
        if not absent:
            return None
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return f"{absent[0]}{others}: no such file; {self._remedy()}"

    def load(self) -> tuple[Images, Images | None]:
        """The official training and test parts."""
        if reason := self.missing():
            raise DatasetMissing(f"{self.name}: {reason}")
        return self._training(), self._test()

    def _training(self) -> Images:
        raise NotImplementedError

    def _test(self) -> Images:
        raise NotImplementedError

    def _place(self, file: str) -> Path:
        return place(self.folder) / file

    def _remedy(self) -> str:
        return f'fetch it with `python -c "import torchvision; {self.fetch}"`, in the folder where you start `ablate`'

    def _content(self, file: str) -> bytes:
        """The bytes of a file, which are the published ones."""
        path = self._place(file)
        try:
            size = path.stat().st_size
            content = b"" if size > MOST_BYTES else read_ordinary(path)
        except (OSError, NotOrdinary) as problem:
            raise DatasetDamaged(f"{path}: cannot be read ({problem}); {self._remedy()}") from problem
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.files[file]:
            raise DatasetDamaged(
                f"{path}: {size:,} bytes with MD5 {found} where the published file has {self.files[file]}: truncated, "
                f"changed, or another file; remove it, then {self._remedy()}"
            )
        return content

    def _parsed(self, file: str, read: Callable[[bytes], tuple[Any, Any]]) -> tuple[U8, U8]:
        """Images uint8 [n, C, H, W] and labels [n] that `read` finds in a file's bytes."""
        content = self._content(file)
        try:
            images, labels = read(content)
            labels = np.asarray(labels)
            fits = images.dtype == np.uint8 and images.shape == (len(labels), *self.image_shape)
        except Exception as problem:  # readers raise most kinds of exception over bytes that are not theirs
            kind = f"{type(problem).__name__}: {problem}"
            raise DatasetDamaged(f"{self._place(file)}: cannot be read ({kind}); {self._remedy()}") from problem
        if not fits:
            expected = "×".join(map(str, self.image_shape))
            raise DatasetDamaged(
                f"{self._place(file)}: an array of shape {images.shape} and type {images.dtype} with {len(labels)} labels, "
                f"where bytes of {expected} with one label each are expected; {self._remedy()}"
            )
        return images, labels

    def _part(self, file: str, images: U8, labels: Any, count: int) -> Images:
        """`count` images whose labels are classes; `file` is named where they are not."""
        labels = np.asarray(labels).astype(np.int64)
        path = self._place(file)
        if len(images) != count or len(labels) != count:
            raise DatasetDamaged(
                f"{path}: {len(images):,} images and {len(labels):,} labels up to here, where {self.title} has {count:,}; "
                f"{self._remedy()}"
            )
        outside = (labels < 0) | (labels >= self.num_classes)
        if outside.any():
            raise DatasetDamaged(
                f"{path}: label {labels[outside][0]} is not from 0 to {self.num_classes - 1}; {self._remedy()}"
            )
        return Images(images=np.array(images, order="C"), labels=labels)  # torch takes arrays that may be written to


class CIFAR10(Published):
    """CIFAR-10 (Krizhevsky 2009), 50,000 + 10,000 images of 32×32, from its Python batches."""

    name = "cifar-10"
    title = "CIFAR-10"
    classes: tuple[str, ...] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    image_shape = (3, 32, 32)
    size = 50_000
    test_size = 10_000
    flip = True
    generator_size = 10_000
    files: ClassVar[dict[str, str]] = {
        "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    }
    """The last one is the test part."""
    fetch = "torchvision.datasets.CIFAR10('data', download=True)"
    labels_key: ClassVar[str] = "labels"

    def _training(self) -> Images:
        *files, _ = self.files
        images, labels = zip(*(self._parsed(file, self._batch) for file in files), strict=True)
        return self._part(files[-1], np.concatenate(images), np.concatenate(labels), self.size)

    def _test(self) -> Images:
        *_, file = self.files
        return self._part(file, *self._parsed(file, self._batch), self.test_size)

    def _batch(self, content: bytes) -> tuple[U8, Any]:
        batch = read_pickle(content)
        return batch["data"].array().reshape(-1, *self.image_shape), batch[self.labels_key]


class CIFAR100(CIFAR10):
    """CIFAR-100 (Krizhevsky 2009), 50,000 + 10,000 images of 32×32 with their fine labels, from its Python batches."""

    name = "cifar-100"
    title = "CIFAR-100"
    classes = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
        "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee",
        "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
        "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower",
        "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
        "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate",
        "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark",
        "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
        "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout", "tulip",
        "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip
    files: ClassVar[dict[str, str]] = {
        "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
        "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    }
    fetch = "torchvision.datasets.CIFAR100('data', download=True)"
    labels_key = "fine_labels"


class STL10(Published):
    """STL-10 (Coates, Lee and Ng 2011), its 5,000 + 8,000 labelled images of 96×96, from its binary files.

    The 100,000 images that it calls unlabelled are left out: nobody knows their classes, which are partly others than these
    ten, so the truth that diagnostics and splits need is not there. Its file need not be on the disk.
    """

    name = "stl-10"
    title = "STL-10"
    classes = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
    image_shape = (3, 96, 96)
    size = 5_000
    test_size = 8_000
    flip = True
    generator_size = 1_000
    files: ClassVar[dict[str, str]] = {
        "stl10_binary/train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
        "stl10_binary/train_y.bin": "5a34089d4802c674881badbb80307741",
        "stl10_binary/test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
        "stl10_binary/test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
    }
    fetch = "torchvision.datasets.STL10('data', download=True)"

    def _training(self) -> Images:
        images, labels, _, _ = self.files
        return self._pair(images, labels, self.size)

    def _test(self) -> Images:
        _, _, images, labels = self.files
        return self._pair(images, labels, self.test_size)

    def _pair(self, images_file: str, labels_file: str, count: int) -> Images:
        """Pixels are stored column by column; classes count from 1."""
        labels = np.frombuffer(self._content(labels_file), np.uint8).astype(np.int64) - 1

        def read(content: bytes) -> tuple[U8, Any]:
            return np.frombuffer(content, np.uint8).reshape(-1, *self.image_shape).transpose(0, 1, 3, 2), labels

        return self._part(images_file, *self._parsed(images_file, read), count)


class SVHN(Published):
    """Street View House Numbers (Netzer et al. 2011), 73,257 + 26,032 cropped digits of 32×32, from its MATLAB files.

    Its `extra` part is left out. Classes are uneven: one in five images is a 1, one in sixteen a 9.
    """

    name = "svhn"
    title = "SVHN"
    classes = tuple("0123456789")
    image_shape = (3, 32, 32)
    size = 73_257
    test_size = 26_032
    flip = False
    generator_size = 10_000
    smallest_class = 4_659
    files: ClassVar[dict[str, str]] = {
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    }
    fetch = "[torchvision.datasets.SVHN('data', part, download=True) for part in ('train', 'test')]"

    def _training(self) -> Images:
        file, _ = self.files
        return self._part(file, *self._parsed(file, self._mat), self.size)

    def _test(self) -> Images:
        _, file = self.files
        return self._part(file, *self._parsed(file, self._mat), self.test_size)

    def _mat(self, content: bytes) -> tuple[U8, Any]:
        """X is uint8 [32, 32, 3, n]; y has 10 for the digit 0, here as in torchvision class 0."""
        from scipy.io import loadmat

        arrays = loadmat(io.BytesIO(content), variable_names=("X", "y"))
        labels = arrays["y"].astype(np.int64).reshape(-1)
        return arrays["X"].transpose(3, 2, 0, 1), np.where(labels == 10, 0, labels)


class _Array:
    """What stands in a pickle's place of a numpy array: its state, which is looked at before numpy sees it."""

    def __init__(self, *arguments: Any) -> None:
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def array(self) -> U8:
        """uint8, of the shape and in the order (by rows or by columns) that the pickle says.

        Raises ValueError or TypeError for any other array.
        """
        _, shape, kind, by_columns, raw = self._state
        if not isinstance(kind, _Type) or kind.name not in ("u1", "|u1"):
            raise ValueError("an array of other than unsigned bytes")
        content = np.frombuffer(raw.encode("latin-1") if isinstance(raw, str) else raw, np.uint8)
        return content.reshape(shape, order="F" if by_columns else "C")


class _Type:
    """What stands in a pickle's place of a numpy type."""

    def __init__(self, name: Any = None, *flags: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Reads numbers, text, bytes, lists, dicts and arrays. No function is called that a pickle names."""

    _STAND_INS: ClassVar[dict[tuple[str, str], type]] = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
    }

    def find_class(self, module: str, name: str) -> type:
        """A stand-in. Raises UnpicklingError for any name but those of numpy's arrays."""
        try:
            return self._STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which a file of images has no use for"
            ) from None


def read_pickle(content: bytes) -> Any:
    """What a pickle of plain values and numpy arrays holds; text of Python 2 as Latin-1, arrays with a method `array()`.

    Raises UnpicklingError where it asks for anything else; damaged bytes raise most kinds of exception.
    """
    return _Unpickler(io.BytesIO(content), encoding="latin1").load()
