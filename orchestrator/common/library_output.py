"""Keeps the chatter of libraries out of the terminal, and in a log file."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from orchestrator.common.printing import plain_console


@contextmanager
def quiet_output(log: Path, console: Console) -> Iterator[Console]:
    """Send everything that this process and its children write to stdout and stderr into `log`, also from native code.

    Yields a console that still writes where `console` did. Does nothing where `console` writes to something else than the process's
    own stdout or stderr (a test's buffer).
    """
    logging.getLogger("ray.tune.analysis").setLevel(
        logging.ERROR
    )  # it misses result files that we told Tune not to write
    descriptor = _descriptor(console)
    if descriptor not in (1, 2):
        yield console
        return
    is_terminal, width = console.is_terminal, console.width  # while its descriptor still leads there
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {fd: os.dup(fd) for fd in (1, 2)}
    with log.open("ab") as sink, os.fdopen(os.dup(descriptor), "w", encoding="utf-8", buffering=1) as terminal:
        for fd in saved:
            os.dup2(sink.fileno(), fd)
        try:
            yield plain_console(
                file=terminal,
                force_terminal=is_terminal,
                width=None if is_terminal else width,
                color_system=console.color_system,
                no_color=console.no_color,
                quiet=console.quiet,
            )
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, original in saved.items():
                os.dup2(original, fd)
                os.close(original)


def _descriptor(console: Console) -> int | None:
    try:
        return console.file.fileno()
    except (OSError, io.UnsupportedOperation, AttributeError):
        return None
