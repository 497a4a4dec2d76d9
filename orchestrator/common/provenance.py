"""Where results come from: commit, versions, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trainables.source import source_hash

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy", "scipy", "scikit-learn", "pydantic")


def code_provenance() -> dict[str, Any]:
    """`commit` and `dirty` of the checkout that the training source lies in (None outside one), and `source`, its hash."""
    folder = Path(__file__).parent.parent
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changed is None else bool(changed), "source": source_hash()}


def run_provenance() -> dict[str, Any]:
    """Code, versions and hardware of this run, for the report."""
    return {"code": code_provenance(), "versions": package_versions(), "hardware": hardware()}


def package_versions() -> dict[str, str]:
    """Python's and the packages' versions; packages that are missing are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Cores, memory and processor of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"host": platform.node(), "cpus": os.cpu_count(), "memory_gib": round(memory, 1), "processor": _processor()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
