"""What a person sees while a study runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.engine.cell_state import CellState
from orchestrator.engine.driver import Running, StudyDriver
from results.records.trial_record import TrialRecord

PLAIN_SECONDS = 10.0
"""Between plain lines, at least."""
LONGEST_SILENCE = 60.0
"""Between plain lines of a run that has gone on for so long that more would only fill a log."""
SHARE_OF_SILENCE = 0.05
"""Until then: of the time passed."""
NAMED_STEPS = 3
"""Running trials of which each step is said; of more, the first and the last."""
OTHER_LINES = 8
"""Of the screen, beside the cells."""


class StudyView:
    """Progress of one run.

    Args:
        console: Where to write. A terminal gets a live table, anything else a line now and then, by which one sees that it goes on.
        driver: What is run.
        pending: Text about the MLflow mirror, asked at every refresh.
        verbose: Also a line for every trial.
    """

    def __init__(
        self, console: Console, driver: StudyDriver, *, pending: Callable[[], str], verbose: bool = False
    ) -> None:
        self._console = console
        self._driver = driver
        self._pending = pending
        self._verbose = verbose
        self._started = self._printed = time.monotonic()
        self._recorded = sum(driver.state.counts().values())
        """Before this run."""

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Keep the live table on the screen for the length of the block."""
        if self._console.quiet:
            yield
            return
        if not self._console.is_terminal:
            with self._lines():
                yield
            self._line()
            return
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True):
            yield

    @contextmanager
    def _lines(self) -> Iterator[None]:
        """A line whenever none was printed for long, although no trial ends: a trial may take hours."""
        over = threading.Event()

        def print_lines() -> None:
            while not over.wait(max(self._next_line() - time.monotonic(), 0.1)):
                if time.monotonic() >= self._next_line():
                    self._line()

        thread = threading.Thread(target=print_lines, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _next_line(self) -> float:
        passed = self._printed - self._started
        return self._printed + min(max(PLAIN_SECONDS, SHARE_OF_SILENCE * passed), LONGEST_SILENCE)

    def note(self, text: str) -> None:
        """Say one sentence about what is being done."""
        self._console.print(text, highlight=False)

    def record(self, record: TrialRecord) -> None:
        """Show a failure at once, and where all trials are wanted every other one; elsewhere than in a terminal, say how far
        the run is now and then.
        """
        if self._verbose and record.status != "failed":
            self._console.print(trial_text(record), highlight=False, soft_wrap=True)
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
        if running := running_text(list(self._driver.running.values())):
            parts.append(running)
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
        several = len(self._driver.state.plan.conditions) > 1
        if several:
            table.add_column("condition")
        for heading in ("tuned", "best validation error %", "evaluated", "mean test error %"):
            table.add_column(heading, justify="right")
        running = {trial.slot.cell.key for trial in list(self._driver.running.values())}
        cells = self._driver.state.cells
        shown = self._shown(cells, running)
        for cell in shown:
            names = [Text(cell.cell.arm.title, style="bold" if cell.cell.key in running else "")]
            if several:
                names.append(Text(cell.cell.condition.info.title))
            table.add_row(*names, *_numbers(cell))
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(total, 1), completed=done, width=60))
        more = len(cells) - len(shown)
        note = [Text(f"and {more} more; `ablate status` shows all", style="dim")] if more else []
        return Group(bar, Text(self._summary()), Text(), table, *note)

    def _shown(self, cells: Sequence[CellState], running: Collection[tuple[str, str]]) -> Sequence[CellState]:
        """All cells where they fit on the screen, else those in motion first, in the order of the plan."""
        room = max(self._console.height - OTHER_LINES, 5)
        if len(cells) <= room:
            return cells
        first = [c for c in cells if c.cell.key in running][:room]
        chosen = {c.cell.key for c in first}
        for cell in cells:
            if len(chosen) == room:
                break
            if cell.stage not in ("done", "blocked"):
                chosen.add(cell.cell.key)
        return [c for c in cells if c.cell.key in chosen]


def running_text(running: Sequence[Running]) -> str:
    """How many trials are in motion and how far each is, by its reports; those that have not reported yet are starting."""
    if not running:
        return ""
    count = f"{len(running)} running"
    steps = sorted((trial.step for trial in running), reverse=True)
    goals = {trial.slot.spec.until for trial in running}
    if not steps[0]:
        return f"{count}, first reports to come"
    goal = f" of {min(goals)}" if len(goals) == 1 else ""
    if len(steps) == 1:
        return f"{count}, step {steps[0]}{goal}"
    said = " and ".join(map(str, steps)) if len(steps) <= NAMED_STEPS else f"{steps[-1]} to {steps[0]}"
    return f"{count}, steps {said}{goal}"


def trial_text(record: TrialRecord) -> str:
    """One trial that did not fail, in a line: what it was, how it ended, its errors in percent, and how long it took."""
    errors = [
        f"{name.removesuffix('_error')} error {record.metrics[name]:.2f}%"
        for name in ("val_error", "test_error")
        if name in record.metrics
    ]
    head = f"{record.arm}, {record.condition}, {record.phase} {record.number}, seed {record.seed}"
    return f"{head}: " + ", ".join([record.status, *errors, f"{record.steps} steps", f"{record.seconds:.1f} s"])


def _numbers(cell: CellState) -> tuple[str, str, str, str]:
    tuned, evaluated = cell.tuning, cell.evaluation
    validation = [r.metrics["val_error"] for r in tuned if r.status == "completed"]
    test = [r.metrics["test_error"] for r in evaluated if r.status == "completed"]
    return (
        _tuned(len(tuned), cell.cell.info.tuning_trials),
        f"{min(validation):.1f}" if validation else "",
        f"{len(evaluated)}/{len(cell.cell.evaluation_seeds)}",
        f"{sum(test) / len(test):.2f}" if test else "",
    )


def _tuned(done: int, granted: int) -> str:
    """Stopped trials hand steps back, so more may be run than are granted."""
    return f"{done}/{granted}" if done <= granted else str(done)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
