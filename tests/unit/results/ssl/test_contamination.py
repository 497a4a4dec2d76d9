import csv
import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from scipy import stats

from results.analysis.main_table import main_table
from results.figures.captions.contamination import contamination_figure
from results.figures.of_study import study_figures
from results.records.manifest import ConditionInfo
from results.sheets.overview import sheets
from results.ssl.contamination import contamination_responses
from results.statistics.paired import holm
from tests.unit.results.factories import cell_id, evaluations, manifest

SEEDS = (1, 2, 3, 4, 5, 6)
ARMS = (
    ("rsmatch", "RSMatch", "full", "", 0.0),
    ("fixmatch", "FixMatch", "baseline", "", 0.0),
    ("oracle-drop", "Drop", "oracle", "", 0.0),
)
RATIOS = {"none": 0.0, "some": 0.4, "most": 0.9}
BLOCK = {1: 0.0, 2: 0.7, 3: -0.4, 4: 1.1, 5: -0.9, 6: 0.3}
"""What a seed does to every arm."""
RISES = {"rsmatch": (0.5, 1.0), "fixmatch": (2.0, 3.0), "oracle-drop": (-0.25, 0.25)}
"""By arm: the rise of seeds with an odd and with an even number."""


def condition(name, ratio, real_only="", **fields):
    return ConditionInfo(
        name=name, title=f"{name} synthetic", fields={"contamination": ratio, **fields}, real_only=real_only
    )


CONDITIONS = tuple(condition(n, r, "none" if r else "", domain_gap=0.7 if r else 0.0) for n, r in RATIOS.items())


def errors_at(arm, ratio, seeds=SEEDS):
    return {s: 10 + BLOCK[s] + ratio / 0.9 * RISES[arm][s % 2 == 0] for s in seeds}


ERRORS = {c: {arm: errors_at(arm, r) for arm in RISES} for c, r in RATIOS.items()}


def study(conditions=CONDITIONS, arms=ARMS):
    names = [c.name for c in conditions]
    return replace(manifest(arms, seeds=SEEDS, tuning_trials=0, conditions=names), conditions=tuple(conditions))


def responses(conditions=CONDITIONS, errors=ERRORS, arms=ARMS):
    return contamination_responses(study(conditions, arms), errors)


def table(errors=ERRORS, conditions=CONDITIONS):
    one = study(conditions)
    records = [
        r
        for c, by_arm in errors.items()
        for arm, by_seed in by_arm.items()
        for r in evaluations(arm, by_seed, {}, cell=cell_id(arm, c), condition=c)
    ]
    return one, main_table(one, records)


def test_a_rise_is_between_the_ends_in_pairs_over_seeds():
    (found,) = responses()
    assert (found.title, found.ratios, found.reference) == ("", (0.0, 0.4, 0.9), "rsmatch")
    assert [a.arm for a in found.arms] == ["rsmatch", "fixmatch", "oracle-drop"]
    for arm in found.arms:
        first, second = RISES[arm.arm]
        assert [rise for _, rise in arm.rises] == pytest.approx([first, second] * 3)
        assert arm.rise.mean == pytest.approx((first + second) / 2)
        expected = stats.ttest_1samp([first, second] * 3, 0).confidence_interval(0.95)
        assert (arm.rise.interval.low, arm.rise.interval.high) == pytest.approx(tuple(expected))


def test_a_difference_of_rises_takes_the_full_methods_away_seed_by_seed():
    (found,) = responses()
    full, other, oracle = found.arms
    assert full.steeper is None
    assert other.steeper.mean == pytest.approx((1.5 + 2.0) / 2)
    assert oracle.steeper.mean == pytest.approx(-0.75)
    expected = stats.ttest_1samp([1.5, 2.0] * 3, 0).confidence_interval(0.95)
    assert (other.steeper.interval.low, other.steeper.interval.high) == pytest.approx(tuple(expected))


def test_p_is_corrected_over_methods_and_oracles_are_not_tested():
    full, other, oracle = responses()[0].arms
    assert (full.rise_p_holm, other.rise_p_holm, oracle.rise_p_holm) == (*holm([1 / 32, 1 / 32]), None)
    assert (full.steeper_p_holm, other.steeper_p_holm, oracle.steeper_p_holm) == (None, 1 / 32, None)
    assert other.steeper_significant
    assert not oracle.steeper_significant
    half = {**ERRORS, "most": {**ERRORS["most"], "fixmatch": {}}}
    full, other, _ = responses(errors=half)[0].arms
    assert full.rise_p_holm == 2 / 32  # the arm that is still to come counts
    assert (other.rise, other.rise_p_holm, other.steeper, other.rises) == (None, None, None, ())


