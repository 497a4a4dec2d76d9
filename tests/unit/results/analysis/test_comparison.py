import csv
import io
import math
import statistics
import xml.etree.ElementTree as ET

import pytest

from results.analysis.comparison import comparison, lead, leads, rank_diagram, spread
from results.analysis.main_table import main_table
from results.figures.captions.ranks import ranks_figure
from results.report.csv import render_sheet_csv
from results.report.latex import render_latex
from results.report.markdown import render_markdown
from results.sheets.overview import sheets
from results.statistics.paired import paired_difference
from results.statistics.ranks import conditions_needed, critical_difference
from tests.unit.results.factories import ARMS, cell_id, evaluations, manifest

SEEDS = range(1, 10)
NOISE = (0.3, -0.2, 0.1, 0.0, -0.4, 0.25, -0.1, 0.15, -0.05)
ORACLE = ("oracle-drop", "FixMatch that drops them", "oracle", "", 1.0)


def errors(mean, swing=1.0):
    return {seed: mean + swing * noise for seed, noise in zip(SEEDS, NOISE, strict=True)}


def table(by_condition, arms=ARMS[:3]):
    """`by_condition`: errors by arm and seed under each condition; what is missing was not run."""
    study = manifest(arms, seeds=SEEDS, tuning_trials=0, conditions=tuple(by_condition))
    return main_table(
        study,
        [
            record
            for condition, found in by_condition.items()
            for arm, by_seed in found.items()
            for record in evaluations(arm, by_seed, {}, cell=cell_id(arm, condition), condition=condition)
        ],
    )


def names(arms=ARMS[:3]):
    return [arm[0] for arm in arms]


def by_name(found):
    return {sheet.name: sheet for sheet in sheets(found)}


def two_conditions():
    """RSMatch is clearly the best of the first condition, and by one seed's noise that of the second."""
    a, b, c = names()
    clear = {a: errors(8), b: errors(9, 1.5), c: errors(10, 0.5), "oracle-drop": errors(1)}
    close = {a: errors(8), b: errors(8.05, -2), c: errors(10, 0.5), "oracle-drop": errors(1)}
    return table({"half": clear, "most": close}, (*ARMS[:3], ORACLE))


def many_conditions(conditions, arms=ARMS[:4]):
    order = names(arms)
    return table(
        {f"c{i}": {arm: errors(8 + place) for place, arm in enumerate(order)} for i in range(conditions)}, arms
    )


def test_spread_is_the_sample_standard_deviation():
    found = spread(errors(8))
    assert (found.n, found.mean) == (9, pytest.approx(statistics.fmean(errors(8).values())))
    assert found.std == pytest.approx(statistics.stdev(errors(8).values()))
    assert spread({1: 8.0}).std is None
    assert spread({}) is None


def test_best_arm_is_clear_only_where_every_difference_holds():
    clear, close = leads(comparison(two_conditions()))
    assert (clear.arm, clear.runner_up, clear.clear) == ("rsmatch", "rsmatch-without-detector", True)
    assert (close.arm, close.clear) == ("rsmatch", False)


def test_an_arm_that_was_not_run_yet_may_still_be_the_best():
    assert lead({"a": errors(8), "b": errors(10)}).clear
    assert not lead({"a": errors(8), "b": errors(10), "c": {}}).clear
    assert lead({"a": errors(8), "b": {}}) is None


def test_best_on_average_but_not_on_the_shared_seeds_is_not_clear():
    lucky = dict.fromkeys(range(1, 9), 8.0)
    other = {**dict.fromkeys(range(1, 9), 7.9), 9: 20.0}
    found = lead({"a": lucky, "b": other})
    assert found.arm == "a"
    assert paired_difference(list(other.values())[:8], list(lucky.values())).p <= 0.05
    assert not found.clear


def test_every_difference_must_hold_after_correction():
    noise = {
        seed: 0.3 if seed == 1 else 0.5 for seed in SEEDS
    }  # one sign changes: p = 0.0195 with two of 512 flips a step
    best = dict.fromkeys(SEEDS, 8.0)
    near = {seed: 8.0 + (-0.05 if seed == 1 else gap) for seed, gap in noise.items()}
    p = paired_difference(list(near.values()), list(best.values())).p
    assert p <= 0.05 < 9 * p
    assert lead({"a": best, "b": near}).clear
    assert not lead({"a": best, **{f"b{i}": near for i in range(9)}}).clear


def test_few_seeds_make_no_arm_clear():
    few = dict.fromkeys(range(1, 6), 0.0)
    assert not lead({"a": few, "b": dict.fromkeys(few, 50.0)}).clear


def test_ranks_are_averaged_and_oracles_have_none():
    found = comparison(two_conditions())
    assert [arm.rank for arm in found.arms] == [1.0, 2.0, 3.0, None]
    assert found.ranking.conditions == 2


def test_an_arm_that_lacks_a_condition_has_no_rank_and_changes_no_other():
    a, b, c = names()
    found = comparison(
        table({"half": {a: errors(8), b: errors(7), c: errors(9)}, "most": {a: errors(8), c: errors(9)}})
    )
    assert [arm.rank for arm in found.arms] == [1.0, None, 2.0]


def test_conditions_without_results_are_left_out():
    a, b, _ = names()
    found = comparison(table({"half": {a: errors(8), b: errors(7)}, "most": {}}))
    assert [c.condition for c in found.conditions] == ["half"]
    assert found.ranking is None


