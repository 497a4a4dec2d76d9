from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from results.records.arrays import ArraysDamaged, read_arrays


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "images.npz"
    np.savez(path, real=np.arange(6).reshape(2, 3), classes=np.array(["a", "b"]))
    return path


def test_arrays_come_back_by_name(path: Path) -> None:
    arrays = read_arrays(path)
    assert arrays is not None
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "real": [[0, 1, 2], [3, 4, 5]],
        "classes": ["a", "b"],
    }


def test_no_file_is_no_damage(tmp_path: Path) -> None:
    assert read_arrays(tmp_path / "images.npz") is None


def test_every_bit_of_the_archives_directory_may_be_wrong(path: Path) -> None:
    """Among them an archive that says it is encrypted, or compressed in a way that nobody knows."""
    whole = path.read_bytes()
    start = whole.index(b"PK\x01\x02")
    said = []
    for place in range(8 * start, 8 * len(whole)):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read_arrays(path)
        except ArraysDamaged as problem:
            said.append(str(problem))
    assert len(said) > len(whole) - start
    assert all(line.startswith("images.npz: ") for line in said)
    assert any("encrypted" in line for line in said)


def test_pickled_objects_are_refused(path: Path) -> None:
    np.savez(path, real=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArraysDamaged, match="allow_pickle"):
        read_arrays(path)
