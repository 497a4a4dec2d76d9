"""Files that are whole or absent, ordinary, and where they should be.

Every write goes to a temporary name first. What is read is an ordinary file, for a named pipe would keep its reader waiting. A path
that comes out of data (a record, a manifest, an archive, a listing) leads to a place inside the folder that it belongs to.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from trainables.processes import lives, machine, process_start

TEMPORARY_PREFIX = ".tmp-"
DIGEST_BYTES = 32
ABANDONED_SECONDS = 24 * 3600.0
"""A temporary file of another machine is left alone until it has not changed for so long."""
_LONGEST_NAME = 160
"""Bytes of a file's name that its temporary name ends in; file systems take 255."""
_WRITER = re.compile(r"([0-9a-f]{12})\.([0-9]+)\.([0-9]+|unknown)-")


class OutsideFolder(ValueError):
    """A path that came out of data does not stay inside the folder that it belongs to."""


class NotOrdinary(ValueError):
    """Where a file was expected there is a folder, a named pipe, a socket or a device."""


def inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`, where a record, a manifest, an archive or a listing names it.

    Args:
        folder: May be reached through links itself.
        name: Relative, with `/` between its parts.

    Raises OutsideFolder for an absolute path, for `..`, and where it, or a folder between, is a link. It need not be there.
    """
    parts = PurePosixPath(name).parts
    if not parts or parts == (".",) or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise OutsideFolder(f"{name[:200]!r} is no path inside {folder}")
    path = folder
    for part in parts:
        path = path / part
        try:
            link = path.is_symlink()
        except OSError as problem:  # a name that is too long for any file
            raise OutsideFolder(f"{name[:200]!r} is no path inside {folder}") from problem
        if link:
            raise OutsideFolder(f"{path} is a link, which may lead out of {folder}")
    return path


def file_inside(folder: Path, name: str) -> Path | None:
    """The ordinary file of that name below `folder`; None where there is none, or `inside` refuses the name."""
    with suppress(OutsideFolder, OSError):
        path = inside(folder, name)
        return path if stat.S_ISREG(path.lstat().st_mode) else None
    return None


def open_ordinary(path: Path) -> BinaryIO:
    """Open a file for reading, and never wait for it. Raises NotOrdinary, and what `open` raises."""
    _check_ordinary(path, path.stat())  # before it is opened, which is an event to a pipe or a device
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_ordinary(path, os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_ordinary(path: Path) -> bytes:
    """A file's bytes. Raises NotOrdinary, and what `open` raises."""
    with open_ordinary(path) as handle:
        return handle.read()


def _check_ordinary(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        raise NotOrdinary(f"{path.name}: {kinds.get(stat.S_IFMT(about.st_mode), 'a device')}, not an ordinary file")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is synced and renamed to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """A new temporary name beside `path`. It says whose it is: machine, process, and when that process began."""
    writer = f"{_machine_code()}.{os.getpid()}.{_own_start(os.getpid())}-{secrets.token_hex(4)}"
    ending = os.fsdecode(os.fsencode(path.name)[-_LONGEST_NAME:])
    return path.with_name(f"{TEMPORARY_PREFIX}{writer}-{ending}")


def file_system_age(path: Path) -> float:
    """Seconds since a file changed, by the clock of its file system: those of two hosts may differ.

    Raises OSError where it is gone, or nothing can be written beside it.
    """
    probe = temporary_beside(path.with_name("clock"))
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime - path.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _machine_code() -> str:
    return hashlib.sha256(machine().encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _own_start(process: int) -> str:
    return process_start(process)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, never meets half of it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power failure, where the file system can do that for a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as problem:
        if problem.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # some network file systems: names are the server's matter
            raise
    finally:
        os.close(handle)


def append_digest(path: Path) -> None:
    """Add a digest of a file's bytes at its end."""
    content = path.read_bytes()
    with path.open("ab") as handle:
        handle.write(_digest(content))


def without_digest(content: bytes) -> bytes:
    """The bytes before the digest. Raises ValueError where they are not those that it was made of."""
    payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if _digest(payload) != digest:
        raise ValueError("its digest does not fit: it was changed or cut after it was written")
    return payload


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def remove_temporary_files(folder: Path) -> int:
    """Delete what writers that are gone left below `folder`; returns how many files.

    Whether a writer is alive can be told on its own machine alone: one boot of one host, one container. A file of another
    machine, or one that does not say whose it is, goes once it has not changed for `ABANDONED_SECONDS`.
    """
    leftovers = [
        p for p in folder.rglob(f"{TEMPORARY_PREFIX}*") if p.is_file() and not p.is_symlink() and _abandoned(p)
    ]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _abandoned(path: Path) -> bool:
    writer = _WRITER.match(path.name.removeprefix(TEMPORARY_PREFIX))
    if writer is not None and writer[1] == _machine_code():
        return not lives(int(writer[2]), writer[3])
    try:
        return file_system_age(path) > ABANDONED_SECONDS
    except OSError:  # it is gone, or this user may not write here
        return False


def checkpoint_path(folder: Path, trial_id: str) -> Path:
    """Where a running trial's state is kept; gone once its record is written."""
    return folder / f"{trial_id}.pt"
