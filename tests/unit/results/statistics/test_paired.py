import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from results.statistics import paired as s

errors = st.floats(0, 100).map(lambda x: round(x, 2))
pairs = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(errors, min_size=n, max_size=n)] * 2))
p_values = st.lists(st.floats(0, 1), max_size=10)


def test_single_value_has_a_mean_and_no_interval():
    assert s.mean_interval([12.5]) == s.MeanInterval(n=1, mean=12.5, interval=None)


def test_single_pair_has_no_interval_no_effect_size_and_p_one():
    found = s.paired_difference([12.0], [10.0])
    assert (found.mean, found.interval, found.p, found.effect_size) == (2.0, None, 1.0, None)


def test_equal_differences_have_an_interval_of_no_width():
    found = s.paired_difference([10.1, 20.3, 30.7, 40.1], [10.0, 20.2, 30.6, 40.0])
    assert found.interval == s.Interval(low=found.mean, high=found.mean)
    assert found.effect_size is None
    assert found.p == 2 / 2**4


def test_no_difference_at_all_has_p_one():
    found = s.paired_difference([5.0, 6.0, 7.0], [5.0, 6.0, 7.0])
    assert (found.mean, found.p, found.interval) == (0.0, 1.0, s.Interval(low=0.0, high=0.0))


def test_two_pairs_have_an_interval_but_no_effect_size():
    found = s.paired_difference([3.0, 5.0], [1.0, 1.0])
    half = 12.7062047  # of a difference of 2 between the two: t(0.975, 1) times sqrt(2) / sqrt(2)
    assert (found.interval.low, found.interval.high) == pytest.approx((3.0 - half, 3.0 + half))
    assert found.effect_size is None


def test_ties_that_rounding_splits_are_counted_as_ties():
    # 0.1 + 0.2 and 0.3 differ in the last bit; flipping all three gives the observed |sum| exactly, up to rounding
    assert s.sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert s.sign_flip_p([0.1 + 0.2, 0.3, 0.3]) == s.sign_flip_p([0.3, 0.3, 0.3]) == 0.25


def test_all_seeds_in_one_direction_reach_the_smallest_p():
    for n in range(1, 31):
        assert s.sign_flip_p([1.0 + k / 10 for k in range(n)]) == s.smallest_sign_flip_p(n)


def test_many_pairs_are_sampled_and_never_reach_zero():
    found = s.sign_flip_p([1.0] * 40)
    assert found == 1 / (s.SIGN_FLIP_DRAWS + 1)
    noise = np.random.default_rng(0).normal(size=45).tolist()
    assert s.sign_flip_p(noise) == s.sign_flip_p(noise[::-1])


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf, 1.0], [[1.0]]])
def test_values_that_cannot_be_averaged_are_refused(bad):
    with pytest.raises(ValueError, match="values"):
        s.mean_interval(bad)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 and 1 values"):
        s.paired_difference([1.0, 2.0], [1.0])


@settings(deadline=None)
@given(pairs)
def test_swapping_the_arms_mirrors_everything(two):
    a, b = two
    there, back = s.paired_difference(a, b), s.paired_difference(b, a)
    assert there.mean == -back.mean
    assert there.p == back.p
    assert (there.effect_size is None) == (back.effect_size is None)
    if there.effect_size is not None:
        assert there.effect_size == pytest.approx(-back.effect_size)
    if there.interval:
        assert (there.interval.low, there.interval.high) == (-back.interval.high, -back.interval.low)


@settings(deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_order_of_the_pairs_does_not_matter(two, random):
    order = list(range(len(two[0])))
    random.shuffle(order)
    shuffled = [[values[i] for i in order] for values in two]
    here, there = s.paired_difference(*two), s.paired_difference(*shuffled)
    assert (here.mean, here.p, here.interval) == (there.mean, there.p, there.interval)


@settings(deadline=None)
@given(pairs, st.sampled_from([0.5, 2.0, 4.0]))
def test_scale_of_the_measurements_does_not_matter(two, factor):
    a, b = two
    here, there = s.paired_difference(a, b), s.paired_difference([factor * x for x in a], [factor * x for x in b])
    assert there.mean == pytest.approx(factor * here.mean)
    assert there.p == here.p


@settings(deadline=None)
@given(pairs)
def test_interval_lies_around_the_mean_and_p_within_its_bounds(two):
    a, b = two
    found = s.paired_difference(a, b)
    if found.interval:
        assert found.interval.low <= found.mean <= found.interval.high
        assert found.mean - found.interval.low == pytest.approx(found.interval.high - found.mean)
    assert s.smallest_sign_flip_p(len(a)) <= found.p <= 1


@given(p_values)
def test_holm_is_between_the_raw_p_and_bonferroni(raw):
    corrected = s.holm(raw)
    for p, q in zip(raw, corrected, strict=True):
        assert p <= q <= min(1.0, len(raw) * p) + 1e-15


@given(p_values)
def test_holm_keeps_the_order_of_the_raw_p(raw):
    corrected = s.holm(raw)
    ordered = [q for _, q in sorted(zip(raw, corrected, strict=True))]
    assert ordered == sorted(corrected)
    assert all(corrected[i] == corrected[j] for i in range(len(raw)) for j in range(len(raw)) if raw[i] == raw[j])


@given(p_values, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_of_arms(raw, random):
    order = list(range(len(raw)))
    random.shuffle(order)
    assert s.holm([raw[i] for i in order]) == tuple(s.holm(raw)[i] for i in order)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_holm_over_comparisons_to_come_never_gets_worse_when_they_come(raw, another):
    before, after = s.holm(raw, len(raw) + 1), s.holm([*raw, another], len(raw) + 1)
    assert all(later <= now + 1e-15 for now, later in zip(before, after, strict=False))


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match="between 0 and 1"):
        s.holm([1.2])
    with pytest.raises(ValueError, match="fewer"):
        s.holm([0.1, 0.2], 1)


@pytest.mark.parametrize(("n", "p"), [(0, 1.0), (1, 1.0), (2, 0.5), (6, 0.03125), (9, 2 / 512)])
def test_smallest_p_of_a_sign_flip_test(n, p):
    assert s.smallest_sign_flip_p(n) == p


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 6), (2, 7), (8, 9), (12, 9), (13, 10)])
def test_seeds_needed_after_correction(comparisons, seeds):
    assert s.seeds_needed(0.05, comparisons) == seeds


@given(st.floats(1e-6, 1), st.integers(1, 500))
def test_seeds_needed_is_the_smallest_number_that_suffices(alpha, comparisons):
    n = s.seeds_needed(alpha, comparisons)
    assert s.smallest_sign_flip_p(n) * comparisons <= alpha or n == 1
    assume(n > 1)
    assert s.smallest_sign_flip_p(n - 1) * comparisons > alpha


@pytest.mark.parametrize(("alpha", "comparisons"), [(0, 1), (1.5, 1), (0.05, 0)])
def test_seeds_needed_refuses_nonsense(alpha, comparisons):
    with pytest.raises(ValueError, match=r"alpha|comparisons"):
        s.seeds_needed(alpha, comparisons)
