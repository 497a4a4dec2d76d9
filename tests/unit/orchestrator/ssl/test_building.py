"""What is shown while images are made."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from orchestrator.ssl import building
from orchestrator.ssl.building import MOST_LINES, Board, BuildView, reporting


class _Told:
    """Stands for an actor's handle: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, ...]] = []
        self.tell = self.end = self

    def remote(self, *arguments: object) -> None:
        self.sent.append(arguments)


def test_a_task_says_how_far_it_is_now_and_then_and_that_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.0, 10.2, 10.6, 10.6])
    monkeypatch.setattr(building, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    told = _Told()

    def fail() -> None:
        with reporting(told, "seed 1") as report:
            for done in range(3):
                report("training", done, 3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert told.sent == [("seed 1", "training", 0, 3), ("seed 1", "training", 2, 3), ("seed 1",)]


def test_the_board_has_the_last_word_of_each_running_task() -> None:
    board = Board()
    board.tell("a", "training", 1, 3)
    board.tell("b", "drawing", 0, 0)
    board.tell("a", "training", 2, 3)
    assert board.read() == {"a": ("training", 2, 3), "b": ("drawing", 0, 0)}
    board.end("a")
    board.end("c")
    assert list(board.read()) == ["b"]


def test_without_a_terminal_there_is_a_line_for_each_piece_and_now_and_then_one_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(building, "time", SimpleNamespace(monotonic=lambda: now[0]))
    output = io.StringIO()
    view = BuildView(Console(file=output, width=200), 2, "seed blocks")
    with view.showing():
        for second in range(0, 40, 2):
            now[0] = float(second)
            view.update(0, {"digits, seed 3, flow": ("training", 30 * second, 1200)})
        view.update(1, {"digits, seed 3": ("drawing flow", 250, 500)})
        view.update(2, {})
    lines = output.getvalue().splitlines()
    assert lines[0] == "  0/2 seed blocks; digits, seed 3, flow: training 25%"
    assert len(lines) == 3 + 2
    assert lines[-2:] == ["  1/2 seed blocks", "  2/2 seed blocks"]


def test_a_terminal_shows_the_running_tasks_as_far_as_there_is_room() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=True)
    view = BuildView(console, 20, "seed blocks")
    view.update(0, {f"seed {i}": ("training", i, 20) for i in range(MOST_LINES + 3)})
    console.print(view._render())
    shown = output.getvalue()
    assert "seed 7: training 35%" in shown
    assert "seed 8:" not in shown
    assert "and 3 more" in shown
