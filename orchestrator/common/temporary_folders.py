"""Temporary folders that say whose they are, so that the next run removes what a killed one left."""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.common.signals import at_once
from trainables.files import ABANDONED_SECONDS, file_inside
from trainables.processes import lives, machine, process_start

PREFIX = "ablate-"
MARK = ".owner.json"


@contextmanager
def scratch_folder(base: Path | None = None) -> Iterator[Path]:
    """A private folder (mode 0700) for the length of the block, below `base` or where temporary files go.

    Before, folders of this user that were left there by processes which are gone are removed.
    """
    base = base or Path(tempfile.gettempdir())
    remove_abandoned(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    pid = os.getpid()
    owner = {"host": platform.node(), "machine": machine(), "process": pid, "start": process_start(pid)}
    try:
        (folder / MARK).write_text(json.dumps(owner), encoding="utf-8")
        with at_once(lambda: remove(folder)):
            yield folder
    finally:
        remove(folder)


def remove_abandoned(base: Path) -> int:
    """Remove the folders below `base` whose owner is certainly gone; returns how many.

    A folder that says nothing of an owner, or is another user's, is left alone, and so is one of another host or container.
    """
    try:
        found = [path for path in base.glob(f"{PREFIX}*") if _abandoned(path)]
    except OSError:
        return 0
    for folder in found:
        remove(folder)
    return len(found)


def remove(folder: Path) -> None:
    """Remove a folder as far as possible, its mark last: what is left of it can still be told to be abandoned."""
    with suppress(OSError):  # another run does the same
        for path in [found for found in folder.iterdir() if found.name != MARK]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if {found.name for found in folder.iterdir()} <= {MARK}:
            shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    try:
        about = folder.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
            return False
        mark = file_inside(folder, MARK)
        if mark is None or mark.stat().st_size > 10_000:
            return False
        owner = json.loads(mark.read_text(encoding="utf-8"))
        if owner["machine"] == machine():
            return not lives(int(owner["process"]), str(owner["start"]))
        boot, here = str(owner["machine"]).split(" ")[0], machine().split(" ")[0]
        return owner["host"] == platform.node() and boot != here and _unchanged_for(folder) > ABANDONED_SECONDS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unchanged_for(folder: Path) -> float:
    """Seconds since anything in the folder changed."""
    newest = max((path.lstat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
    return time.time() - newest
