"""Work of some seconds says what it is: in a terminal on a line that goes again, elsewhere on one that stays."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.common.waiting import phase


def shown(*, terminal: bool, quiet: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=80, color_system=None, quiet=quiet)
    with phase(console, "writing [the] report", lambda: "3 of 5") as said:
        if terminal:
            said("figures")
    return output.getvalue()


def test_a_terminal_sees_the_part_that_was_named_last_and_then_nothing():
    text = shown(terminal=True)
    assert "writing [the] report: figures …" in text
    assert text.endswith("\x1b[2K")


def test_elsewhere_it_is_one_line():
    assert shown(terminal=False) == "writing [the] report …\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_says_nothing(terminal):
    assert shown(terminal=terminal, quiet=True) == ""


def test_without_parts_it_says_how_far_it_is():
    output = io.StringIO()
    with phase(Console(file=output, force_terminal=True, width=80, color_system=None), "MLflow", lambda: "3 of 5"):
        pass
    assert "MLflow: 3 of 5 …" in output.getvalue()
