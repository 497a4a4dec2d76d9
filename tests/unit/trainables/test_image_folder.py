from __future__ import annotations

import os
import pickle
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.contract.made_up import made_up_folder, made_up_images, picture
from trainables.data.base import Dataset, DatasetDamaged, DatasetMissing
from trainables.data.datasets import ImageFolder, dataset_of, is_dataset
from trainables.data.image_folder import ImagesRefused, read_class_folders
from trainables.data.sizes import size_problem
from trainables.data.splits import cut
from trainables.specs import DataSpec

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 training images and 12 test images of three classes, RGB, 12×10."""
    made_up_folder(tmp_path / "pets")
    return tmp_path / "pets"


def first_file(folder: Path) -> Path:
    return sorted((folder / "train" / "cat").iterdir())[0]


def complaint(folder: Path, kind: type[Exception] = DatasetDamaged) -> str:
    """What is wrong with a folder: said when it is asked for, or at the latest when it is read."""
    dataset = ImageFolder(folder)
    with pytest.raises(kind) as caught:
        dataset.load()
    reason = dataset.missing()
    assert reason in (None, str(caught.value))
    return str(caught.value)


def test_a_folder_is_what_its_files_say(folder: Path) -> None:
    dataset = dataset_of(f"folder:{folder}")
    assert (dataset.classes, dataset.num_classes) == (CLASSES, 3)
    assert dataset.image_shape == (3, 12, 10)
    assert (dataset.size, dataset.test_size, dataset.generator_size, dataset.smallest_class) == (60, 12, 12, 20)
    assert dataset.official_test
    assert dataset.flip
    assert (dataset.title, dataset.name) == ("pets", "folder:pets")
    assert dataset.missing() is None
    assert dataset_of(f"folder:{folder}") is dataset


def test_pixels_and_labels_are_those_of_the_files(folder: Path) -> None:
    train, test = ImageFolder(folder).load()
    assert test is not None
    for part, images in {"train": train, "test": test}.items():
        files = sorted((folder / part).glob("*/*.png"))
        assert images.images.flags.writeable
        assert images.labels.tolist() == [CLASSES.index(f.parent.name) for f in files]
        for image, file in zip(images.images, files, strict=True):
            assert np.array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(file)))


def test_without_test_a_fifth_is_cut_off(tmp_path: Path) -> None:
    made_up_folder(tmp_path, test=0)
    dataset = ImageFolder(tmp_path)
    train, test = dataset.load()
    assert test is None
    assert not dataset.official_test
    assert (len(train), dataset.test_size, dataset.generator_size) == (60, 12, 12)
    split = cut(dataset, train.labels, DataSpec(dataset=f"folder:{tmp_path}", labels_per_class=2), 0)
    assert (len(split.test), len(split.generator), len(split.labelled)) == (12, 12, 6)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG", ".jpg", ".jpeg", ".webp"])
@pytest.mark.parametrize("shape", [(1, 12, 10), (3, 12, 10)])
def test_every_format_is_read(suffix: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    made_up_folder(tmp_path, shape=shape, suffix=suffix)
    dataset = ImageFolder(tmp_path)
    train, _ = dataset.load()
    assert dataset.image_shape == ((3, 12, 10) if suffix == ".webp" else shape)  # which knows no grey
    expected, _ = made_up_images(60, 3, shape, len("train"))
    if suffix.lower() in (".png", ".bmp"):
        assert sorted(map(bytes, train.images)) == sorted(map(bytes, expected))
    else:
        assert abs(float(train.images.mean()) - float(expected.mean())) < 20


def test_one_colour_image_makes_all_rgb(tmp_path: Path) -> None:
    made_up_folder(tmp_path, shape=(1, 12, 10))
    assert ImageFolder(tmp_path).image_shape == (1, 12, 10)
    picture(np.full((3, 12, 10), 7, np.uint8)).save(first_file(tmp_path))
    dataset = ImageFolder(tmp_path)
    assert dataset.image_shape == (3, 12, 10)
    train, _ = dataset.load()
    assert (train.images[1] == train.images[1][:1]).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_modes_of_eight_bits_or_one_are_read(mode: str, folder: Path) -> None:
    path = first_file(folder)
    if mode == "CMYK":
        path.unlink()
        path = path.with_suffix(".jpg")
    Image.new("RGB", (10, 12), (255, 255, 255)).convert(mode).save(path)
    train, _ = ImageFolder(folder).load()
    assert train.images[0].min() > 250


def test_hidden_files_and_files_that_are_no_images_are_passed_over(folder: Path) -> None:
    expected = ImageFolder(folder).load()[0].fingerprint
    for name in ("README.md", "train/.DS_Store", "train/prompts.csv", "train/cat/.hidden.png", "train/cat/0001.txt"):
        (folder / name).write_text("no image", encoding="utf-8")
    (folder / "train" / ".cache").mkdir()
    assert ImageFolder(folder).load()[0].fingerprint == expected


def test_the_place_of_a_folder_changes_nothing(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "pets"
    other.parent.mkdir()
    one = ImageFolder(folder).load()[0].fingerprint
    here = DataSpec(dataset=f"folder:{folder}")
    folder.rename(other)
    there = DataSpec(dataset=f"folder:{other}")
    assert ImageFolder(other).load()[0].fingerprint == one
    assert ImageFolder(other).name == ImageFolder(folder).name  # by which the test part is cut off
    assert here.identity() == there.identity() != here.values()


def test_a_path_is_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for text in ("pets", "./pets", "pets/", "x/../pets"):
        spec = DataSpec(dataset=f"folder:{text}")
        assert spec.dataset == f"folder:{folder}"
        assert DataSpec.model_validate_json(spec.model_dump_json()) == spec
    assert DataSpec(dataset="digits").identity() == DataSpec(dataset="digits").values()


@pytest.mark.parametrize("name", ["folder:", "folder: ", "folder", "folders:x", "Digits", ""])
def test_what_names_no_dataset(name: str) -> None:
    assert not is_dataset(name)
    with pytest.raises(KeyError):
        dataset_of(name)


def break_class(text: str) -> Callable[[Path], str]:
    """A change of a folder, given as statements; returns what the message must name."""

    def change(folder: Path) -> str:
        found: dict[str, object] = {"folder": folder, "path": first_file(folder), "Image": Image, "os": os}
        exec(text, found)
        return str(found.get("named", found["path"]))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("path.write_bytes(b'')", "0 bytes; an image file has from 1 to"),
        ("path.write_bytes(path.read_bytes()[:-30])", "not a whole image"),
        ("path.write_bytes(path.read_bytes()[:60])", "not a whole image"),
        ("c = path.read_bytes(); path.write_bytes(c[:90] + bytes([c[90] ^ 4]) + c[91:])", "not a whole image"),
        ("path.write_bytes(b'<html>404 Not Found</html>')", "not a whole image of the kinds PNG, JPEG, BMP, WEBP"),
        ("path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 9 9\\n')", "not a whole image"),
        ("os.truncate(path, 2**26)", "67,108,864 bytes"),
        ("Image.new('RGB', (11, 12)).save(path); named = folder / 'train/cat'", "pixels where"),
        ("Image.new('RGB', (12, 10)).save(path); named = '12×10'", "all images need one size"),
        ("Image.new('RGB', (1025, 3)).save(path)", "3×1025 pixels; at most 1024 on a side, so resize it"),
        ("Image.new('RGBA', (10, 12), (9, 9, 9, 254)).save(path)", "transparent; put it on a background"),
        ("Image.new('I;16', (10, 12)).save(path)", "pixels of kind I;16; save it with 8 bits"),
        (
            "i = Image.new('RGB', (10, 12)); i.save(path, save_all=True, append_images=[Image.new('RGB', (10, 12), 9)])",
            "2 frames; save one of them",
        ),
        ("path.unlink(); path.mkdir(); named = path", "a folder inside a class"),
        ("path.unlink(); os.mkfifo(path)", "not a plain file"),
        ("path.unlink(); path.symlink_to('/etc/hostname')", "a link out of"),
        ("path.unlink(); path.symlink_to(folder / 'nowhere')", "a link that leads nowhere"),
        ("path.unlink(); path.symlink_to(path)", "a link that leads nowhere"),
        ("path = folder / 'train/eel'; path.symlink_to('/etc')", "a link out of"),
        (
            "path = folder / 'train'; path.rename(folder.parent / 'far'); path.symlink_to(folder.parent / 'far')",
            "a link out of",
        ),
        ("path = path.rename(path.with_suffix('.gif'))", "not one of .*convert it, or take it away"),
        ("path = path.rename(folder / 'train' / 'loose.png')", "lies in no class"),
        ("path = folder / 'train/eel'; path.mkdir()", "a class without images"),
        (
            "path = folder / 'train/eel'; path.mkdir(); Image.new('RGB', (10, 12)).save(path / '1.png')",
            "'eel' is not in .*test; both need the same",
        ),
        (
            "path = folder / 'test/eel'; path.mkdir(); Image.new('RGB', (10, 12)).save(path / '1.png')",
            "'eel' is not in .*train; both need the same",
        ),
        (
            "import shutil; path = folder / 'test'; shutil.rmtree(path); path.mkdir()",
            "no classes; each is a sub-folder",
        ),
        ("import shutil; path = folder / 'test'; shutil.rmtree(path); path.write_text('x')", "cannot be read"),
        ("path = path.rename(path.with_name('a\\nb.png')); named = 'a'", "its name is not printable"),
        (
            "os.rename(path, os.fsencode(path)[:-5] + b'\\xff.png'); named = '\\\\udcff.png'",
            "its name is not printable",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: str, message: str, folder: Path) -> None:
    named = break_class(change)(folder)
    text = complaint(folder)
    assert named in text
    with pytest.raises(DatasetDamaged, match=message):
        ImageFolder(folder).load()


def test_what_is_mended_is_looked_at_anew(folder: Path) -> None:
    dataset, path = ImageFolder(folder), first_file(folder)
    content = path.read_bytes()
    path.write_bytes(b"")
    assert "0 bytes" in str(dataset.missing())
    path.write_bytes(content)
    assert dataset.missing() is None


@pytest.mark.parametrize("size", [(12_000, 12_000), (30_000, 30_000), (60_000, 2)])
def test_a_decompression_bomb_is_not_unpacked(size: tuple[int, int], folder: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path = first_file(folder)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + packed + chunk(b"IEND", b""))
    assert str(path) in complaint(folder)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg", ".bmp", ".webp"]))
def test_however_a_file_is_damaged_it_is_read_or_named(data: st.DataObject, suffix: str, folder: Path) -> None:
    path = first_file(folder).with_name(f"x{suffix}")
    picture(made_up_images(1, 3, (3, 12, 10), 5)[0][0]).save(path)
    content = path.read_bytes()
    damaged = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(content)))])
    try:
        with suppress(DatasetDamaged):  # and nothing else is raised
            ImageFolder(folder).load()
    finally:
        path.unlink()


@pytest.mark.parametrize("text", ["nowhere", "nul\0byte", "x" * 5000])
def test_a_folder_that_is_not_there_is_named(text: str, tmp_path: Path) -> None:
    message = complaint(tmp_path / text, DatasetMissing)
    assert "no such folder" in message
    assert size_problem(DataSpec(dataset=f"folder:{tmp_path / text}")) is None  # another rule's matter


def test_a_folder_without_train_or_with_one_class_is_refused(tmp_path: Path) -> None:
    assert "no folder `train`" in complaint(tmp_path, DatasetMissing)
    made_up_folder(tmp_path, classes=("cat",))
    assert "one class, 'cat'; two or more are needed" in complaint(tmp_path)


@pytest.mark.parametrize("official", [True, False])
def test_sizes_that_pass_the_check_can_be_cut(official: bool, tmp_path: Path) -> None:
    made_up_folder(tmp_path, train=300, test=12 if official else 0)
    for path in sorted((tmp_path / "train" / "owl").iterdir())[60:]:
        path.unlink()
    dataset: Dataset = ImageFolder(tmp_path)
    labels = dataset.load()[0].labels

    def spec(n: int) -> DataSpec:
        return DataSpec(dataset=f"folder:{tmp_path}", labels_per_class=n)

    most = max(n for n in range(1, 60) if size_problem(spec(n)) is None)
    assert most >= 8
    for seed in range(30):
        assert len(cut(dataset, labels, spec(most), seed).labelled) == 3 * most
    message = str(size_problem(spec(most + 1)))
    assert f"are {2 * most + 2}, but the smallest class of" in message
    assert "has 60 images, with room for" in message


def test_class_folders_are_read_in_the_order_of_the_classes(folder: Path) -> None:
    found = read_class_folders(folder / "train", ("owl", "cat", "dog"), (3, 12, 10))
    files = [sorted((folder / "train" / name).iterdir()) for name in ("owl", "cat", "dog")]
    assert found.labels.tolist() == [k for k, paths in enumerate(files) for _ in paths]
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int64)
    assert np.array_equal(found.images[0].transpose(1, 2, 0), np.asarray(Image.open(files[0][0])))


def test_class_folders_must_fit_the_dataset(folder: Path) -> None:
    def reason(classes: tuple[str, ...], shape: tuple[int, int, int]) -> str:
        with pytest.raises(ImagesRefused) as caught:
            read_class_folders(folder / "train", classes, shape)
        assert str(caught.value).split("\n") == list(caught.value.problems)
        return str(caught.value)

    path = first_file(folder)
    assert reason(CLASSES, (3, 28, 28)).startswith(f"{path}: 12×10 pixels where 28×28 are expected; resize it")
    assert reason(CLASSES, (1, 12, 10)).startswith(f"{path}: a colour image where grey ones are expected")
    assert reason(CLASSES[:2], (3, 12, 10)).startswith(f"{folder / 'train' / 'owl'}: 'owl' is no class")
    assert reason((*CLASSES, "eel"), (3, 12, 10)).startswith(f"{folder / 'train'}: no sub-folder for class 'eel';")
    with pytest.raises(DatasetMissing, match="no such folder"):
        read_class_folders(folder / "nowhere", CLASSES, (3, 12, 10))


def test_class_folders_may_be_written_in_capitals(folder: Path) -> None:
    expected = read_class_folders(folder / "train", CLASSES, (3, 12, 10))
    (folder / "train" / "cat").rename(folder / "train" / "CAT")
    found = read_class_folders(folder / "train", CLASSES, (3, 12, 10))
    assert found.fingerprint == expected.fingerprint
    (folder / "train" / "Cat").mkdir()
    with pytest.raises(ImagesRefused, match="a second folder for class 'cat'; put all its images into one"):
        read_class_folders(folder / "train", CLASSES, (3, 12, 10))
    shouted = read_class_folders(folder / "test", tuple(name.upper() for name in CLASSES), (3, 12, 10))
    assert len(shouted) == 12


def test_everything_that_is_wrong_with_class_folders_is_said_at_once(folder: Path) -> None:
    train = folder / "train"
    (train / "cat").rename(train / "caat")
    (train / "zebra").mkdir()
    (train / "loose.png").write_bytes(b"")
    for path in sorted((train / "owl").iterdir())[:12]:
        path.write_bytes(b"")
    Image.new("RGB", (9, 9)).save(train / "dog" / "0000.png")
    with pytest.raises(ImagesRefused) as caught:
        read_class_folders(train, CLASSES, (3, 12, 10))
    problems = caught.value.problems
    assert problems[:4] == (
        f"{train / 'loose.png'}: lies in no class; put it into a sub-folder named after its class",
        f"{train / 'caat'}: 'caat' is no class; did you mean 'cat'?",
        f"{train / 'zebra'}: 'zebra' is no class; there are cat, dog, owl",
        f"{train}: no sub-folder for class 'cat'; every class wants one of its name",
    )
    assert (
        problems[4] == f"{train / 'dog' / '0000.png'}: 9×9 pixels where 12×10 are expected; resize it, or take it away"
    )
    assert sum("0 bytes" in p for p in problems) == 9
    assert problems[-1] == f"{train}: 3 more images that do not fit"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.problems) == (ImagesRefused, problems)


def test_grey_and_colour_stand_for_each_other_where_nothing_is_lost(tmp_path: Path) -> None:
    made_up_folder(tmp_path / "grey", shape=(1, 12, 10))
    grey = read_class_folders(tmp_path / "grey" / "train", CLASSES, (1, 12, 10))
    rgb = read_class_folders(tmp_path / "grey" / "train", CLASSES, (3, 12, 10))
    assert (rgb.images == grey.images).all()
    for path in (tmp_path / "grey" / "train").glob("*/*.png"):
        Image.open(path).convert("RGB").save(path)
    again = read_class_folders(tmp_path / "grey" / "train", CLASSES, (1, 12, 10))
    assert again.fingerprint == grey.fingerprint


def test_a_class_whose_name_two_systems_write_differently_is_one_class(folder: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    (folder / "train" / "cat").rename(folder / "train" / decomposed)
    (folder / "test" / "cat").rename(folder / "test" / composed)
    assert ImageFolder(folder).missing() is None
    assert composed in ImageFolder(folder).classes
    names = [decomposed, "dog", "owl"]
    read = read_class_folders(folder / "test", names, ImageFolder(folder).image_shape)
    assert set(read.labels.tolist()) == {0, 1, 2}
    (folder / "test" / decomposed).mkdir()
    picture_file = next((folder / "test" / composed).iterdir())
    (folder / "test" / decomposed / "0.png").write_bytes(picture_file.read_bytes())
    assert f"a second folder for class '{composed}'" in complaint(folder)
