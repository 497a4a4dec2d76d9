"""One driver per study: a lock that goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import StudyBusy


@contextmanager
def study_lock(path: Path) -> Iterator[None]:
    """Hold `path` locked. Raises StudyBusy, naming host and process, where another driver holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            handle.seek(0)
            raise StudyBusy(
                f"{path.parent}: {_holder(handle.read())} is running this study; wait for it, or stop it and run again"
            ) from problem
        handle.truncate(0)
        handle.write(json.dumps({"host": platform.node(), "process": os.getpid()}))
        handle.flush()
        yield


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['process']} on {holder['host']}"
    except (json.JSONDecodeError, KeyError, TypeError):
        return "another process"
