from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.files import TEMPORARY_PREFIX, remove_temporary_files, replacing, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_written_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_crash_inside_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def crash() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            assert temporary.parent == path.parent  # a rename is atomic within one file system only
            assert path.read_bytes() == b"old"
            raise failure

    with pytest.raises(failure):
        crash()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_crash_before_the_first_byte_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replacing(tmp_path / "file"):
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from trainables.files import replacing\n"
        "with replacing(Path(sys.argv[1]) / 'deep' / 'file') as t: t.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = names(tmp_path / "deep")
    assert left.startswith(TEMPORARY_PREFIX)
    assert remove_temporary_files(tmp_path) == 1
    assert names(tmp_path / "deep") == []
    assert remove_temporary_files(tmp_path) == 0


def test_living_writers_and_other_files_are_left_alone(tmp_path: Path) -> None:
    living = tmp_path / f"{TEMPORARY_PREFIX}{os.getppid()}-file"
    own = tmp_path / f"{TEMPORARY_PREFIX}{os.getpid()}-file"  # of an earlier process that had our number
    odd = tmp_path / f"{TEMPORARY_PREFIX}what-is-this"
    others = [tmp_path / "file", tmp_path / "tmp-1-file", tmp_path / "x.tmp-1"]
    for path in (living, own, odd, *others):
        path.write_bytes(b"")
    (tmp_path / f"{TEMPORARY_PREFIX}folder").mkdir()
    assert remove_temporary_files(tmp_path) == 2
    assert {p.name for p in (living, *others)} <= set(names(tmp_path))
    assert not own.exists()
    assert not odd.exists()


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    assert remove_temporary_files(tmp_path / "nowhere") == 0
