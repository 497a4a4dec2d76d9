from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.files import (
    TEMPORARY_PREFIX,
    append_digest,
    remove_temporary_files,
    replacing,
    sync_folder,
    without_digest,
    write_atomically,
)


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


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """As two threads, or processes of one number on two machines that share the folder."""
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        assert one.read_bytes() == b"one"
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file"]


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


@given(content=st.binary(max_size=200), place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_a_digest_tells_every_change(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: float, bits: int
) -> None:
    path = tmp_path_factory.mktemp("digest") / "file"
    path.write_bytes(content)
    append_digest(path)
    sealed = path.read_bytes()
    assert without_digest(sealed) == content
    changed = bytearray(sealed)
    changed[int(place * len(sealed))] ^= bits
    for other in (bytes(changed), sealed[: int(place * len(sealed))], sealed + bytes([bits])):
        with pytest.raises(ValueError, match="digest"):
            without_digest(other)


def test_a_folder_is_synced_where_the_file_system_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sync_folder(tmp_path)
    assert len(synced) == 1

    def fail(code: int) -> None:
        def fsync(handle: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)
        sync_folder(tmp_path)

    fail(errno.EINVAL)
    with pytest.raises(OSError, match="No space"):
        fail(errno.ENOSPC)
