"""A folder on this machine that stands for one in an object store: what is read is brought first, what is written is sent.

The ledger only ever grows, and a trial's record is the same wherever it was written, so copies are joined by taking what
either has. Of other files the one that was sent last counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from orchestrator.common.errors import AblateError
from orchestrator.common.folders import StudyFolders
from orchestrator.storage.lock import is_held
from orchestrator.storage.object_store import RemoteFolder, is_remote, is_safe
from results.records.documents import read_document
from trainables.files import write_atomically

ORIGIN_NAME = ".copy-of.json"
"""Says of which address a folder is the copy."""
LEDGER = "ledger/"
DAMAGED = "ledger/damaged/"
CLAIMS = "claims/"
STAYS_THERE = (DAMAGED, CLAIMS, "checkpoints/", "report/")
"""Parts of a study's folder that a copy does without: a report is made from the rest, checkpoints are for trials."""
AT_ONCE = 16
"""Files on their way side by side."""


def copies_folder() -> Path:
    """Where this machine keeps its copies: below ABLATE_CACHE, or below `ablate` in the user's cache."""
    if given := os.environ.get("ABLATE_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ablate"


def runs_folder(runs: str | Path) -> Path:
    """The folder to work in: `runs` itself, or this machine's copy where `runs` is an address in an object store.

    Raises RemoteError for an address that is none, and AblateError where no copy can be made here.
    """
    if isinstance(runs, Path) or not is_remote(runs):
        return Path(runs)
    remote = RemoteFolder(runs)
    parts = urlsplit(remote.uri)
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{parts.scheme}-{parts.netloc.rpartition('@')[2]}{parts.path}")
    digest = hashlib.sha256(remote.uri.encode()).hexdigest()[:8]
    folder = copies_folder() / f"{readable[:80].strip('-')}-{digest}"
    origin = folder / ORIGIN_NAME
    if not origin.exists():
        try:
            write_atomically(origin, json.dumps({"uri": remote.uri}).encode())
        except OSError as problem:
            raise AblateError(
                f"{folder}: no copy of {remote.uri} can be kept here ({problem.strerror}); set ABLATE_CACHE to a folder that "
                "can be written"
            ) from problem
    return folder


def origin_of(runs: Path) -> RemoteFolder | None:
    """The folder of which `runs` is a copy; None for a folder that is nobody's. Raises AblateError where it does not say."""
    path = runs / ORIGIN_NAME
    try:
        uri = read_document(path)["uri"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise AblateError(f"{path}: it does not say of what the folder is a copy; delete it") from problem
    return RemoteFolder(str(uri))


def shown(runs: Path) -> str:
    """`runs` as the user gave it."""
    origin = origin_of(runs)
    return str(runs) if origin is None else origin.uri


def names_of_studies(runs: Path) -> list[str]:
    """The studies that have run there, sorted. Raises RemoteError."""
    found = {path.parent.name for path in runs.glob("*/study.json")}
    remote = origin_of(runs)
    if remote is not None:
        remote.check()
        found |= {
            p.parent.name
            for p in map(PurePosixPath, filter(is_safe, remote.files()))
            if len(p.parts) == 2 and p.name == "study.json"
        }
    return sorted(found)


def bring_study(runs: Path, name: str) -> None:
    """Bring what a copy lacks of the study `name`; nothing for a folder that is no copy, or where a driver runs it from here.

    Files of the ledger are never changed, others become what they are there. Raises RemoteError.
    """
    remote = origin_of(runs)
    if remote is None or is_held(StudyFolders(runs, name).lock):
        return
    bring(remote / name, runs / name, (remote / name).files(), without=STAYS_THERE)


def bring(
    remote: RemoteFolder, folder: Path, there: dict[str, tuple[int, int]], *, without: Collection[str] = ()
) -> None:
    """Bring files whose size or time differs here. What a hostile store might name outside the folder is left alone.

    Args:
        remote: From where.
        folder: To where.
        there: Size and time of each file, by its name.
        without: Beginnings of names that stay there.
    """

    def bring_one(name: str) -> None:
        try:
            remote.fetch(name, folder / name)
        except FileNotFoundError:  # merged into another file, or over, meanwhile
            return
        if not name.startswith(LEDGER):
            os.utime(folder / name, ns=(there[name][1], there[name][1]))

    wanted = [n for n in there if is_safe(n) and not n.startswith(tuple(without)) and _differs(folder / n, n, there[n])]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bring") as pool:
        for _ in pool.map(bring_one, wanted):
            pass


def bring_files(remote: RemoteFolder, folder: Path, names: Iterable[str]) -> None:
    """Bring those of `names` that `folder` lacks and that are there. Raises RemoteError."""
    lacking = {name for name in names if not (folder / name).exists()}
    if lacking:
        bring(remote, folder, {name: about for name, about in remote.files().items() if name in lacking})


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size in bytes and time of the last change of each file below a folder that may be sent, by its name there."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if is_safe(name) and not name.startswith((*STAYS_THERE[:3], "run.lock")) and not path.is_symlink():
            try:
                about = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found[name] = (about.st_size, about.st_mtime_ns)
    return found


def _differs(path: Path, name: str, there: tuple[int, int]) -> bool:
    try:
        about = path.stat()
    except FileNotFoundError:
        return True
    return not name.startswith(LEDGER) and (about.st_size, about.st_mtime_ns) != there
