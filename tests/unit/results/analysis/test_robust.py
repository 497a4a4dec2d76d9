import csv
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from results.analysis import robust as r
from results.analysis.main_table import main_table
from results.figures.captions.profiles import MOST_PANELS, profiles_figure
from results.report.csv import render_sheet_csv
from results.sheets.overview import sheets
from results.statistics.paired import Interval
from tests.unit.results.factories import ARMS, cell_id, evaluations, manifest, study_records

ORACLE = ("oracle-drop", "FixMatch that drops them", "oracle", "", 8.0)

ERRORS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 7), st.integers(1, 3)),
    elements=st.integers(0, 400).map(lambda n: n / 4),
)


def study_table(conditions=("half",), seeds=9, arms=(*ARMS[:3], ORACLE)):
    study = manifest(arms, seeds=range(1, seeds + 1), tuning_trials=0, conditions=conditions)
    return main_table(study, study_records(study, {arm[0]: arm[4] for arm in arms}, curves=False))


def sheet(table):
    return next((s for s in sheets(table) if s.name == "robust"), None)


@given(ERRORS)
def test_an_arm_against_itself_is_no_improvement(errors):
    assert r.improvement(errors, errors) == 0.5
    assert r.improvement_interval(errors, errors) == Interval(low=0.5, high=0.5)


@given(ERRORS, st.integers(0, 2**32 - 1))
def test_swapping_the_arms_mirrors_the_improvement(errors, seed):
    other = np.random.default_rng(seed).permuted(errors)
    assert r.improvement(errors, other) == pytest.approx(1 - r.improvement(other, errors), abs=1e-15)
    one, back = r.improvement_interval(errors, other), r.improvement_interval(other, errors)
    assert (one is None) == (back is None) == (r.improvement(errors, other) in (0, 1))
    if one is None:
        return
    assert (one.low, one.high) == pytest.approx((1 - back.high, 1 - back.low))


@given(ERRORS)
def test_intervals_and_bands_stay_within_what_was_seen(errors):
    found = r.iqm_interval(errors)
    assert errors.min() <= found.low <= found.high <= errors.max()
    taus = np.linspace(0, 100, 11)
    low, high = r.profile_band(errors, taus)
    share = r.profile(errors, taus)
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    assert (np.diff(share) >= 0).all()
    assert share[-1] == 1


def test_order_of_seeds_changes_no_summary():
    study = manifest(ARMS[:3], seeds=(3, 1, 9, 2, 5, 4, 8, 6, 7), tuning_trials=0)
    found = r.robust(main_table(study, study_records(study, curves=False)))
    assert found == r.robust(study_table(arms=ARMS[:3]))


def test_one_bad_run_does_not_carry_the_interquartile_mean():
    good = np.full(9, 8.0)
    assert r.interquartile_mean(np.append(good[1:], 90.0)) == 8.0
    assert r.interquartile_mean(np.array([1.0, 3.0])) == 2.0


def test_arms_that_are_apart_throughout_have_no_interval_of_how_often():
    low, high = np.full((9, 2), 8.0), np.full((9, 2), 20.0)
    assert (r.improvement(low, high), r.improvement(high, low)) == (1.0, 0.0)
    assert r.improvement_interval(low, high) is None
    assert r.improvement_interval(high, low) is None


def test_percentiles_go_further_out_the_fewer_seeds_there_are():
    lows = [r.tails(n)[0] for n in (2, 3, 6, 9, 30, 10_000)]
    assert lows == sorted(lows)
    assert lows[-1] == pytest.approx(0.025, abs=1e-4)
    assert all(sum(r.tails(n)) == pytest.approx(1) for n in (3, 9))
    with pytest.raises(ValueError, match="seeds: 1; an interval needs two"):
        r.tails(1)


def test_expanded_interval_of_many_seeds_is_the_percentile_interval():
    errors = np.random.default_rng(0).normal(30, 2, (400, 1))
    one, other = r.iqm_interval(errors), r.iqm_interval(errors, expanded=False)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.01)
    few = errors[:9]
    assert r.iqm_interval(few).high - r.iqm_interval(few).low > 1.1 * (
        r.iqm_interval(few, expanded=False).high - r.iqm_interval(few, expanded=False).low
    )


