from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.files import (
    ABANDONED_SECONDS,
    TEMPORARY_PREFIX,
    NotOrdinary,
    OutsideFolder,
    append_digest,
    file_inside,
    inside,
    read_ordinary,
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
    with replacing(tmp_path / "mine") as living:
        living.write_bytes(b"half")
        others = [living, tmp_path / "file", tmp_path / "tmp-1-file", tmp_path / "x.tmp-1"]
        earlier = living.with_name(re.sub(r"\.\d+-", ".1-", living.name))  # of an earlier process that had our number
        for path in (earlier, *others):
            path.write_bytes(b"")
        (tmp_path / f"{TEMPORARY_PREFIX}folder").mkdir()
        outside = tmp_path / "outside"
        (tmp_path / f"{TEMPORARY_PREFIX}link").symlink_to(outside)
        outside.write_bytes(b"")
        assert remove_temporary_files(tmp_path) == 1
        assert not earlier.exists()
        assert outside.exists()
        assert all(p.exists() for p in others)


@pytest.mark.parametrize("name", ["0123456789ab.1.1-x-file", f"{os.getpid()}-abcd-file", "what-is-this"], ids=range(3))
def test_a_file_of_another_machine_goes_when_it_did_not_change_for_long(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{TEMPORARY_PREFIX}{name}"
    path.write_bytes(b"")
    assert remove_temporary_files(tmp_path) == 0
    long_ago = path.stat().st_mtime - ABANDONED_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    assert remove_temporary_files(tmp_path) == 1
    assert names(tmp_path) == []


def can_unshare() -> bool:
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "--pid", "--fork", "--mount-proc", "true"]).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="needs the right to make a space of process numbers")
@pytest.mark.parametrize("proc", [["--mount-proc"], []], ids=["own /proc", "outer /proc"])
def test_a_container_leaves_the_files_of_another_alone(tmp_path: Path, proc: list[str]) -> None:
    """Process numbers mean nothing there: the writer's number is free, and the cleaner's own may be the writer's."""
    clean = "import sys; from pathlib import Path; from trainables.files import *\n"
    count = "print(remove_temporary_files(Path(sys.argv[1])))"
    left = "with replacing(Path(sys.argv[1]) / 'theirs') as t: t.write_bytes(b'half'); " + count
    with replacing(tmp_path / "file") as living:
        living.write_bytes(b"half")
        for code in (count, left):
            run = subprocess.run(
                ["unshare", "--pid", "--fork", *proc, sys.executable, "-c", clean + code, str(tmp_path)],
                capture_output=True,
                text=True,
                check=True,
            )
            assert run.stdout.strip() == "0"
    assert names(tmp_path) == ["file", "theirs"]


def test_a_path_out_of_data_stays_inside(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    (folder / "log").mkdir(parents=True)
    (folder / "log" / "trial.log").write_text("x")
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "elsewhere").symlink_to(tmp_path)
    assert inside(folder, "log/trial.log") == folder / "log" / "trial.log"
    assert inside(folder, "not/there") == folder / "not" / "there"
    assert file_inside(folder, "log/trial.log") == folder / "log" / "trial.log"
    bad = ["", ".", "..", "../secret", "log/../../secret", str(tmp_path / "secret"), "link", "elsewhere/secret"]
    for name in [*bad, "elsewhere/study/log/trial.log", "a\\b", "a\0b", "x" * 5000]:
        with pytest.raises(OutsideFolder):
            inside(folder, name)
        assert file_inside(folder, name) is None
    assert file_inside(folder, "log") is None
    (tmp_path / "by-link").symlink_to(folder)
    assert file_inside(tmp_path / "by-link", "log/trial.log") is not None


def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        short = Path(tempfile.mkdtemp()) / "socket"
        server.bind(str(short))
        for path in (tmp_path / "pipe", tmp_path / "folder", short, Path("/dev/zero")):
            with pytest.raises(NotOrdinary, match=f"{path.name}: a .*, not an ordinary file"):
                read_ordinary(path)
    shutil.rmtree(short.parent)
    (tmp_path / "file").write_bytes(b"content")
    assert read_ordinary(tmp_path / "file") == b"content"
    with pytest.raises(FileNotFoundError):
        read_ordinary(tmp_path / "nowhere")


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
