"""Write a report again whenever the ledger grew."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from results.report.writing import LEDGER_FOLDER

LOOK_SECONDS = 1.0
LEAST_REST = 2.0
"""Times what the last report took: a report of a large study must not keep a core busy all night."""


def watch_report(
    folder: Path, console: Console, *, write: Callable[[], tuple[Path, ...]], goes_on: Callable[[], bool] = lambda: True
) -> None:
    """Write the report now and after every change of the ledger, with a line for each; until Ctrl-C.

    Args:
        folder: The study's.
        console: Where the lines go.
        write: Writes the report; returns its files.
        goes_on: Asked after each look.
    """
    seen: object = None
    while True:
        now = ledger_state(folder)
        if now != seen:
            started = time.monotonic()
            files = write()
            took = time.monotonic() - started
            clock = datetime.now().astimezone().strftime("%H:%M:%S")
            console.print(f"{clock} {files[0]} ({took:.1f} s)", highlight=False, soft_wrap=True)
            seen = now
            time.sleep(LEAST_REST * took)
        if not goes_on():
            return
        time.sleep(LOOK_SECONDS)


def ledger_state(folder: Path) -> tuple[tuple[str, int], ...]:
    """The ledger's files with their sizes: another one whenever a record was added or parts were put together."""
    found = []
    for path in (folder / LEDGER_FOLDER).glob("*.parquet"):
        with suppress(FileNotFoundError):  # put together with others meanwhile
            found.append((path.name, path.stat().st_size))
    return tuple(sorted(found))
