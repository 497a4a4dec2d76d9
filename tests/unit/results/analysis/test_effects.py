from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.effects import factorial_effects
from results.records.cell_records import select_records
from results.statistics.paired import holm, paired_difference
from tests.unit.results.factories import factorial_study

SWITCH = ("on", "off")
TWO = {"queue": SWITCH, "detector": SWITCH}
THREE = {**TWO, "synthetic": SWITCH}
FULL_TWO = list(product(range(2), repeat=2))
FULL_THREE = list(product(range(2), repeat=3))


def effects_of(factors, runs, errors, **changes):
    study, records = factorial_study(factors, runs, errors, **changes)
    return factorial_effects(study.factorial, "half", select_records(study, records))


def made_up(runs, seeds=(1, 2, 3), scatter=1.0, truth=lambda run: 0.0):
    random = np.random.default_rng(len(runs))
    return {(run, seed): 10.0 + truth(run) + scatter * random.normal() for seed in seeds for run in runs}


def by_name(found):
    return {e.name: e for e in found.effects}


def test_a_part_whose_absence_costs_errors_has_a_positive_effect():
    errors = made_up(FULL_TWO, scatter=0.0, truth=lambda run: 3.0 * run[0] - 1.0 * run[1])
    found = by_name(effects_of(TWO, FULL_TWO, errors))
    assert found["queue"].difference.mean == pytest.approx(3.0)
    assert found["detector"].difference.mean == pytest.approx(-1.0)
    assert found["queue:detector"].difference.mean == pytest.approx(0.0)
    assert found["queue"].title == "queue off"


def test_parts_that_stand_in_for_each_other_have_a_positive_interaction():
    errors = made_up(FULL_TWO, scatter=0.0, truth=lambda run: 4.0 * (run[0] and run[1]))
    found = by_name(effects_of(TWO, FULL_TWO, errors))
    assert found["queue:detector"].difference.mean == pytest.approx(4.0)
    assert found["queue"].difference.mean == pytest.approx(2.0)


def test_effects_are_tested_like_the_main_tables_differences():
    seeds = range(1, 8)
    errors = made_up(FULL_TWO, seeds, truth=lambda run: 5.0 * run[0])
    table = effects_of(TWO, FULL_TWO, errors)
    found = by_name(table)
    off = [(errors[(1, 0), s] + errors[(1, 1), s]) / 2 for s in seeds]
    on = [(errors[(0, 0), s] + errors[(0, 1), s]) / 2 for s in seeds]
    expected = paired_difference(off, on)
    assert found["queue"].difference.p == expected.p
    assert found["queue"].difference.mean == pytest.approx(expected.mean)
    assert found["queue"].difference.interval.low == pytest.approx(expected.interval.low)
    assert [e.p_holm for e in table.effects] == list(holm([e.difference.p for e in table.effects]))
    assert found["queue"].significant
    assert (table.comparisons, table.seeds, table.runs, table.combinations) == (3, 7, 4, 4)


def test_levels_of_a_value_are_compared_with_the_first():
    factors = {"queue": SWITCH, "queue_size": ("256", "16", "64")}
    runs = list(product(range(2), range(3)))
    errors = made_up(runs, scatter=0.0, truth=lambda run: (0.0, 2.0, 0.5)[run[1]] + 6.0 * (run == (1, 2)))
    found = by_name(effects_of(factors, runs, errors))
    assert found["queue_size=16"].difference.mean == pytest.approx(2.0)
    assert found["queue_size=64"].difference.mean == pytest.approx(0.5 + 3.0)
    assert found["queue:queue_size=64"].difference.mean == pytest.approx(6.0)
    assert found["queue:queue_size=16"].difference.mean == pytest.approx(0.0)
    assert found["queue_size=16"].title == "queue_size 16 instead of 256"


