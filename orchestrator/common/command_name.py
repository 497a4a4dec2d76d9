"""The command as it was called, for messages that name one to type next: `ablate` may not be on the PATH."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "ablate"


def called(*arguments: object) -> str:
    """A command line that a shell takes: `ablate run FILE` where that finds the command that runs now, else as it was called,
    `.venv/bin/ablate run FILE`.
    """
    return " ".join([*map(shlex.quote, _program()), *(shlex.quote(str(argument)) for argument in arguments)])


def _program() -> Sequence[str]:
    start = Path(sys.argv[0]) if sys.argv else Path(NAME)
    if start.name == "__main__.py" and start.parent.name == "orchestrator":
        return [sys.orig_argv[0], "-m", "orchestrator"]
    found = shutil.which(NAME)
    if start.name != NAME or not os.path.lexists(start) or (found is not None and start.samefile(found)):
        return [NAME]  # also where it is called by another program
    return [str(start)]
