import csv
import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from scipy import stats

from results.analysis.cumulative_path import add_one_in_path, arms_of_path
from results.analysis.main_table import main_table
from results.figures.captions.cumulative_path import path_figure
from results.figures.of_study import study_figures
from results.records.manifest import ArmInfo, LeftOut
from results.sheets.overview import sheets
from results.statistics.paired import holm
from tests.unit.results.factories import evaluations, manifest

SEEDS = (1, 2, 3, 4, 5, 6)
PARTS = ("queue", "class-wise", "detector")


def arm(name, off, **changes):
    role = "ablated" if off else "full"
    return ArmInfo(name=name, title=f"title of {name}", algorithm="rsmatch", role=role, off=tuple(off), **changes)


FULL = arm("rsmatch", ())
BARE = arm("rsmatch-bare", PARTS)
ONE = arm("rsmatch-bare+detector", ("queue", "class-wise"))
TWO = arm("rsmatch-bare+queue+detector", ("class-wise",))
OTHER = ArmInfo(name="fixmatch", title="FixMatch", algorithm="fixmatch", role="baseline")
LAST = LeftOut(name="rsmatch-bare+queue+class-wise+detector", reason="the full method", same_as="rsmatch")
GAINS = {"rsmatch-bare": 0.0, ONE.name: -2.0, TWO.name: -2.0, "rsmatch": -2.5}
ERRORS = {name: {s: 20 + s + gain + 0.1 * (s % 2) * (gain < -2) for s in SEEDS} for name, gain in GAINS.items()}


def study(*arms, left_out=(LAST,), seeds=SEEDS):
    one = manifest([(a.name, a.title, a.role, "", 0.0) for a in arms], seeds=seeds, tuning_trials=0)
    return replace(one, arms=arms, left_out=left_out)


CUMULATIVE = study(FULL, BARE, ONE, TWO, OTHER)


def test_the_path_goes_from_the_bare_method_to_the_full_one():
    assert [a.name for a in arms_of_path(CUMULATIVE)] == [BARE.name, ONE.name, TWO.name, "rsmatch"]
    found = add_one_in_path(CUMULATIVE, {})
    assert [s.added for s in found.arms] == [(), ("detector",), ("queue",), ("class-wise",)]
    assert [s.label for s in found.arms] == ["title of rsmatch-bare", "+ detector", "+ queue", "+ class-wise"]
    assert [s.difference for s in found.arms] == [None] * 4


def test_an_arm_that_another_design_runs_under_its_own_name_is_on_the_path():
    without = arm("rsmatch-without-class-wise", ("class-wise",))
    same = LeftOut(name=TWO.name, reason="the same", same_as=without.name)
    nonsense = LeftOut(name="rsmatch-bare+class-wise", reason="class-wise needs queue")
    found = arms_of_path(study(FULL, without, BARE, ONE, left_out=(same, nonsense, LAST)))
    assert [a.name for a in found] == [BARE.name, ONE.name, without.name, "rsmatch"]


def test_arms_that_are_run_both_ways_stand_on_the_path_once():
    both = [a for one in (BARE, ONE, TWO) for a in twice(one)]
    assert [a.name for a in arms_of_path(study(FULL, *both))] == [BARE.name, ONE.name, TWO.name, "rsmatch"]


def twice(one):
    name = f"{one.name}-inherited"
    return replace(one, twin=name), replace(one, name=name, tuning="inherited", twin=one.name)


def test_parts_that_are_each_added_to_the_bare_method_are_no_path():
    single = arm("rsmatch-bare+queue", ("class-wise", "detector"))
    assert arms_of_path(study(FULL, BARE, ONE, single)) == ()


def test_other_designs_have_no_path():
    leave_one_out = [arm(f"rsmatch-without-{p}", PARTS[:1] if p == "queue" else PARTS[:2]) for p in PARTS[:2]]
    assert arms_of_path(study(FULL, *leave_one_out, left_out=())) == ()
    assert arms_of_path(manifest()) == ()
    assert arms_of_path(study(FULL, ONE, TWO)) == ()  # without its beginning
    assert add_one_in_path(manifest(), {}) is None


def test_each_arm_is_compared_with_the_one_before_in_pairs():
    found = add_one_in_path(CUMULATIVE, ERRORS)
    first, one, two, full = found.arms
    assert (first.difference, first.p_holm) == (None, None)
    assert [s.difference.mean for s in (one, two, full)] == pytest.approx([-2.0, 0.0, -0.45])
    p = [2 / 64, 1.0, 2 / 64]
    assert [s.difference.p for s in (one, two, full)] == p
    assert [s.p_holm for s in (one, two, full)] == list(holm(p))
    expected = stats.ttest_rel(list(ERRORS["rsmatch"].values()), list(ERRORS[TWO.name].values()))
    bounds = expected.confidence_interval(0.95)
    assert (full.difference.interval.low, full.difference.interval.high) == pytest.approx(tuple(bounds))
    assert (found.comparisons, found.pairs) == (3, 6)


def test_an_addition_still_to_come_counts_in_the_correction_and_only_shared_seeds_are_paired():
    errors = {**ERRORS, TWO.name: {}, ONE.name: {s: ERRORS[ONE.name][s] for s in (2, 3)}}
    _, one, two, full = add_one_in_path(CUMULATIVE, errors).arms
    assert one.difference.n == 2
    assert one.p_holm == 1.0
    assert (two.error, two.difference, full.difference) == (None, None, None)
    assert full.error.n == 6


def table(errors=ERRORS):
    return main_table(CUMULATIVE, [r for name, by_seed in errors.items() for r in evaluations(name, by_seed, {})])


def test_the_sheet_has_a_row_for_each_arm():
    (sheet,) = [s for s in sheets(table()) if s.name == "additions"]
    assert [(line.cells[0], line.cells[4]) for line in sheet.lines] == [
        ("title of rsmatch-bare", ""),
        ("+ detector", "−2.00"),
        ("+ queue", "0.00"),
        ("+ class-wise", "−0.45"),
    ]
    assert "With 6 seeds no change, however large" in sheet.notes[-1]
    assert not any(line.bold for line in sheet.lines)
    assert table().answers()["conditions"][0]["path"]["arms"][1]["added"] == ("detector",)
    plain = manifest()
    assert not [s for s in sheets(main_table(plain, [])) if s.name == "additions"]


def test_the_figure_is_drawn_and_has_its_data(tmp_path):
    names = {f.name for f in study_figures(CUMULATIVE, table(), {}, tmp_path).figures}
    assert "path" in names
    assert not names & {s.name for s in sheets(table())}  # both are anchors of one page
    assert "path" not in [f.name for f in study_figures(CUMULATIVE, table({}), {}, tmp_path).figures]
    figure = path_figure(table({**ERRORS, TWO.name: {}}).conditions[0].path)
    assert ET.fromstring(figure.drawing.svg).tag == "{http://www.w3.org/2000/svg}svg"
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert [r["place"] for r in rows] == ["0"] * 6 + ["1"] * 6 + ["3"] * 6
    assert "+ detector 21.50%" in figure.alt
