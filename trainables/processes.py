"""Whether a process that left its name in a file is alive, where process numbers mean different things in different places."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path

UNKNOWN = "unknown"
"""In place of a start time, where the system does not say."""


def machine() -> str:
    """One boot of one kernel and one space of process numbers there (a container has its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return platform.node()


def process_start(process: int) -> str:
    """When a process of this machine began, in clock ticks after the boot; empty where there is none.

    A process that is dead and not yet waited for counts as none.
    """
    if not _proc_is_ours(os.getpid()):
        return _exists(process)
    try:
        stat = Path(f"/proc/{process:d}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _exists(process)
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def lives(process: int, start: str) -> bool:
    """Whether the process of this machine that began at `start` is alive; True where that cannot be told."""
    now = process_start(process)
    return bool(now) and (now == start or UNKNOWN in (now, start))


@lru_cache(maxsize=1)
def _proc_is_ours(process: int) -> bool:
    """Whether /proc shows this process's own space of numbers: a new one may still see the outer one's files."""
    try:
        return str(Path("/proc/self").readlink()) == str(process)
    except OSError:
        return False


def _exists(process: int) -> str:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except PermissionError:
        return UNKNOWN
    return UNKNOWN
