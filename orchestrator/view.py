"""What a person sees while a study runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cell_state import CellState
from orchestrator.driver import StudyDriver
from results.records import TrialRecord

PLAIN_SECONDS = 10.0


class StudyView:
    """Progress of one run.

    Args:
        console: Where to write. A terminal gets a live table, anything else a line every ten seconds.
        driver: What is run.
        pending: Text about the MLflow mirror, asked at every refresh.
    """

    def __init__(self, console: Console, driver: StudyDriver, *, pending: Callable[[], str]) -> None:
        self._console = console
        self._driver = driver
        self._pending = pending
        self._started = self._printed = time.monotonic()
        self._recorded = sum(driver.state.counts().values())
        """Before this run."""

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the live table on the screen for the length of the block."""
        if not self._console.is_terminal:
            yield
            self._line()
            return
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True):
            yield

    def note(self, text: str) -> None:
        """Say one sentence about what is being done."""
        self._console.print(text, highlight=False)

    def record(self, record: TrialRecord) -> None:
        """Show a failure at once; elsewhere than in a terminal, say how far the run is now and then."""
        if record.status == "failed":
            where = f"{record.arm}, {record.phase} {record.number}"
            self._console.print(Text(f"failed: {where}: {record.error} (see {record.log})", style="red"))
        if not self._console.is_terminal and time.monotonic() - self._printed >= PLAIN_SECONDS:
            self._line()

    def seconds_left(self) -> float | None:
        """From the mean of this run's trials so far; None before the first."""
        written = self._driver.written
        remaining = self._driver.state.remaining
        if not written:
            return None
        rate = written / (time.monotonic() - self._started)
        return remaining / rate

    def _line(self) -> None:
        self._printed = time.monotonic()
        self._console.print(self._summary(), highlight=False)

    def _progress(self) -> tuple[int, int]:
        """Trials recorded by this run and earlier ones, and planned."""
        done = self._recorded + self._driver.written
        return done, done + self._driver.state.remaining

    def _summary(self) -> str:
        done, total = self._progress()
        parts = [f"{done}/{total} trials"]
        failed = self._driver.failed
        if failed:
            parts.append(f"{failed} failed")
        parts.append(f"{_clock(time.monotonic() - self._started)} passed")
        left = self.seconds_left()
        if left is not None and self._driver.state.remaining:
            parts.append(f"about {_clock(left)} left")
        if pending := self._pending():
            parts.append(pending)
        return ", ".join(parts)

    def _render(self) -> Group:
        done, total = self._progress()
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("arm")
        for heading in ("tuned", "best validation error %", "evaluated", "mean test error %"):
            table.add_column(heading, justify="right")
        running = {handle: trial.slot.cell.id for handle, trial in list(self._driver.running.items())}
        for cell in self._driver.state.cells:
            busy = cell.cell.id in running.values()
            table.add_row(Text(cell.cell.arm.title, style="bold" if busy else ""), *_numbers(cell))
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(total, 1), completed=done, width=60))
        return Group(bar, Text(self._summary()), Text(), table)


def _numbers(cell: CellState) -> tuple[str, str, str, str]:
    records = cell.records()
    tuned = [r for r in records if r.phase == "tune"]
    evaluated = [r for r in records if r.phase == "evaluate"]
    validation = [r.metrics["val_error"] for r in tuned if r.status == "completed"]
    test = [r.metrics["test_error"] for r in evaluated if r.status == "completed"]
    return (
        f"{len(tuned)}/{cell.cell.tuning_trials}",
        f"{min(validation):.1f}" if validation else "",
        f"{len(evaluated)}/{len(cell.cell.evaluation_seeds)}",
        f"{sum(test) / len(test):.2f}" if test else "",
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
