"""What programs are told of MLflow's differences, and the words that are left of a quiet run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import orchestrator.mirror
from orchestrator.cli.mirror_check import show_mirror_check
from orchestrator.common.fitted_table import FittedTable
from orchestrator.common.printing import complain, new_console, show_verdict, warn
from orchestrator.mirror import Difference
from results.report.writing import load_table
from results.words.verdict import answers

DIGITS = Path(__file__).parents[4] / "docs" / "results" / "digits"


@pytest.mark.parametrize(
    "found", [[], [Difference(run="a", what="is missing"), Difference(run="b", what="differs", run_id="id")]]
)
def test_differences_for_programs(found, monkeypatch, capsys):
    monkeypatch.setattr(orchestrator.mirror, "check", lambda folder, uri: found)
    assert show_mirror_check(Path("runs/digits"), "sqlite://", as_json=True) == (not found)
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["same"]) == ("digits", not found)
    assert [(d["run"], d["what"], d["run_id"]) for d in told["differences"]] == [
        (d.run, d.what, d.run_id) for d in found
    ]


def test_a_quiet_run_ends_with_the_answer_in_words_alone(tmp_path, capsys):
    folder = tmp_path / "digits"
    shutil.copytree(DIGITS, folder)
    show_verdict(folder, written=None)
    printed = " ".join(capsys.readouterr().out.split())
    (said,) = (passages for _, passages in answers(load_table(folder)))
    assert printed == " ".join(" ".join([one.heading, *one.sentences]) for one in said).strip()
    assert not (folder / "report").exists()


@pytest.mark.parametrize("text", ["[old] runs", "[red]runs[/red]", "a[/]b", ":smile:", "[link=file:///x]y[/link]"])
def test_text_from_data_is_shown_as_it_is(text, capsys):
    new_console().print(f"report: {text}", soft_wrap=True)
    new_console().print(FittedTable(headings=(text,), rows=[(text,)]))
    warn([text])
    complain(text)
    shown = capsys.readouterr()
    assert shown.out.count(text) == 3
    assert shown.err.count(text) == 2
