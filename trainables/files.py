"""Files that are whole or absent: every write goes to a temporary name first."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
DIGEST_BYTES = 32


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is synced and renamed to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}-{secrets.token_hex(4)}"  # of this process, thread and host alone
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{writer}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
    """Delete what writers that are no longer alive on this machine left below `folder`; returns how many."""
    leftovers = [p for p in folder.rglob(f"{TEMPORARY_PREFIX}*") if p.is_file() and not _writer_lives(p)]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _writer_lives(path: Path) -> bool:
    process = path.name.removeprefix(TEMPORARY_PREFIX).partition("-")[0]
    return process.isdigit() and int(process) != os.getpid() and Path(f"/proc/{process}").exists()


def checkpoint_path(folder: Path, trial_id: str) -> Path:
    """Where a running trial's state is kept; gone once its record is written."""
    return folder / f"{trial_id}.pt"
