from __future__ import annotations

import gzip
import importlib.util
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from trainables.data.datasets import DATASETS, DatasetDamaged, DatasetMissing, Digits, FashionMNIST

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
Damage = Callable[[bytes], bytes]


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small files in the real format."""
    for part, n in {"train": 30, "t10k": 10}.items():
        images = np.random.default_rng(n).integers(0, 256, (n, 28, 28))
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n) % 10))
    monkeypatch.setattr(FashionMNIST, "folders", (tmp_path / "nowhere", tmp_path))
    return tmp_path


def zip_all(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def test_digits_are_scikit_learns() -> None:
    ours, test = DATASETS["digits"].load()
    theirs = load_digits()
    assert test is None
    assert len(ours) == Digits.size == 1797
    assert np.array_equal(ours.labels, theirs.target)
    assert np.array_equal(ours.images[:, 0], np.round(theirs.images * 255 / 16).astype(np.uint8))


def test_digits_without_scikit_learn_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetMissing, match=r"digits: .*pip install scikit-learn"):
        DATASETS["digits"].load()


@pytest.mark.parametrize("zipped", [False, True])
def test_fashion_is_read_plain_or_zipped(zipped: bool, folder: Path) -> None:
    expected = np.frombuffer((folder / TRAIN_IMAGES).read_bytes()[16:], np.uint8).reshape(-1, 1, 28, 28)
    if zipped:
        zip_all(folder)
    dataset = DATASETS["fashion-mnist"]
    assert dataset.missing() is None
    train, test = dataset.load()
    assert test is not None
    assert np.array_equal(train.images, expected)
    assert train.labels.tolist() == [i % 10 for i in range(30)]
    assert (len(train), len(test)) == (30, 10)


def test_missing_files_tell_how_to_get_them(folder: Path) -> None:
    (folder / TRAIN_LABELS).unlink()
    dataset = DATASETS["fashion-mnist"]
    with pytest.raises(DatasetMissing) as caught:
        dataset.load()
    message = str(caught.value)
    for part in ("fashion-mnist", TRAIN_LABELS, str(folder), "apt-get install dataset-fashion-mnist", "download=True"):
        assert part in message
    assert dataset.missing() in message  # type: ignore[operator]


@pytest.mark.parametrize("name", FashionMNIST.files)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda c: b"", id="empty"),
        pytest.param(lambda c: c[:3], id="cut in the head"),
        pytest.param(lambda c: c[:-1], id="a byte short"),
        pytest.param(lambda c: c + b"\0", id="a byte long"),
        pytest.param(lambda c: b"\0\0\x0d" + c[3:], id="floats"),
        pytest.param(lambda c: c[:3] + b"\x02" + c[4:], id="two dimensions"),
        pytest.param(lambda c: b"<html>404 Not Found</html>" * 9, id="a web page"),
        pytest.param(lambda c: c[:4] + b"\xff" * 4 + c[8:], id="absurd size"),
    ],
)
def test_a_damaged_file_is_named(name: str, damage: Damage, folder: Path) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetDamaged) as caught:
        DATASETS["fashion-mnist"].load()
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda c: c[: len(c) // 2], id="truncated"),
        pytest.param(lambda c: c[:20] + bytes(b ^ 255 for b in c[20:60]) + c[60:], id="other bytes"),
        pytest.param(lambda c: c[:-8] + b"\0" * 8, id="other checksum"),
        pytest.param(lambda c: b"not gzip", id="not gzip"),
    ],
)
def test_a_damaged_gzip_file_is_named(damage: Damage, folder: Path) -> None:
    zip_all(folder)
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetDamaged, match="fetch the file again") as caught:
        DATASETS["fashion-mnist"].load()
    assert str(path) in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_however_a_file_is_damaged_it_is_read_or_named(data: st.DataObject, folder: Path) -> None:
    if not (folder / f"{TRAIN_LABELS}.gz").exists():
        zip_all(folder)
    path = folder / f"{TRAIN_LABELS}.gz"
    content = path.read_bytes()
    damaged = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(content)))])
    try:
        with suppress(DatasetDamaged):  # and nothing else is raised
            DATASETS["fashion-mnist"].load()
    finally:
        path.write_bytes(content)


def test_files_that_do_not_belong_together_are_refused(folder: Path) -> None:
    (folder / TRAIN_LABELS).write_bytes(idx(np.zeros(29)))
    with pytest.raises(DatasetDamaged, match="30 images but 29 labels"):
        DATASETS["fashion-mnist"].load()


def test_a_label_out_of_range_is_refused(folder: Path) -> None:
    (folder / TRAIN_LABELS).write_bytes(idx(np.full(30, 10)))
    with pytest.raises(DatasetDamaged, match="label 10 is above 9"):
        DATASETS["fashion-mnist"].load()


def test_images_of_another_size_are_refused(folder: Path) -> None:
    (folder / TRAIN_IMAGES).write_bytes(idx(np.zeros((30, 32, 32))))
    with pytest.raises(DatasetDamaged, match="images of 32×32 pixels, not 28×28"):
        DATASETS["fashion-mnist"].load()


def test_a_fingerprint_of_no_images_is_one_too() -> None:
    train, _ = DATASETS["digits"].load()
    assert len(train.at(np.empty(0, np.int64)).fingerprint) == 20