def test_overview_has_means_deviations_and_bold_cells():
    sheet = by_name(two_conditions())["overview"]
    assert sheet.head == (
        "Arm",
        *(f"digits, 4 labels per class, {c} synthetic" for c in ("half", "most")),
        "Average rank",
    )
    first, second, third, oracle = sheet.lines
    assert first.cells == ("RSMatch", "8.01 ± 0.22", "8.01 ± 0.22", "1.00")
    assert third.cells[1] == "10.00 ± 0.11*"
    assert oracle.cells[0].endswith("○")
    assert oracle.cells[-1] == "–"
    assert [line.strong for line in sheet.lines] == [{1}, set(), set(), set()]
    text = " ".join(sheet.notes)
    assert "In 1 of 2 conditions the data do not tell which arm is best" in text
    assert "Oracles have none." in text
    assert "over 9 seeds" in sheet.intro
    assert (first.values["half"], first.values["half: best"]) == (pytest.approx(8 + sum(NOISE) / 9), True)
    assert second.values["most: best"] is False


def test_bold_cells_are_bold_in_every_format():
    found = two_conditions()
    assert "| **RSMatch** | **8.01 ± 0.22** | 8.01 ± 0.22 | 1.00 |" in render_markdown(found)
    assert r"RSMatch & \textbf{8.01 \ensuremath{\pm} 0.22} & 8.01 \ensuremath{\pm} 0.22 & 1.00" in render_latex(found)
    page = ET.fromstring(f"<div>{by_name(found)['overview']._repr_html_()}</div>")
    assert [cell.text for cell in page.iter("b")][1:] == ["8.01 ± 0.22"]


def test_missing_seeds_are_marked():
    a, b, c = names()
    short = {seed: error for seed, error in errors(9).items() if seed < 6}
    found = table({"half": {a: errors(8), b: short, c: {}}, "most": {a: errors(8), b: {1: 9.0}, c: errors(9)}})
    sheet = by_name(found)["overview"]
    assert sheet.lines[1].cells[1:3] == ("8.96 ± 0.27†", "9.00†")
    assert sheet.lines[2].cells[1] == "–"
    assert "over 1 to 9 seeds" in sheet.intro
    assert any(note.startswith("†") for note in sheet.notes)
    assert any("Arms without a result in some condition have none" in note for note in sheet.notes)


@pytest.mark.parametrize("by_condition", [{"half": {}, "most": {}}, {"half": {"rsmatch": errors(8)}, "most": {}}])
def test_there_is_no_overview_before_two_arms_under_two_conditions(by_condition):
    assert "overview" not in by_name(table(by_condition))


def test_few_conditions_are_ranked_and_not_tested():
    found = many_conditions(3)
    assert rank_diagram(comparison(found)) is None
    assert "ranks" not in by_name(found)
    note = by_name(found)["overview"].notes[1]
    assert "Ranks describe these 3 conditions and are no test" in note
    assert f"{conditions_needed(4)} conditions would be needed" in note
    assert "2.71 ranks apart to differ, of 3 that are possible" in note
    assert "more than are possible" in by_name(many_conditions(2))["overview"].notes[1]


def test_two_arms_are_not_ranked_against_a_field():
    found = many_conditions(20, ARMS[:2])
    assert rank_diagram(comparison(found)) is None
    assert "in how many conditions each was ahead" in by_name(found)["overview"].notes[1]


def test_enough_conditions_have_a_test_and_a_diagram():
    n = conditions_needed(4)
    found = many_conditions(n)
    assert rank_diagram(comparison(many_conditions(n - 1))) is None
    diagram = rank_diagram(comparison(found))
    assert diagram.ranks == (1.0, 2.0, 3.0, 4.0)
    assert diagram.critical_difference == critical_difference(4, n)
    assert diagram.bars == ((0, 1), (1, 2), (2, 3))
    sheet = by_name(found)["ranks"]
    assert [line.cells[1] for line in sheet.lines] == ["1.00", "2.00", "3.00", "4.00"]
    assert [line.bold for line in sheet.lines] == [False, False, True, True]
    assert sheet.lines[0].values["p_nemenyi"] is None
    assert sheet.lines[3].values["p_wilcoxon"] == 2 / 2**n
    assert "Friedman's test over 10 conditions: p = <0.001" in by_name(found)["overview"].notes[1]


def test_diagram_is_drawn_with_its_data():
    data = rank_diagram(comparison(many_conditions(10)))
    figure = ranks_figure(data)
    assert ET.fromstring(figure.drawing.svg).tag.endswith("svg")
    assert figure.drawing.svg == ranks_figure(data).drawing.svg
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert [row["groups"] for row in rows] == ["1", "1 2", "2 3", "3"]
    assert math.isclose(float(rows[0]["critical_difference"]), data.critical_difference)
    assert "Not told apart: RSMatch, RSMatch without detector;" in figure.alt


def test_overview_is_written_in_full_precision():
    rows = list(csv.DictReader(io.StringIO(render_sheet_csv(by_name(two_conditions())["overview"]))))
    assert float(rows[0]["half: std"]) == pytest.approx(statistics.stdev(errors(8).values()), rel=1e-14)
    assert [row["half: best"] for row in rows] == ["True", "False", "False", "False"]
