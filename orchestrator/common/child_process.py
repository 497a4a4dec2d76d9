"""Python processes of this program's own, which no file in the working folder can mislead."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.common import import_paths
from orchestrator.common.import_paths import is_here

ROOT = Path(import_paths.ROOT)
"""The folder that this program's packages are imported from."""


def module_command(module: str, *arguments: str) -> list[str]:
    """Run a module. `python -m` alone looks in the working folder first: for `results`, `queue`, and all that they import."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which such a process, and those that it starts, import what this one does.

    PYTHONPATH names the folder of this program's packages first, and never the working folder, for which an empty entry stands too.
    """
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in given if path and not is_here(path)]
    if str(ROOT) not in site.getsitepackages():
        paths = [str(ROOT), *(path for path in paths if path != str(ROOT))]
    found = {**environment, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths)}
    if not paths:
        del found["PYTHONPATH"]  # empty, it would stand for the working folder
    return found
