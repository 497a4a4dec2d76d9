"""Images in folders, one for each class: a dataset of the user's own, and images that the user made elsewhere.

Files are not trusted: links out of the folder, files that are no image or too large a one, and images that differ in size are
refused, each with the file's name.
"""

from __future__ import annotations

import difflib
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from trainables.data.base import U8, Dataset, DatasetDamaged, DatasetMissing, Images
from trainables.files import NotOrdinary, open_ordinary, read_ordinary
from trainables.lazy import LazyModule
from trainables.names import composed, shown
from trainables.specs import FOLDER_PREFIX

if TYPE_CHECKING:
    from PIL import Image
else:
    Image = LazyModule("PIL.Image")

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""The only decoders that a file is shown to."""
MOST_PIXELS = 1024
"""On a side."""
MOST_BYTES = 2**25
"""Of a file: more than an image of so many pixels takes without compression."""
PART = 5
"""One in so many images is kept for generators, and for testing where there is no folder `test`."""
MOST_NAMED = 10
"""Of things of one kind that are wrong."""

_OTHER_IMAGES = (".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".jfif", ".jp2", ".avif", ".heic", ".npy", ".npz")
_GREY = ("1", "L")
_MODES = (*_GREY, "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Eight bits a channel, or one."""

Files = dict[str, list[Path]]
"""By class."""


@dataclass(frozen=True, kw_only=True)
class _Parts:
    train: Files
    test: Files | None


class ImageFolder(Dataset):
    """PATH/train/CLASS/*.png, and PATH/test/CLASS/*.png if there is an official test part; also jpg, jpeg, bmp and webp.

    Classes are the names of the sub-folders, sorted. Images are grey if every file is, else RGB. A fifth of the training
    images is for generators alone; without PATH/test another fifth is the test part. A mirrored image counts as one of its
    class, as for photographs; digits and letters are not meant for this.

    Nothing is looked at before something is asked that only the files tell. Then the same answer holds for the process; what
    is wrong is looked at anew each time. Everything below raises DatasetMissing where there is no such folder, and
    DatasetDamaged for a file that does not fit.
    """

    flip = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.title = path.name or str(path)
        self.name = f"{FOLDER_PREFIX}{path.name}"
        """Without the place, on which no outcome may depend."""

    @cached_property
    def _parts(self) -> _Parts:
        train, test = self.path / "train", self.path / "test"
        if not os.path.isdir(self.path):  # noqa: PTH112  says no to any text, where a Path may raise
            raise DatasetMissing(
                f"{shown(self.path)}: no such folder; a relative path is looked for beside the study file, then in the "
                "current folder"
            )
        if not os.path.isdir(train):  # noqa: PTH112
            raise DatasetMissing(f"{shown(self.path)}: no folder `train`; images lie in train/CLASS/{_SUFFIXES_TEXT}")
        root = self.path.resolve()
        parts = _Parts(
            train=_class_files(train, root), test=_class_files(test, root) if os.path.lexists(test) else None
        )
        if len(parts.train) < 2:
            raise DatasetDamaged(f"{shown(train)}: one class, '{next(iter(parts.train))}'; two or more are needed")
        if parts.test is not None and (odd := sorted(set(parts.train) ^ set(parts.test))):
            have, lack = (train, test) if odd[0] in parts.train else (test, train)
            raise DatasetDamaged(
                f"{shown(have / odd[0])}: class '{odd[0]}' is not in {shown(lack)}; both need the same classes"
            )
        return parts

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the sub-folders, sorted."""
        return tuple(self._parts.train)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """(C, H, W) of every image. Reads the head of each file."""
        parts = self._parts
        files = [f for part in (parts.train, parts.test or {}) for paths in part.values() for f in paths]
        first, grey = None, True
        for path in files:
            mode, size = _head(path)
            first = first or size
            if size != first:
                raise DatasetDamaged(
                    f"{shown(path)}: {_pixels_text(size)} pixels where {shown(files[0])} has {_pixels_text(first)}; all images "
                    "need one size"
                )
            grey &= mode in _GREY
        assert first is not None, "every class has an image"
        return (1 if grey else 3, *first)

    @property
    def size(self) -> int:  # type: ignore[override]
        """Images in `train`."""
        return _count(self._parts.train)

    @property
    def official_test(self) -> bool:  # type: ignore[override]
        """Whether there is a folder `test`."""
        return self._parts.test is not None

    @property
    def test_size(self) -> int:  # type: ignore[override]
        """Images in `test`; without it, a fifth of those in `train`."""
        return self.size // PART if self._parts.test is None else _count(self._parts.test)

    @property
    def generator_size(self) -> int:  # type: ignore[override]
        """A fifth of the images in `train`."""
        return self.size // PART

    @property
    def smallest_class(self) -> int:  # type: ignore[override]
        """Images in `train` of the class that has fewest."""
        return min(map(len, self._parts.train.values()))

    def missing(self) -> str | None:
        """Looks at all names and at the head of each file: also what does not fit is said here."""
        try:
            self.image_shape  # noqa: B018  looks
        except (DatasetMissing, DatasetDamaged) as problem:
            return str(problem)
        return None

    def load(self) -> tuple[Images, Images | None]:
        """Both parts, in the order of their classes and names."""
        parts, shape = self._parts, self.image_shape
        return _read(parts.train, shape), None if parts.test is None else _read(parts.test, shape)


class ImagesRefused(DatasetDamaged):
    """A folder of images does not fit; `problems` has a sentence for each thing that is wrong."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[ImagesRefused], tuple[tuple[str, ...]]]:
        return ImagesRefused, (self.problems,)


