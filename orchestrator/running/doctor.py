"""`ablate doctor`: what this machine can do, what is missing, and what to do about it, in order."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.cluster.local_ray import SHARED_MEMORY
from orchestrator.common.provenance import PACKAGES, hardware, package_versions
from trainables.data import DATASETS

DISTRIBUTION = "rs-ablate"
EXTRAS = {
    "cluster": ("aiohttp_cors", "for `ablate submit`"),
    "dashboard": ("optuna_dashboard", "for `ablate dashboard`"),
    "diffusers": ("diffusers", "for `ablate data --synthesize`"),
}
"""By extra of the package: a module that it brings, and what for."""
TOKEN_MODE = "start Ray with RAY_AUTH_MODE=token on every node (`ray get-auth-token --generate` makes the token)"


def examine(address: str | None = None) -> list[dict[str, Any]]:
    """Findings as JSON values: `name`, `ok`, `required`, `found`, and for what is missing a `remedy`.

    Args:
        address: A cluster's job server, to be looked at too.
    """
    versions = package_versions()
    missing = [p for p in PACKAGES if p not in versions]
    findings = [
        _finding(
            "Python", sys.version_info >= (3, 11), versions["python"],
            "install Python 3.11 or newer, then `make clean setup PYTHON=python3.11`",
        ),
        _finding(
            "packages", not missing, ", ".join(f"{k} {v}" for k, v in versions.items() if k != "python"),
            f"{_install(missing)} (in a checkout, `make setup`)",
        ),
        _folder(),
        _machine(),
        _memory_files(),
        *_token_file(),
        _gpus() if "torch" not in missing else _finding("GPUs", False, "torch is missing", "", required=False),
    ]  # fmt: skip
    findings += [
        _finding(f"dataset {d.name}", reason is None, "not here" if reason else "there", reason or "", required=False)
        for d in DATASETS.values()
        for reason in [d.missing()]
    ]
    findings += [
        _finding(f"extra {extra}", there, what if there else f"not here; {what}", _install((), extra), required=False)
        for extra, (module, what) in EXTRAS.items()
        for there in [importlib.util.find_spec(module) is not None]
    ]
    return findings if address is None else [*findings, _cluster(address)]


def to_fix(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is to be done, first things first: `name`, `remedy`, and whether it is `required` for any study to run."""
    wrong = [f for f in findings if not f["ok"] and f["remedy"]]
    ordered = sorted(wrong, key=lambda f: not f["required"])
    return [{key: f[key] for key in ("name", "remedy", "required")} for f in ordered]


def _install(names: Iterable[str], extra: str = "") -> str:
    """The command that installs these packages in the versions that this one asks for, or those of an extra."""
    wanted = {name: name for name in names}
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        lines = []
    for line in lines:
        specification, _, marker = (part.strip() for part in line.partition(";"))
        name = re.split(r"[^A-Za-z0-9_.-]", specification)[0]
        of_extra = re.search(r"extra == ['\"](.*?)['\"]", marker)
        if of_extra[1] == extra if of_extra else name in wanted:
            wanted[name] = specification
    return f"`{shlex.join([sys.executable, '-m', 'pip', 'install', *wanted.values()])}`"


def _cluster(address: str) -> dict[str, Any]:
    """Whether a cluster takes jobs from everybody. Raises JobError where none answers."""
    from orchestrator.cluster.jobs import Jobs, anybody_may_run_jobs

    if anybody_may_run_jobs(address):
        return _finding(f"cluster {address}", False, "it takes jobs from everybody who reaches it", TOKEN_MODE)
    return _finding(f"cluster {address}", True, f"it asks for a token; {len(Jobs(address).jobs())} studies sent", "")


def _finding(name: str, ok: bool, found: str, remedy: str, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "required": required, "found": found, "remedy": "" if ok else remedy}


def _folder() -> dict[str, Any]:
    here = Path.cwd()
    remedy = f"`chmod u+rwx {shlex.quote(str(here))}`, or start `ablate` in a folder of your own"
    return _finding("folder", os.access(here, os.W_OK | os.X_OK), str(here), remedy)


def _machine() -> dict[str, Any]:
    machine = hardware()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = f"{machine['cpus']} cores, {machine['memory_gib']} GiB, {machine['processor']}, {free:.0f} GiB disk free"
    return _finding(
        "machine",
        free >= 1,
        found,
        "free 1 GiB of disk: `du -sh runs /tmp/ray` says what studies and Ray hold",
    )


def _memory_files() -> dict[str, Any]:
    """Ray's object store lies in /dev/shm."""
    try:
        free = shutil.disk_usage("/dev/shm").free / 2**30
    except OSError:
        return _finding("shared memory", False, "no /dev/shm, which Ray wants", SHARED_MEMORY)
    return _finding(
        "shared memory",
        free >= 0.5,
        f"{free:.1f} GiB free in /dev/shm",
        SHARED_MEMORY,
        required=False,
    )


def _token_file() -> list[dict[str, Any]]:
    """Ray makes the token of a cluster readable for all users of a machine."""
    try:
        path = Path("~/.ray/auth_token").expanduser()
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, RuntimeError):  # there is none, or no home
        return []
    remedy = f"`chmod 600 {shlex.quote(str(path))}`"
    found = f"{path}, mode {mode:04o}{', so others can read it' if mode & 0o077 else ''}"
    return [_finding("Ray's token", not mode & 0o077, found, remedy, required=False)]


def _gpus() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return _finding("GPUs", True, "none; trials run on CPUs", "", required=False)
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return _finding("GPUs", True, ", ".join(names), "", required=False)


def findings_table(findings: list[dict[str, Any]]) -> Table:
    """The findings, for a terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for _ in ("mark", "name", "found"):
        table.add_column(overflow="fold")  # a path is never cut
    for f in findings:
        mark = Text("ok", style="green") if f["ok"] else Text("missing", style="red" if f["required"] else "yellow")
        table.add_row(mark, Text(f["name"]), Text(f["found"]))
    return table


def remedies(findings: list[dict[str, Any]]) -> list[str]:
    """What is to be done, as numbered sentences for a terminal, and at last whether studies can run as things are."""
    fixes = to_fix(findings)
    lines = [
        f"{number}. {fix['name']}{'' if fix['required'] else ', if you need it'}: {fix['remedy']}"
        for number, fix in enumerate(fixes, start=1)
    ]
    if any(fix["required"] for fix in fixes):
        return ["To fix, in this order:", *lines, "A study needs all that is not marked `if you need it`."]
    end = "Studies can run here: `ablate init` writes a first one."
    return ["Nothing has to be fixed; in case you want more:", *lines, end] if lines else [end]
