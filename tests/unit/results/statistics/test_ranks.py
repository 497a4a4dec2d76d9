import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from results.statistics import ranks as r

ERRORS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 8), st.integers(2, 6)),
    elements=st.integers(0, 400).map(lambda n: n / 4),
)


@given(ERRORS, st.randoms(use_true_random=False))
def test_order_of_conditions_and_names_of_arms_do_not_matter(errors, random):
    rows, columns = list(range(len(errors))), list(range(errors.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    one, other = r.friedman(errors), r.friedman(errors[rows][:, columns])
    assert [one.average_ranks[c] for c in columns] == pytest.approx(other.average_ranks)
    assert one.p == pytest.approx(other.p)


@given(ERRORS)
def test_ranks_of_a_condition_sum_to_what_they_must(errors):
    found = r.ranks(errors)
    arms = errors.shape[1]
    assert np.array_equal(found.sum(axis=1), np.full(len(errors), arms * (arms + 1) / 2))
    assert found.min() >= 1
    assert found.max() <= arms


def test_rounding_makes_no_order():
    assert r.ranks([[0.1 + 0.2, 0.3, 1.0]]).tolist() == [[1.5, 1.5, 3.0]]


def test_conditions_that_all_agree_are_no_surer_than_a_permutation_test():
    found = r.friedman([[1.0, 2.0, 3.0]] * 3)
    assert math.isinf(found.f)
    assert found.p == pytest.approx(1 / 36)  # (3!)^(1 - 3)


def test_conditions_in_which_all_arms_tie_show_nothing():
    found = r.friedman([[5.0, 5.0, 5.0]] * 4)
    assert (found.chi_square, found.p, found.chi_square_p) == (0.0, 1.0, 1.0)
    assert all(pair.p == 1 for pair in r.wilcoxon_pairs([[5.0, 5.0, 5.0]] * 4))


@pytest.mark.parametrize("errors", [[[1.0, 2.0]], [[1.0], [2.0]], [], [[]], [[1.0, math.nan], [1.0, 2.0]]])
def test_what_cannot_be_ranked_is_refused(errors):
    with pytest.raises(ValueError, match="errors: "):
        r.friedman(errors)


@pytest.mark.parametrize(("arms", "conditions", "named"), [(1, 5, "arms: 1"), (3, 0, "conditions: 0")])
def test_critical_difference_needs_two_arms_and_a_condition(arms, conditions, named):
    with pytest.raises(ValueError, match=named):
        r.critical_difference(arms, conditions)


@pytest.mark.parametrize("arms", [2, 3, 4, 9, 30])
def test_conditions_needed_is_the_smallest_number_that_tells_first_from_the_middle(arms):
    n = r.conditions_needed(arms)
    assert r.critical_difference(arms, n) <= (arms - 1) / 2 < r.critical_difference(arms, n - 1)


def test_two_ranks_at_the_critical_difference_have_p_alpha():
    assert r.nemenyi_p(r.critical_difference(6, 12), 6, 12) == pytest.approx(0.05, abs=1e-6)
    assert r.nemenyi_p(0.0, 6, 12) == pytest.approx(1.0)


def test_cliques_are_the_largest_groups_and_no_singles():
    assert r.cliques([3.0, 1.0, 2.0, 5.0], 1.5) == ((1, 2), (2, 0))
    assert r.cliques([3.0, 1.0, 2.0], 5.0) == ((1, 2, 0),)
    assert r.cliques([1.0, 5.0, 9.0], 1.0) == ()
    assert r.cliques([1.0, 2.0], 1.0) == ()  # as far apart as it takes


def test_signed_rank_p_of_a_single_condition_shows_nothing():
    assert r.signed_rank_p([3.0]) == 1.0
    assert r.signed_rank_p([0.0, 0.0]) == 1.0