def test_a_combination_that_makes_no_sense_costs_its_interaction_and_says_what_rests_on_it():
    runs = [(0, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 1, 1)]  # the detector needs the queue
    errors = made_up(runs, scatter=0.0, truth=lambda run: 1.0 * run[0] + 2.0 * run[1] + 4.0 * run[2])
    table = effects_of(THREE, runs, errors)
    found = by_name(table)
    assert found["queue:detector"].problem == "no run has queue off with detector on"
    assert found["queue:detector"].difference is None
    assert found["queue"].aliased == ("queue × detector",)
    assert found["queue"].difference.mean == pytest.approx(1.0)
    assert found["detector"].difference.mean == pytest.approx(2.0)
    assert found["synthetic"].aliased == ()
    assert found["synthetic"].difference.mean == pytest.approx(4.0)
    assert table.comparisons == 5


def test_a_fraction_says_what_its_effects_cannot_be_told_from():
    runs = [(a, b, (a + b) % 2) for a, b in FULL_TWO]
    table = effects_of(THREE, runs, made_up(runs), resolution=3)
    found = by_name(table)
    assert found["queue"].aliased == ("detector × synthetic",)
    assert found["detector:synthetic"].problem == "cannot be told from queue"
    assert table.comparisons == 3


def test_a_fraction_of_resolution_four_keeps_main_effects_clear():
    runs = [(a, b, c, (a + b + c) % 2) for a, b, c in FULL_THREE]
    factors = {**THREE, "memory": SWITCH}
    errors = made_up(runs, scatter=0.0, truth=lambda run: 1.0 * run[0] + 2.0 * run[3] + 3.0 * (run[0] and run[1]))
    found = by_name(effects_of(factors, runs, errors, resolution=4))
    assert all(not found[n].aliased for n in factors)
    assert found["memory"].difference.mean == pytest.approx(2.0)
    assert found["queue:detector"].aliased == ("synthetic × memory",)
    assert found["queue:detector"].difference.mean == pytest.approx(3.0)
    assert found["synthetic:memory"].problem == "cannot be told from queue × detector"


def test_a_failed_run_costs_only_the_effects_that_its_seed_cannot_tell():
    errors = made_up(FULL_THREE, truth=lambda run: 2.0 * run[0], seeds=range(1, 5))
    del errors[(1, 1, 1), 2]
    found = effects_of(THREE, FULL_THREE, errors)
    assert {e.difference.n for e in found.effects} == {
        4
    }  # without the interaction of three, seven runs tell all six effects
    saturated = made_up(FULL_TWO, seeds=range(1, 5))
    del saturated[(1, 1), 2]
    found = effects_of(TWO, FULL_TWO, saturated)
    assert {e.difference.n for e in found.effects} == {3}
    assert [s for s, _ in found.effects[0].by_seed] == [1, 3, 4]


def test_nothing_evaluated_yet_gives_effects_without_numbers():
    study, _ = factorial_study(TWO, FULL_TWO, made_up(FULL_TWO))
    found = factorial_effects(study.factorial, "half", select_records(study, []))
    assert [e.difference for e in found.effects] == [None] * 3
    assert (found.seeds, found.comparisons) == (0, 3)


def test_a_factor_that_never_varies_says_so():
    runs = [(0, 0), (1, 0)]
    found = by_name(effects_of(TWO, runs, made_up(runs)))
    assert found["detector"].problem == "no run has detector off"
    assert found["queue"].difference is not None


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(8)), st.sets(st.integers(0, 7), max_size=2))
def test_order_of_runs_does_not_matter(order, lost):
    errors = made_up(FULL_THREE, truth=lambda run: run[0] + 2 * run[1])
    for place in lost:
        del errors[FULL_THREE[place], 1]
    one = by_name(effects_of(THREE, FULL_THREE, errors))
    other = by_name(effects_of(THREE, [FULL_THREE[i] for i in order], errors))
    for name, effect in one.items():
        assert effect.difference.mean == pytest.approx(other[name].difference.mean, abs=1e-9)
        assert effect.p_holm == pytest.approx(other[name].p_holm)
