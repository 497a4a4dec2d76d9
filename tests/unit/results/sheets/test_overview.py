import csv
import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from rich.console import Console

from results.analysis.main_table import main_table
from results.records.manifest import LeftOut
from results.report.csv import render_sheet_csv
from results.report.latex import render_latex
from results.report.markdown import render_markdown
from results.report.terminal import render_terminal
from results.sheets.overview import left_out, sheets
from results.words.verdict import verdict
from tests.unit.results.factories import factorial_study, manifest, rich_study, study_records

HOSTILE = "<script>alert('x')</script>[red]*_$\\input{x}\"&"


@pytest.fixture(scope="module")
def table():
    return main_table(*rich_study())


def by_name(table):
    return {sheet.name: sheet for sheet in sheets(table)}


def test_a_plain_study_has_only_what_it_can_say():
    study = manifest()
    assert list(by_name(main_table(study, study_records(study)))) == ["optimism", "checkpoints", "budget", "cost"]
    assert list(by_name(main_table(replace(study, cells=()), []))) == []


def test_a_rich_study_has_every_sheet(table):
    assert list(by_name(table)) == ["factorial", "both-ways", "optimism", "pareto", "budget", "cost"]
    several = main_table(*rich_study(conditions=("half", "most")))
    assert next(iter(by_name(several))) == "overview"
    assert [len(g.lines) for g in by_name(several)["both-ways"].groups] == [7, 7]


def test_every_line_has_a_cell_for_each_column_and_the_same_values(table):
    for sheet in sheets(table):
        assert {len(line.cells) for line in sheet.lines} == {len(sheet.head)}
        assert len({tuple(line.values) for line in sheet.lines}) == 1
        assert max(sheet.text) < len(sheet.head)


def test_factorial_sheet_says_what_rests_on_what():
    runs = [(0, 0), (1, 1), (0, 1)]
    study, records = factorial_study(
        {"queue": ("on", "off"), "class-wise": ("on", "off")},
        runs,
        {(run, seed): 10.0 + run[0] + seed for run in runs for seed in (1, 2)},
    )
    sheet = by_name(main_table(study, records))["factorial"]
    assert "3 of 4 combinations of 2 factors; the others make no sense" in sheet.intro
    assert sheet.lines[0].cells == ("queue off", "2", "+1.00", "[+1.00, +1.00]", "0.500", "1", "no queue × class wise")
    assert sheet.lines[2].cells[-1] == "not told: no run has queue off with class wise on"
    assert "With 2 seeds no effect, however large" in " ".join(sheet.notes)


def test_optimism_speaks_of_fresh_seeds_only_where_there_are_some(table):
    assert "Optimism" in by_name(table)["optimism"].head
    assert "+0.80 points over 8 searches" in by_name(table)["optimism"].notes[0]
    study = manifest()
    plain = by_name(main_table(study, study_records(study)))["optimism"]
    assert "Optimism" not in plain.head
    assert "cannot be told apart" in plain.intro


def test_budget_is_said_in_what_is_equal(table):
    sheet = by_name(table)["budget"]
    assert "in training steps" in sheet.intro
    first = sheet.lines[0].values
    assert (first["granted_steps"], first["tuning_steps"], first["confirmation_steps"]) == (4000, 4000, 4000)


def test_evaluated_trial_of_a_front_is_marked(table):
    lines = by_name(table)["pareto"].lines
    assert [line.cells[1] for line in lines[:3]] == ["1 (evaluated)", "2", "3"]
    assert lines[0].bold


def test_verdict_speaks_of_effects_and_of_both_ways(table):
    text = " ".join(verdict(table))
    assert "Of the 6 effects of the factorial design, none is distinguishable from noise" in text
    assert "Tuned minus inherited, in percentage points, not distinguishable from noise with 6 seeds" in text
    enough = " ".join(verdict(main_table(*rich_study(seeds=10))))
    assert "significant after Holm correction, in percentage points: queue off (+2" in enough
    assert "errs less when it is tuned itself" in enough


def test_long_lists_of_arms_are_cut_and_say_so():
    table = main_table(*rich_study(("a", "b", "c", "d")))
    assert any("and 20 more (see the table)" in s for s in verdict(table))


@pytest.mark.parametrize("conditions", [("half",), tuple(f"c{i}" for i in range(12))])
def test_every_format_renders_every_sheet(conditions):
    table = main_table(*rich_study(("a", "b", "c", "d"), conditions, seeds=2))
    found = sheets(table)
    markdown, latex = render_markdown(table), render_latex(table)
    assert all(f"## {sheet.title}" in markdown for sheet in found)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == len(conditions) + len(found)
    assert "class-wise needs queue" in markdown
    for sheet in found:
        rows = list(csv.DictReader(io.StringIO(render_sheet_csv(sheet))))
        assert len(rows) == len(sheet.lines)
        assert len(ET.fromstring(f"<div>{sheet._repr_html_()}</div>").findall("table")) == len(sheet.groups)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(*render_terminal(table))
    assert max(map(len, console.file.getvalue().splitlines())) <= 120


def test_sheets_are_frames_in_full_precision(table):
    pytest.importorskip("pandas")
    frame = by_name(table)["both-ways"].to_pandas()
    assert frame.difference.tolist() == [t.gain.mean for t in table.conditions[0].twins]


def test_hostile_text_is_shown_and_never_obeyed():
    study, records = rich_study()
    arms = tuple(replace(a, title=f"{a.title} {HOSTILE}") for a in study.arms)
    factors = tuple(replace(f, title=HOSTILE) for f in study.factorial.factors)
    hostile = replace(study, arms=arms, factorial=replace(study.factorial, factors=factors))
    hostile = replace(hostile, left_out=(LeftOut(name="=x", reason=HOSTILE),))
    table = main_table(hostile, records)
    assert "<script>" not in render_markdown(table).replace("\\<", "")
    assert "\\input" not in render_latex(table)
    assert all("<script" not in sheet._repr_html_() for sheet in sheets(table))
    assert left_out(table) == [f"=x: {HOSTILE}."]
    console = Console(file=io.StringIO(), width=200)
    console.print(*render_terminal(table))
    assert "[red]" in console.file.getvalue()
