"""Budgets of one run: they end it cleanly at a trial's end, and the next run goes on from there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.engine.driver import StudyDriver


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """What one `ablate run` may cost; None for no limit."""

    hours: float | None = None
    """Wall-clock time from the start of the run."""
    trials: int | None = None
    """Trials that this run records."""
    gpu_hours: float | None = None
    """GPUs of a trial times the time it held them, over the trials of this run."""

    def watch(self) -> LimitWatch:
        """A watch that begins now."""
        return LimitWatch(self)


@dataclass
class LimitWatch:
    """Asked before every trial: says which limit is reached, or None. Trials in motion count as if they ended now."""

    limits: RunLimits
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def __call__(self, driver: StudyDriver) -> str | None:
        """The sentence for the user, or None where another trial may start."""
        limits = self.limits
        if limits.hours is not None and self.clock() - self._started >= limits.hours * 3600:
            return f"--max-hours {limits.hours:g} is reached"
        if limits.trials is not None and driver.written + len(driver.running) >= limits.trials:
            return f"--max-trials {limits.trials} is reached"
        if limits.gpu_hours is not None and driver.gpu_seconds() >= limits.gpu_hours * 3600:
            return f"--max-gpu-hours {limits.gpu_hours:g} is reached"
        return None
