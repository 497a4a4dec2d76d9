"""Unpaired comparison against scipy."""

import numpy as np
import pytest
import scipy.stats

from results.statistics import unpaired
from results.statistics.unpaired import unpaired_difference


def two(n, m, seed=0):
    random = np.random.default_rng([n, m, seed])
    return random.normal(0.5, 1, n).round(2), random.normal(0, 2, m).round(2)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 6), (9, 6), (20, 5)])
def test_the_interval_is_welchs(n, m):
    a, b = two(n, m)
    expected = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    found = unpaired_difference(a, b)
    assert found.mean == pytest.approx(a.mean() - b.mean())
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("n", "m"), [(2, 3), (2, 2), (3, 6), (6, 3), (6, 6), (2, 9)])
@pytest.mark.parametrize("seed", [0, 1])
def test_p_is_that_of_scipys_permutation_test(n, m, seed):
    a, b = two(n, m, seed)

    def statistic(x, y, axis):
        return np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis))

    expected = scipy.stats.permutation_test((a, b), statistic, n_resamples=np.inf, alternative="greater")
    assert unpaired_difference(a, b).p == pytest.approx(expected.pvalue)


def test_sampled_permutations_are_close_to_all_of_them(monkeypatch):
    a, b = two(6, 6)
    exact = unpaired_difference(a, b).p
    monkeypatch.setattr(unpaired, "EXACT_UP_TO", 10)
    assert unpaired_difference(a, b).p == pytest.approx(exact, abs=0.01)


def test_swapping_the_sides_mirrors_everything_and_order_does_not_matter():
    a, b = two(5, 4)
    there, back = unpaired_difference(a, b), unpaired_difference(b[::-1], a[::-1])
    assert there.mean == -back.mean
    assert there.p == back.p
    assert (there.interval.low, there.interval.high) == (-back.interval.high, -back.interval.low)


def test_sets_that_do_not_vary_have_an_interval_of_no_width_and_single_values_none():
    same = unpaired_difference([3.0, 3.0], [1.0, 1.0])
    assert (same.interval.low, same.interval.high) == (2.0, 2.0)
    assert same.p == pytest.approx(2 / 6)
    assert unpaired_difference([3.0], [1.0, 2.0]).interval is None
    assert unpaired_difference([1.0, 2.0], [1.0, 2.0]).p == 1.0
    for bad in ([], [float("nan")]):
        with pytest.raises(ValueError, match="at least one value"):
            unpaired_difference(bad, [1.0])
