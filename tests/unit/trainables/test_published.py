from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from scipy.io import savemat

from tests.contract.made_up import (
    PUBLISHED,
    cifar_batch,
    made_up_images,
    made_up_published,
    use_published,
    write_svhn,
)
from trainables.data.base import look_from
from trainables.data.datasets import CIFAR10, CIFAR100, DATASETS, STL10, SVHN, DatasetDamaged, DatasetMissing
from trainables.data.published import Published, read_pickle

every_kind = pytest.mark.parametrize("kind", PUBLISHED)
every_file = pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind in PUBLISHED for file in kind.files])
THEIRS = {CIFAR10: "CIFAR10", CIFAR100: "CIFAR100", STL10: "STL10", SVHN: "SVHN"}


@pytest.fixture
def made(kind: type[Published], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small files in the real format, which are taken for the published ones."""
    made_up_published(tmp_path, kind)
    use_published(monkeypatch, kind, tmp_path)
    return tmp_path


def accept(kind: type[Published], file: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file that would be refused for its MD5, and have that MD5 taken for the published one."""
    path = kind.folder / file
    path.write_bytes(content)
    monkeypatch.setitem(kind.files, file, hashlib.md5(content).hexdigest())
    return path


def theirs(kind: type[Any], root: Path, train: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchvision's reading of the same files."""
    reader = getattr(torchvision.datasets, THEIRS[kind])
    monkeypatch.setattr(reader, "_check_integrity", lambda self: True)
    monkeypatch.setattr(reader, "_load_meta", lambda self: None, raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, about how Python 2 pickled its types
        return reader(root, train=train) if "CIFAR" in THEIRS[kind] else reader(root, "train" if train else "test")


@every_kind
def test_images_are_those_that_torchvision_reads(
    kind: type[Published], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ours, train in zip(DATASETS[kind.name].load(), (True, False), strict=True):
        assert ours is not None
        other = theirs(kind, made, train, monkeypatch)
        images = other.data.transpose(0, 3, 1, 2) if "CIFAR" in THEIRS[kind] else other.data
        labels = other.targets if "CIFAR" in THEIRS[kind] else other.labels
        assert np.array_equal(ours.images, images)
        assert ours.labels.tolist() == list(labels)
        assert len(ours) == PUBLISHED[kind][0 if train else 1]


@every_kind
def test_files_and_checksums_are_torchvisions(kind: type[Published]) -> None:
    theirs = getattr(torchvision.datasets, THEIRS[kind])
    if kind is SVHN:
        expected = {name: md5 for _, name, md5 in theirs.split_list.values() if "extra" not in name}
    else:
        listed = theirs.train_list + theirs.test_list
        expected = {f"{theirs.base_folder}/{name}": md5 for name, md5 in listed if "unlabeled" not in name}
    assert kind.files == expected
    assert list(kind.files) == list(expected)
    assert len(set(kind.classes)) == {CIFAR100: 100}.get(kind, 10)  # type: ignore[call-overload]


@every_file
def test_a_missing_file_is_named_with_the_way_to_get_it(
    kind: type[Published], file: str, made: Path, tmp_path: Path
) -> None:
    (tmp_path / file).unlink()
    dataset = DATASETS[kind.name]
    reason = dataset.missing()
    assert reason is not None
    assert str(tmp_path / file) in reason
    assert f"torchvision.datasets.{THEIRS[kind]}('data'" in reason
    assert "download=True" in reason
    assert "://" not in reason
    with pytest.raises(DatasetMissing, match=kind.name):
        dataset.load()


@every_kind
def test_the_way_to_get_it_is_python(kind: type[Published]) -> None:
    compile(kind.fetch, "fetch", "eval")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda c: b"", id="empty"),
        pytest.param(lambda c: c[: len(c) // 2], id="truncated"),
        pytest.param(lambda c: c + b"\0", id="a byte long"),
        pytest.param(lambda c: c[:15] + bytes([c[15] ^ 1]) + c[16:], id="one bit"),
        pytest.param(lambda c: b"<html>404 Not Found</html>", id="a web page"),
    ],
)
@every_file
def test_a_damaged_file_is_named(
    kind: type[Published], file: str, damage: Callable[[bytes], bytes], made: Path
) -> None:
    path = made / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetDamaged, match="truncated, changed, or another file; remove it, then fetch it") as caught:
        DATASETS[kind.name].load()
    assert str(path) in str(caught.value)


@every_file
def test_a_file_that_cannot_be_read_is_named(kind: type[Published], file: str, made: Path) -> None:
    path = made / file
    with path.open("r+b") as handle:
        handle.truncate(2**31)  # a hole; it is not read to find out
    with pytest.raises(DatasetDamaged, match=r"2,147,483,648 bytes") as caught:
        DATASETS[kind.name].load()
    assert str(path) in str(caught.value)


@every_file
def test_content_that_is_not_the_formats_is_named_even_under_the_right_checksum(
    kind: type[Published], file: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = accept(kind, file, b"\x80\x02]q\x00." + b"x" * 41, monkeypatch)
    with pytest.raises(DatasetDamaged) as caught:
        DATASETS[kind.name].load()
    assert str(path.parent) in str(caught.value)


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100, SVHN])
def test_images_of_another_size_too_few_or_of_no_class_are_named(
    kind: type[Any], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, file = kind.files
    images, labels = made_up_images(PUBLISHED[kind][1], len(kind.classes), kind.image_shape, 0)

    def load(images: np.ndarray, labels: np.ndarray) -> str:
        if kind is SVHN:
            write_svhn(made / file, images, labels)
            content = (made / file).read_bytes()
        else:
            content = cifar_batch(images, labels, kind.labels_key)
        accept(kind, file, content, monkeypatch)
        with pytest.raises(DatasetDamaged) as caught:
            DATASETS[kind.name].load()
        assert str(made / file) in str(caught.value)
        return str(caught.value)

    assert "19 images and 19 labels" in load(images[:19], labels[:19]) or kind is not CIFAR10
    assert "label 100 is not from 0 to" in load(images, np.where(labels == 1, 100, labels))
    load(images[:, :, :16, :16], labels)
    load(images, labels[:-1])


def test_a_matlab_file_without_its_arrays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_published(tmp_path, SVHN)
    use_published(monkeypatch, SVHN, tmp_path)
    savemat(tmp_path / "other.mat", {"X": np.zeros((32, 32, 3, 4)), "z": 1})
    path = accept(SVHN, "train_32x32.mat", (tmp_path / "other.mat").read_bytes(), monkeypatch)
    with pytest.raises(DatasetDamaged, match=r"KeyError.*fetch it") as caught:
        DATASETS["svhn"].load()
    assert str(path) in str(caught.value)


class Hostile:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_not_executed(
    trusted: bool, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_published(tmp_path, CIFAR10)
    use_published(monkeypatch, CIFAR10, tmp_path)
    witness, file = tmp_path / "executed", next(iter(CIFAR10.files))
    content = pickle.dumps({"data": Hostile(witness), "labels": []}, protocol)
    pickle.loads(content)
    assert witness.exists(), "the pickle is a hostile one"
    witness.unlink()
    path = tmp_path / file
    path.write_bytes(content)
    if trusted:  # even where its checksum were right
        accept(CIFAR10, file, content, monkeypatch)
    with pytest.raises(DatasetDamaged) as caught:
        DATASETS["cifar-10"].load()
    assert str(path) in str(caught.value)
    assert ("it asks for" in str(caught.value)) == trusted
    assert not witness.exists()


@pytest.mark.parametrize("protocol", [3, 4])
def test_bytes_are_read_by_rows_or_by_columns_and_no_other_arrays(protocol: int) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for stored in (
        array,
        array.T,
        np.asfortranarray(array),
        array[:, ::2],
        array[:0],
        np.arange(24, dtype="u1").reshape(2, 3, 4).T,
    ):
        found = read_pickle(pickle.dumps({"data": stored}, protocol))["data"].array()
        assert found.dtype == np.uint8
        assert np.array_equal(found, stored)
    for other in (array.astype(float), array.astype(object), array.astype("u2"), array.astype("i1"), array > 3):
        with pytest.raises(ValueError, match="other than unsigned bytes"):
            read_pickle(pickle.dumps(other, protocol)).array()


@pytest.mark.parametrize("by_columns", [False, True])
def test_an_array_whose_shape_and_bytes_do_not_agree_is_refused(by_columns: bool) -> None:
    array = np.asfortranarray(np.zeros((3, 4), np.uint8)) if by_columns else np.zeros((3, 4), np.uint8)
    content = pickle.dumps(array, 3)
    assert content.count(b"K\x03K\x04\x86") == 1
    with pytest.raises(ValueError, match="cannot reshape"):
        read_pickle(content.replace(b"K\x03K\x04\x86", b"K\x03K\x05\x86")).array()


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
def test_a_batch_that_numpy_1_stored_by_columns_is_the_same_images(
    kind: type[Any], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python 2's numpy pickled a transposed array: its bytes column by column, under a flag."""
    by_rows = DATASETS[kind.name].load()
    for file in kind.files:
        batch = (made / file).read_bytes()
        rows = read_pickle(batch)["data"].array()
        assert batch.count(b"tb\x89T") == 1
        turned = batch.replace(b"tb\x89T", b"tb\x88T").replace(rows.tobytes(), rows.tobytes(order="F"))
        assert len(turned) == len(batch)
        accept(kind, file, turned, monkeypatch)
    by_columns = DATASETS[kind.name].load()
    for ours, train in zip(by_columns, (True, False), strict=True):
        assert ours is not None
        assert ours.images.flags.c_contiguous
        assert np.array_equal(ours.images, theirs(kind, made, train, monkeypatch).data.transpose(0, 3, 1, 2))
    assert [p.fingerprint for p in by_columns if p] == [p.fingerprint for p in by_rows if p]


def test_datasets_are_looked_for_from_where_the_study_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    made_up_published(tmp_path / "data", STL10)
    use_published(monkeypatch, STL10, tmp_path / "data")
    monkeypatch.setattr(STL10, "folder", Path("data"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "data/stl10_binary/train_X.bin" in str(DATASETS["stl-10"].missing())
    look_from(tmp_path)
    try:
        assert DATASETS["stl-10"].missing() is None
        assert len(DATASETS["stl-10"].load()[0]) == 200
    finally:
        look_from(Path())


def test_datasets_are_read_without_torch(tmp_path: Path) -> None:
    made_up_published(tmp_path, CIFAR10)
    program = (
        "import hashlib, sys; from pathlib import Path\n"
        "from trainables.data.datasets import CIFAR10, DATASETS\n"
        f"root = Path({str(tmp_path)!r}); CIFAR10.folder, CIFAR10.size, CIFAR10.test_size = root, 200, 20\n"
        "CIFAR10.files = {f: hashlib.md5((root / f).read_bytes()).hexdigest() for f in CIFAR10.files}\n"
        "print(len(DATASETS['cifar-10'].load()[0]), {'torch', 'torchvision'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "200 set()\n"
