"""How much memory a process took."""

from __future__ import annotations

from pathlib import Path


def peak_mib() -> float:
    """Of this process since it began. `ru_maxrss` would begin at what its parent had when it started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