def test_only_seeds_that_both_ends_have_count():
    most = {
        **ERRORS["most"],
        "fixmatch": errors_at("fixmatch", 0.9, (2, 3)),
        "rsmatch": errors_at("rsmatch", 0.9, (1, 2)),
    }
    full, other, _ = responses(errors={**ERRORS, "most": most})[0].arms
    assert [s for s, _ in full.rises] == [1, 2]
    assert [s for s, _ in other.rises] == [2, 3]
    assert other.steeper.n == 1
    assert [p.error.n for p in other.points] == [6, 6, 2]


def test_an_error_cannot_be_above_a_hundred():
    errors = {c: {"rsmatch": {1: 99.0, 2: 100.0}} for c in RATIOS}
    for point in responses(errors=errors)[0].arms[0].points:
        assert point.error.interval.high == 100.0


def test_conditions_that_differ_in_something_else_are_sets_of_their_own():
    conditions = (
        condition("none", 0.0, domain_gap=0.0, labels=4),
        condition("some", 0.4, "none", domain_gap=0.7, labels=4),
        condition("most", 0.9, "none", domain_gap=0.7, labels=4),
        condition("flat", 0.9, "none", domain_gap=0.0, labels=4),
        condition("labels", 0.9, "", domain_gap=0.7, labels=8),
    )
    first, second = responses(conditions, {c.name: {"rsmatch": {1: 9.0}} for c in conditions})
    assert [p.condition for p in first.arms[0].points] == ["none", "some", "most"]
    assert first.title == "domain gap 0.7"
    assert [p.condition for p in second.arms[0].points] == ["none", "flat"]
    assert second.title == "flat synthetic"


def test_without_two_shares_there_is_no_response():
    assert responses(CONDITIONS[:1]) == ()
    assert responses((CONDITIONS[0], condition("other", 0.5, domain_gap=0.7)), {}) == ()
    assert responses((ConditionInfo(name="none", title=""), ConditionInfo(name="most", title="")), {}) == ()


def test_the_sheet_has_a_row_for_each_arm_and_says_which_shares():
    _, found = table()
    (sheet,) = [s for s in sheets(found) if s.name == "rises"]
    assert "from 0% to 90%" in sheet.intro
    assert [line.cells[:3] for line in sheet.lines] == [
        ("RSMatch", "6", "+0.75"),
        ("FixMatch", "6", "+2.50"),
        ("Drop", "6", "0.00"),
    ]
    assert [line.cells[6] for line in sheet.lines] == ["reference", "+1.75", "−0.75"]
    assert [line.bold for line in sheet.lines] == [False, True, False]
    assert not [note for note in sheet.notes if "however large" in note]
    assert found.answers()["contamination"][0]["arms"][1]["steeper"]["mean"] == pytest.approx(1.75)


def test_the_sheet_says_when_the_seeds_are_too_few():
    few = {c: {arm: errors_at(arm, r, SEEDS[:4]) for arm in RISES} for c, r in RATIOS.items()}
    (sheet,) = [s for s in sheets(table(few)[1]) if s.name == "rises"]
    assert "With 4 seeds no difference of rises, however large" in sheet.notes[-1]
    assert "6 seeds would be needed" in sheet.notes[-1]
    assert not [s for s in sheets(table({"none": ERRORS["none"]})[1]) if s.name == "rises"]


def test_the_figure_is_drawn_with_all_arms_and_has_its_data(tmp_path):
    one, found = table()
    names = [f.name for f in study_figures(one, found, {}, tmp_path).figures]
    assert names[0] == "contamination"
    assert not set(names) & {s.name for s in sheets(found)}  # both are anchors of one page
    figure = contamination_figure(found.contamination[0])
    assert ET.fromstring(figure.drawing.svg).tag == "{http://www.w3.org/2000/svg}svg"
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert len(rows) == 9
    assert float(rows[-1]["mean"]) == pytest.approx(sum(ERRORS["most"]["oracle-drop"].values()) / 6)
    assert "FixMatch: 10.13% at 0%" in figure.alt
    assert "Two shares" not in figure.caption
    two = contamination_figure(responses((CONDITIONS[0], CONDITIONS[2]))[0])
    assert "Two shares were measured" in two.caption
    (axes,) = two.drawing.figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [arm.title for arm in found.contamination[0].arms]


def test_many_arms_have_a_panel_each():
    many = (*ARMS[:1], *((f"arm{i}", f"Arm {i}", "baseline", "", 0.0) for i in range(7)))
    errors = {c: {name: {s: 10 + BLOCK[s] + r for s in SEEDS} for name, *_ in many} for c, r in RATIOS.items()}
    (found,) = responses(errors=errors, arms=many)
    figure = contamination_figure(found)
    said = [text.get_text() for text in figure.drawing.figure.axes[0].texts]
    assert {arm.title for arm in found.arms} <= set(said)
    assert said.count("test error, %") == 2
    single = {c: {name: {1: 10.0 + r} for name, *_ in many} for c, r in RATIOS.items()}  # no band, but a line
    assert contamination_figure(responses(errors=single, arms=many)[0]).drawing.svg
