"""Names that one must type are never cut, at any width of a terminal; what says nothing is left out."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.cli.completion import KINDS
from orchestrator.cli.listing import entries, listing, remarks
from orchestrator.common.fitted_table import FittedTable, fitted
from orchestrator.running.status_summary import status_table
from trainables.data import DATASETS


def shown(table: FittedTable, width: int) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(table)
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_cuts_no_name(kind, width):
    text = shown(listing(kind), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = set(text.replace(",", " ").split())
    typed = ("name", "field", "group", "components", "parameters", "algorithms", "algorithm")
    for row in entries(kind):
        assert {w for key in typed for w in row.get(key, "").replace(",", " ").split()} <= words


def test_a_column_that_has_no_room_is_named():
    assert "needs" in shown(listing("components"), 140).split()
    narrow = shown(listing("components"), 80)
    assert narrow.splitlines()[-1].startswith("no room for: needs; ")
    assert narrow.split().count("needs;") == 1


def test_a_dataset_that_is_not_here_has_its_command_on_a_line_of_its_own(monkeypatch):
    command = 'fetch it with `python -c "import torchvision; torchvision.datasets.CIFAR10(...)"`'
    for kind in {type(dataset) for dataset in DATASETS.values()}:
        monkeypatch.setattr(kind, "missing", lambda self: command if self.name == "cifar-10" else None)
    assert "no, see below" in shown(listing("datasets"), 80)
    assert remarks("datasets") == [f"cifar-10: {command}"]
    assert remarks("networks") == []


def test_what_is_the_same_in_every_row_is_said_once_and_what_is_empty_not_at_all():
    rows = [("a", "dark", "", "1"), ("b", "dark", "", "22")]
    table = FittedTable(headings=("arm", "condition", "time", "n"), rows=rows, once=("condition",), right=("n",))
    assert shown(table, 40).splitlines() == ["condition: dark", "arm   n", "a     1", "b    22"]
    several = FittedTable(headings=("arm", "condition"), rows=[("a", "dark"), ("b", "light")], once=("condition",))
    assert shown(several, 40).split() == ["arm", "condition", "a", "dark", "b", "light"]


def test_markup_in_names_is_shown_as_it_stands():
    table = FittedTable(title="[bold]t", headings=("name", "c"), rows=[("[red]x", "[b]")], once=("c",))
    assert shown(table, 40).split() == ["[bold]t", "c:", "[b]", "name", "[red]x"]


@given(
    st.lists(st.lists(st.text("ab ", max_size=30), min_size=1, max_size=4), min_size=1, max_size=6),
    st.integers(1, 120),
    st.data(),
)
def test_widths_fill_the_room_and_break_a_word_only_where_all_do_not_fit(columns, room, data):
    names = data.draw(st.lists(st.booleans(), min_size=len(columns), max_size=len(columns)))
    widths = fitted(columns, room, names)
    lines = [max(map(len, cells)) for cells in columns]
    words = [max((len(w) for c in cells for w in c.split()), default=1) for cells in columns]
    assert sum(widths) <= max(room, len(columns))
    if sum(lines) <= room:
        assert widths == lines
    elif sum(words) <= room:
        assert all(w >= word for w, word in zip(widths, words, strict=True))


def test_status_says_one_condition_once_and_no_mean_before_there_is_one():
    phase = {"planned": 2, "status": {"completed": 1}}
    cell = {"title": "RSMatch", "condition": "digits", "tuning": phase, "evaluation": phase, "mean_test_error": None}
    cell["confirmation"] = {"planned": 0, "status": {}}
    text = shown(status_table({"cells": [cell, {**cell, "title": "FixMatch"}]}), 80)
    assert text.splitlines()[0] == "condition: digits"
    assert text.count("digits") == 1
    assert "mean" not in text
    assert "confirmation" not in text
    assert "1.50" in shown(status_table({"cells": [{**cell, "mean_test_error": 1.5}]}), 80)