def read_class_folders(folder: Path, classes: Sequence[str], image_shape: tuple[int, int, int]) -> Images:
    """The images of FOLDER/CLASS/*.png (also jpg, jpeg, bmp and webp) for each class, in the order of classes and names.

    Args:
        folder: Has a sub-folder for each class, and for nothing else.
        classes: Names of the sub-folders, in capitals or not; an image's label is its class's place here.
        image_shape: (C, H, W) that every image must have: none is resized. Colour images that hold nothing but grey may
            stand for C = 1, grey ones for C = 3.

    Returns:
        uint8 [n, C, H, W] with labels int64 [n].

    Raises:
        DatasetMissing: There is no such folder.
        ImagesRefused: Classes without a folder, folders that are no class, and files that are no image or not such a one,
            all that are found; of unfit files the first few are named.
    """
    if not os.path.isdir(folder):  # noqa: PTH112
        raise DatasetMissing(
            f"{shown(folder)}: no such folder; images of a class lie in CLASS/{_SUFFIXES_TEXT} below it"
        )
    files, problems = _files_of_classes(folder, classes)
    unfit = []
    arrays = []
    for path in (path for paths in files.values() for path in paths):
        try:
            arrays.append(_pixels(path, image_shape))
        except DatasetDamaged as problem:
            unfit.append(str(problem))
    if len(unfit) > MOST_NAMED:
        unfit[MOST_NAMED:] = [f"{shown(folder)}: {len(unfit) - MOST_NAMED:,} more images that do not fit"]
    if problems or unfit:
        raise ImagesRefused([*problems, *unfit])
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(files[name]) for name in classes])
    return Images(images=np.stack(arrays), labels=labels)


def _files_of_classes(folder: Path, classes: Sequence[str]) -> tuple[Files, list[str]]:
    """Images by class, in the order of `classes`, and what is wrong with the folder."""
    root, found, problems = folder.resolve(), dict[str, list[Path]](), list[str]()
    by_name = {composed(name).casefold(): name for name in classes} | {composed(name): name for name in classes}
    odd = []
    for entry in _entries(folder, root):
        try:
            if not entry.is_dir():
                _check_loose(entry)
                continue
            plain = composed(entry.name)
            name = by_name.get(plain, by_name.get(plain.casefold(), ""))
            if not name:
                odd.append(entry.name)
            elif name in found:
                problems.append(f"{entry.path}: a second folder for class '{name}'; put all its images into one")
            else:
                found[name] = []
                found[name] = _images_in(Path(entry.path), root)
        except DatasetDamaged as problem:
            problems.append(str(problem))
    absent = [name for name in classes if name not in found]
    for name in odd[:MOST_NAMED]:
        near = difflib.get_close_matches(name.casefold(), [a.casefold() for a in absent], n=1)
        remedy = f"did you mean '{by_name[near[0]]}'?" if near else f"there are {', '.join(classes)}"
        problems.append(f"{shown(folder / name)}: '{name}' is no class; {remedy}")
    if len(odd) > MOST_NAMED:
        problems.append(f"{shown(folder)}: {len(odd) - MOST_NAMED:,} more folders that are no class")
    if absent:
        names = ", ".join(f"'{name}'" for name in absent)
        problems.append(f"{shown(folder)}: no sub-folder for class {names}; every class wants one of its name")
    return {name: found[name] for name in classes if name in found}, problems


_SUFFIXES_TEXT = ", ".join(f"*{s}" for s in SUFFIXES)


def _class_files(folder: Path, root: Path) -> Files:
    """Images by class, both sorted by name. Hidden files, and files that are no images, are passed over."""
    found: Files = {}
    _check_link(folder, root)
    for entry in _entries(folder, root):
        if entry.is_dir():
            name = composed(entry.name)
            if name in found:
                raise DatasetDamaged(f"{entry.path}: a second folder for class '{name}'; put all its images into one")
            found[name] = _images_in(Path(entry.path), root)
        else:
            _check_loose(entry)
    if not found:
        raise DatasetDamaged(f"{shown(folder)}: no classes; each is a sub-folder with its images, {_SUFFIXES_TEXT}")
    return dict(sorted(found.items()))


def _check_loose(entry: os.DirEntry[str]) -> None:
    if entry.name.lower().endswith((*SUFFIXES, *_OTHER_IMAGES)):
        raise DatasetDamaged(f"{entry.path}: lies in no class; put it into a sub-folder named after its class")


