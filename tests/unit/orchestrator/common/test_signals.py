"""Signals, each sent to a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from orchestrator.common import signals


def child(body: str) -> subprocess.Popen[str]:
    """A process that runs `body` inside `interruptible`, and has said that it is there."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
        "from orchestrator.common import signals\n"
        "from orchestrator.common.signals import *\n"
        "try:\n"
        f"    with interruptible():\n{lines}\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
        "    sys.exit(exit_status())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda x: str(x)
)
def test_a_signal_interrupts_and_the_status_tells_which(number: signal.Signals, status: int) -> None:
    process = child("print('there', flush=True); time.sleep(60)")
    process.send_signal(number)
    assert end_of(process) == (status, "interrupted\n")


def test_handlers_of_a_library_are_replaced_again() -> None:
    process = child(
        "signal.signal(signal.SIGTERM, lambda n, f: os._exit(15))\ntake_signals()\nprint('there', flush=True)\ntime.sleep(60)"
    )
    process.terminate()
    assert end_of(process)[0] == 143


def test_what_nohup_ignores_stays_ignored() -> None:
    code = (
        "import signal, sys; from orchestrator.common.signals import interruptible\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with interruptible():\n    signal.raise_signal(signal.SIGHUP)\nsys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_a_signal_is_held_back_until_a_loop_asks() -> None:
    process = child(
        "with deferred():\n"
        "    print('there', flush=True)\n"
        "    while received() is None: time.sleep(0.01)\n"
        "    print('still here', flush=True)\n"
        "    end_if_told()\n"
        "    print('never', flush=True)"
    )
    process.terminate()
    assert end_of(process) == (143, "still here\ninterrupted\n")


def test_a_signal_that_is_held_back_comes_at_the_end_of_the_block() -> None:
    process = child(
        "with deferred():\n"
        "    with deferred():\n"
        "        print('there', flush=True)\n"
        "        while received() is None: time.sleep(0.01)\n"
        "    print('inner', flush=True)\n"
        "print('never', flush=True)"
    )
    process.terminate()
    assert end_of(process) == (143, "inner\ninterrupted\n")


def test_a_signal_that_nothing_asks_for_ends_the_process_nevertheless() -> None:
    process = child(
        "signals.HELD_SECONDS = 0.1\n"
        "with at_once(lambda: print('ended', flush=True)), deferred():\n"
        "    print('there', flush=True)\n"
        "    time.sleep(60)"
    )
    process.terminate()
    assert end_of(process) == (143, "ended\n")


def test_a_second_signal_ends_the_process_after_what_is_due_and_an_echo_of_the_first_does_not() -> None:
    process = child(
        "with at_once(lambda: print('ended', flush=True)), deferred():\n"
        "    print('there', flush=True)\n"
        "    while received() is None: time.sleep(0.01)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
        "    signals.ONE_SIGNAL_SECONDS = 0.0\n"
        "    signal.raise_signal(signal.SIGTERM)"
    )
    process.terminate()
    assert end_of(process) == (143, "still here\nended\n")


@pytest.fixture
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    yield
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before


def test_handlers_are_put_back(handlers: None) -> None:
    with signals.interruptible(), signals.interruptible():
        assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGINT)


def test_a_signal_that_ended_a_block_ends_nothing_after_it(handlers: None) -> None:
    with pytest.raises(KeyboardInterrupt), signals.interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert signals.exit_status() == 143
    with signals.deferred():  # as a cluster that a notebook joins after it interrupted a study
        signals.end_if_told()