@pytest.mark.parametrize(
    ("conditions", "seeds", "shown"), [(("half",), 8, False), (("half",), 9, True), (("half", "most"), 3, True)]
)
def test_summaries_need_conditions_or_seeds(conditions, seeds, shown):
    assert (sheet(study_table(conditions, seeds)) is not None) is shown


def test_there_are_no_summaries_of_one_arm_or_none():
    assert r.robust(study_table(arms=ARMS[:1])) is None
    study = manifest()
    assert r.robust(main_table(study, [])) is None


def test_sheet_has_every_arm_with_its_runs():
    found = sheet(study_table(("half", "most")))
    assert [line.cells[1] for line in found.lines] == ["18"] * 4
    first, second, _, oracle = found.lines
    assert first.reference
    assert first.cells[4:] == ("", "")
    assert second.values["improvement"] > 0.9
    assert second.cells[4].endswith("%")
    assert second.values["improvement_low"] <= second.values["improvement"] <= second.values["improvement_high"]
    assert oracle.cells[0].endswith("○")
    text = " ".join(found.notes)
    assert "a seed brings all its runs along" in text
    assert "Conditions are pooled as they are" in text
    rows = list(csv.DictReader(io.StringIO(render_sheet_csv(found))))
    assert float(rows[1]["iqm"]) == second.values["iqm"]


def test_few_seeds_have_no_interval_and_the_sheet_says_so():
    found = sheet(study_table(("half", "most"), 5))
    assert {line.cells[3] for line in found.lines} == {""}
    assert any("No interval with fewer than 6 seeds" in note for note in found.notes)
    whole = r.profiles(r.robust(study_table(("half", "most"), 5)))
    assert all(np.array_equal(p.low, p.share) for p in whole)


def test_only_seeds_that_have_every_condition_count():
    arms, conditions = ARMS[:3], ("half", "most")
    study = manifest(arms, seeds=range(1, 10), tuning_trials=0, conditions=conditions)
    records = []
    for place, (arm, *_) in enumerate(arms):
        for condition in conditions:
            last = {("rsmatch", "most"): 8, (arms[2][0], "half"): 0}.get((arm, condition), 9)
            errors = {seed: 10.0 * place + seed for seed in range(1, last + 1)}
            records += evaluations(arm, errors, {}, cell=cell_id(arm, condition), condition=condition)
    found = r.robust(main_table(study, records))
    assert [len(row.errors) for row in found.rows] == [8, 9, 0]
    assert found.rows[2].iqm is None
    assert found.rows[2].improvement is None
    assert found.rows[1].improvement == 1.0
    assert [p.arm for p in r.profiles(found)] == [arms[0][0], arms[1][0]]


def test_profiles_are_drawn_with_their_data():
    found = r.robust(study_table(("half", "most")))
    data = r.profiles(found)
    figure = profiles_figure(found, data)
    assert ET.fromstring(figure.drawing.svg).tag.endswith("svg")
    assert figure.drawing.svg == profiles_figure(found, data).drawing.svg
    assert "oracle" not in figure.alt
    assert "Grey: RSMatch." in figure.caption
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert len(rows) == 3 * r.PROFILE_POINTS
    assert {row["share"] for row in rows[:: r.PROFILE_POINTS]} == {"0.0"}
    assert {row["share"] for row in rows[r.PROFILE_POINTS - 1 :: r.PROFILE_POINTS]} == {"1.0"}


def test_many_arms_are_cut_and_the_caption_says_so():
    arms = [ARMS[0], *((f"rsmatch-without-{i}", f"without {i}", "ablated", "", 9.0 + i) for i in range(MOST_PANELS))]
    found = r.robust(study_table(arms=arms))
    assert f"The first {MOST_PANELS} of {MOST_PANELS + 1} arms" in profiles_figure(found, r.profiles(found)).caption