def _images_in(folder: Path, root: Path) -> list[Path]:
    found = []
    for entry in _entries(folder, root):
        name = entry.name.lower()
        if entry.is_dir():
            raise DatasetDamaged(f"{entry.path}: a folder inside a class; images lie directly in {folder}")
        if name.endswith(_OTHER_IMAGES):
            raise DatasetDamaged(f"{entry.path}: not one of {_SUFFIXES_TEXT}; convert it, or take it away")
        if name.endswith(SUFFIXES):
            if not entry.is_file():
                raise DatasetDamaged(f"{entry.path}: not a plain file; put the image itself there")
            found.append(Path(entry.path))
    if not found:
        raise DatasetDamaged(
            f"{folder}: a class without images; put some there ({_SUFFIXES_TEXT}), or remove the folder"
        )
    return found


def _entries(folder: Path, root: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, by name. Links must stay below `root`."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda e: e.name)
    except (OSError, ValueError) as problem:
        raise DatasetDamaged(f"{shown(folder)}: cannot be read ({problem})") from problem
    for entry in found:
        if entry.name.startswith("."):
            continue
        if not entry.name.isprintable() or shown(entry.name) != entry.name:
            raise DatasetDamaged(f"{shown(entry.path)}: its name is not printable UTF-8; rename it")
        if entry.is_symlink():
            _check_link(Path(entry.path), root)
        yield entry


def _check_link(path: Path, root: Path) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as problem:
        raise DatasetDamaged(f"{path}: a link that leads nowhere ({problem}); remove it") from problem
    if not target.is_relative_to(root):
        raise DatasetDamaged(f"{path}: a link out of {root}, to {target}; put a copy there")


def _read(files: Files, shape: tuple[int, int, int]) -> Images:
    labels = np.repeat(np.arange(len(files), dtype=np.int64), [len(paths) for paths in files.values()])
    images = np.empty((len(labels), *shape), np.uint8)
    for i, path in enumerate(path for paths in files.values() for path in paths):
        images[i] = _pixels(path, shape)
    return Images(images=images, labels=labels)


def _head(path: Path) -> tuple[str, tuple[int, int]]:
    """(mode, (H, W)) by the file's head."""
    with _opened(path) as image:
        return image.mode, (image.height, image.width)


def _pixels(path: Path, shape: tuple[int, int, int]) -> U8:
    """The whole image, uint8 [C, H, W]."""
    try:
        content = read_ordinary(path)
    except (OSError, NotOrdinary) as problem:
        raise DatasetDamaged(f"{path}: cannot be read ({problem})") from problem
    with _opened(path, io.BytesIO(content)) as image:
        image.verify()  # of a PNG, its checksums; the image is of no use afterwards
    with _opened(path, io.BytesIO(content)) as image:
        if (image.height, image.width) != shape[1:]:
            found, expected = _pixels_text((image.height, image.width)), _pixels_text(shape[1:])
            raise DatasetDamaged(f"{path}: {found} pixels where {expected} are expected; resize it, or take it away")
        if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            raise DatasetDamaged(
                f"{path}: parts of it are transparent; put it on a background, and save it without alpha"
            )
        if image.mode in _GREY:
            grey = np.asarray(image.convert("L"))
            return np.broadcast_to(grey, shape)
        colour = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    if shape[0] == 3:
        return colour
    if (colour != colour[:1]).any():
        raise DatasetDamaged(f"{path}: a colour image where grey ones are expected; convert it to grey")
    return colour[:1]


@contextmanager
def _opened(path: Path, source: IO[bytes] | None = None) -> Iterator[Image.Image]:
    """The image behind a file's head, of sane size and kind. Whatever the decoder raises inside names the file."""
    try:
        size = path.stat().st_size
        if not 0 < size <= MOST_BYTES:
            raise DatasetDamaged(
                f"{path}: {size:,} bytes; an image file has from 1 to {MOST_BYTES:,}; make it anew, or take it away"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_ordinary(path) if source is None else source as file, Image.open(file, formats=FORMATS) as image:
                _check_kind(path, image)
                yield image
    except DatasetDamaged:
        raise
    except Exception as problem:  # decoders raise most kinds of exception over bytes that are not theirs
        reason = f"{type(problem).__name__}: {problem}"
        raise DatasetDamaged(
            f"{path}: not a whole image of the kinds {', '.join(FORMATS)} ({reason}); make it anew, or take it away"
        ) from problem


def _check_kind(path: Path, image: Any) -> None:
    if max(image.size) > MOST_PIXELS:
        raise DatasetDamaged(
            f"{path}: {_pixels_text((image.height, image.width))} pixels; at most {MOST_PIXELS} on a side, so resize it"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise DatasetDamaged(f"{path}: {image.n_frames} frames; save one of them as an image")
    if image.mode not in _MODES:
        raise DatasetDamaged(f"{path}: pixels of kind {image.mode}; save it with 8 bits a channel")


def _count(files: Files) -> int:
    return sum(map(len, files.values()))


def _pixels_text(size: Iterable[int]) -> str:
    """Height × width."""
    return "×".join(map(str, size))
