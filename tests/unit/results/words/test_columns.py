import dataclasses

import pytest

from results.analysis.main_table import main_table
from results.report.markdown import render_markdown
from results.report.terminal import render_terminal
from results.words.columns import COLUMNS, FULL, PRESETS, StyleError, TableStyle, parse_style
from results.words.numbers import best_arm, decimals_for, display_rows, precision
from tests.unit.results.factories import ARMS, evaluations, manifest, study_records

THREE = [arm for arm in ARMS if arm[0] in ("rsmatch", "rsmatch-without-queue", "fixmatch")]


def table_of(errors, seeds=8):
    study = manifest(THREE, seeds=range(1, seeds + 1), tuning_trials=0)
    records = [r for arm, values in errors.items() for r in evaluations(arm, dict(enumerate(values, 1)), {})]
    return main_table(study, records).conditions[0]


@pytest.mark.parametrize(
    ("widths", "decimals"),
    [
        ([4.4], 1),
        ([0.95], 2),
        ([1.0], 1),
        ([0.035], 3),
        ([12.0, 30.0, 11.0], 0),
        ([0.0, 0.2], 2),
        ([], 2),
        ([1e-9], 4),
        ([400.0], 0),
    ],
)
def test_decimals_show_two_digits_of_the_half_width(widths, decimals):
    assert decimals_for(widths) == decimals


def test_errors_and_differences_have_the_decimals_of_their_own_intervals():
    base = [10.0, 30.0, 20.0, 25.0, 15.0, 12.0, 28.0, 18.0]
    table = table_of({"rsmatch": base, "fixmatch": [b + 1 + 0.01 * i for i, b in enumerate(base)]})
    digits = precision(table)
    assert (digits.error, digits.difference) == (1, 3)
    row = next(r for r in display_rows(table) if r.title == "FixMatch")
    assert (row.error, row.difference) == ("20.8", "+1.035")
    assert row.error_std == "20.8 ± 7.4"
    assert next(r for r in display_rows(table, 0) if r.title == "FixMatch").difference == "+1"


def test_the_best_arm_is_named_only_where_it_is_more_than_noise():
    base = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    worse = [b + 2 + i / 10 for i, b in enumerate(base)]
    shaky = [b + (1 if i % 2 else -0.5) for i, b in enumerate(base)]
    others = ["rsmatch-without-queue"]
    assert best_arm(table_of({"rsmatch": base, "fixmatch": worse} | dict.fromkeys(others, worse))) == "rsmatch"
    assert best_arm(table_of({"rsmatch": base, "fixmatch": shaky} | dict.fromkeys(others, worse))) is None
    assert best_arm(table_of({"rsmatch": worse, "fixmatch": base} | dict.fromkeys(others, worse))) == "fixmatch"
    assert best_arm(table_of({"rsmatch": base})) is None
    table = table_of({"rsmatch": base, "fixmatch": worse} | dict.fromkeys(others, worse))
    assert [row.title for row in display_rows(table) if row.best] == ["RSMatch"]


def test_an_oracle_is_never_the_best_arm():
    base = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    table = table_of({"rsmatch": [b + 3 for b in base], "fixmatch": base})
    rows = tuple(dataclasses.replace(r, role="oracle") if r.arm == "fixmatch" else r for r in table.rows)
    assert best_arm(dataclasses.replace(table, rows=rows)) is None


def test_styles_are_presets_or_columns():
    assert parse_style("paper").columns == PRESETS["paper"]
    assert parse_style("error, holm,error", 3) == TableStyle(("error", "holm"), 3)
    assert [c.name for c in TableStyle().chosen(FULL)] == list(FULL)
    assert set(FULL) <= set(COLUMNS)
    for wrong in ("papre", "error,hlm", "", ","):
        with pytest.raises(StyleError):
            parse_style(wrong)


def test_markdown_has_the_columns_asked_for():
    study = manifest()
    text = render_markdown(main_table(study, study_records(study)), parse_style("std"))
    assert "| Arm | Seeds | Test error, %, mean ± std | Holm p |" in text
    assert "± the standard deviation of single runs" in text
    assert "Holm p: corrected over" in text
    for absent in ("Tuning:", "Difference:", "Cohen's d", "Steps and time:"):
        assert absent not in text.partition("## How")[0], "what is not a column needs no note"


@pytest.mark.parametrize("style", ["short", "std", "error,steps"])
def test_the_terminal_has_the_columns_asked_for(style):
    study = manifest()
    (view, *_) = render_terminal(main_table(study, study_records(study)), parse_style(style))
    assert [str(c.header) for c in view.columns] == ["arm", *(COLUMNS[n].brief for n in parse_style(style).columns)]
    assert ("difference: arm minus" in str(view.caption)) == (style == "short")


def test_options_ask_for_the_same_style_again():
    assert TableStyle().options == ""
    assert parse_style("paper", 1).options == " --style paper --decimals 1"
    assert parse_style("error,holm").options == " --style error,holm"
    assert TableStyle(decimals=0).options == " --decimals 0"
