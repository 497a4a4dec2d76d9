"""Ending by signal: SIGTERM and a closed terminal end a command as Ctrl-C does, so that what it started ends with it.

SLURM and Kubernetes send SIGTERM before they kill. The first signal raises KeyboardInterrupt. A second one, once the first has had
a moment, ends the process where it stands, after what `at_once` was told.

Where this process is connected to Ray, an exception out of nowhere ends it in native code. There the first signal is held back: the
loops that wait ask `end_if_told`, and if none asks in time, the signal counts as a second one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_SIGNAL_SECONDS = 1.0
"""Signals that come closer together count as one: `srun` and its node both send one, a terminal sends several."""
HELD_SECONDS = 10.0
"""For a loop to notice a signal that is held back; SLURM and Kubernetes give 30 seconds in all."""


class _Ending:
    """What this process was told."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.since = 0.0
        self.said = False
        self.blocks = 0
        self.deferring = 0
        self.raised = False
        self.at_once: list[Callable[[], object]] = []


_ending = _Ending()


def received() -> int | None:
    """The signal that ends the command; None where there was none."""
    return _ending.number


def exit_status() -> int:
    """Of a command that was interrupted, as shells have it: 130 after SIGINT (Ctrl-C), 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (received() or signal.SIGINT)


def end_if_told() -> None:
    """Raise KeyboardInterrupt where a signal came that was held back, or that native code swallowed.

    What came in an earlier block of `interruptible` has ended that block, and nothing after it.
    """
    if _ending.blocks and received() is not None:
        _ending.raised = True
        raise KeyboardInterrupt


def said() -> bool:
    """Whether the user was told how to go on."""
    return _ending.said


def say_once() -> None:
    """Note that the user was told."""
    _ending.said = True


@contextmanager
def at_once(what: Callable[[], object]) -> Iterator[None]:
    """Call `what` where a second signal ends the process inside of the block."""
    _ending.at_once.append(what)
    try:
        yield
    finally:
        _ending.at_once.remove(what)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block on SIGINT, SIGTERM and SIGHUP; outside the main thread, change nothing.

    May be nested. A signal that whoever started the process had ignored (`nohup`) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _ending.blocks == 0:
        _ending.number, _ending.said, _ending.raised = None, False, False
    before = {s: signal.getsignal(s) for s in SIGNALS}
    _ending.blocks += 1
    take_signals()
    try:
        yield
    finally:
        _ending.blocks -= 1
        for number, handler in before.items():
            if handler is not None:  # installed by something that is not Python, and so beyond us
                signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold a first signal back until `end_if_told`, or the end of the block; a second one ends the process."""
    _ending.deferring += 1
    before = received()
    try:
        yield
    finally:
        _ending.deferring -= 1
    if before is None and _ending.deferring == 0:
        end_if_told()


def take_signals() -> None:
    """Put the handlers of `interruptible` in place again, where a library has put in its own (`ray.init` does)."""
    if _ending.blocks == 0 or threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _told)


def _told(number: int, frame: Any) -> None:
    if _ending.number is None:
        _ending.number, _ending.since = number, time.monotonic()
        if not _ending.deferring:
            _ending.raised = True
            raise KeyboardInterrupt
        late = threading.Timer(HELD_SECONDS, _end_unless_raised)
        late.daemon = True
        late.start()
    elif time.monotonic() - _ending.since >= ONE_SIGNAL_SECONDS:
        _end_now()


def _end_unless_raised() -> None:
    if not _ending.raised and _ending.number is not None:
        _end_now()


def _end_now() -> None:
    for what in reversed(_ending.at_once):
        with suppress(Exception):
            what()
    os._exit(exit_status())
