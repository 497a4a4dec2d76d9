"""`ablate doctor`: what this machine can do, and what is missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.provenance import PACKAGES, hardware, package_versions
from trainables.data import DATASETS

TOKEN_MODE = "start Ray with RAY_AUTH_MODE=token on every node (`ray get-auth-token --generate` makes the token)"


def examine(address: str | None = None) -> list[dict[str, Any]]:
    """Findings as JSON values: `name`, `ok`, `required`, `found`, and for what is missing a `remedy`.

    Args:
        address: A cluster's job server, to be looked at too.
    """
    versions = package_versions()
    missing = [p for p in PACKAGES if p not in versions]
    findings = [
        _finding("Python", sys.version_info >= (3, 11), versions["python"], "install Python 3.11 or newer"),
        _finding(
            "packages", not missing, ", ".join(f"{k} {v}" for k, v in versions.items() if k != "python"),
            f"`make study` sets up .venv; missing: {', '.join(missing)}",
        ),
        _machine(),
        _memory_files(),
        _gpus() if "torch" not in missing else _finding("GPUs", False, "torch is missing", "", required=False),
    ]  # fmt: skip
    findings += [
        _finding(f"dataset {d.name}", reason is None, reason or "there", "as said", required=False)
        for d in DATASETS.values()
        for reason in [d.missing()]
    ]
    return findings if address is None else [*findings, _cluster(address)]


def _cluster(address: str) -> dict[str, Any]:
    """Whether a cluster takes jobs from everybody. Raises JobError where none answers."""
    from orchestrator.jobs import Jobs, anybody_may_run_jobs

    if anybody_may_run_jobs(address):
        return _finding(f"cluster {address}", False, "it takes jobs from everybody who reaches it", TOKEN_MODE)
    return _finding(f"cluster {address}", True, f"it asks for a token; {len(Jobs(address).jobs())} studies sent", "")


def _finding(name: str, ok: bool, found: str, remedy: str, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "required": required, "found": found, "remedy": "" if ok else remedy}


def _machine() -> dict[str, Any]:
    machine = hardware()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = f"{machine['cpus']} cores, {machine['memory_gib']} GiB, {machine['processor']}, {free:.0f} GiB disk free"
    return _finding("machine", free >= 1, found, "a study writes some 10 MB; free 1 GiB of disk")


def _memory_files() -> dict[str, Any]:
    """Ray's object store lies in /dev/shm."""
    try:
        free = shutil.disk_usage("/dev/shm").free / 2**30
    except OSError:
        return _finding("shared memory", True, "no /dev/shm; Ray uses /tmp, which is slower", "", required=False)
    return _finding(
        "shared memory",
        free >= 0.5,
        f"{free:.1f} GiB free in /dev/shm",
        "give containers --shm-size=1g",
        required=False,
    )


def _gpus() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return _finding("GPUs", True, "none; trials run on CPUs", "", required=False)
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return _finding("GPUs", True, ", ".join(names), "", required=False)


def findings_table(findings: list[dict[str, Any]]) -> Table:
    """The findings, for a terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for f in findings:
        mark = Text("ok", style="green") if f["ok"] else Text("missing", style="red" if f["required"] else "yellow")
        text = f["found"] if f["ok"] or f["remedy"] in ("", "as said") else f"{f['found']}; {f['remedy']}"
        table.add_row(mark, Text(f["name"]), Text(text))
    return table
