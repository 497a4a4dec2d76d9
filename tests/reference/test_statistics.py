"""Our statistics against scipy and against slow, literal implementations of the definitions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.weightstats import ttost_paired

from results.statistics import paired as s


def differences(n, seed=0):
    return np.random.default_rng([n, seed]).normal(0.6, 1.0, n).round(2).tolist()


@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_mean_interval_is_scipys(n):
    values = differences(n)
    found = s.mean_interval(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [2, 3, 6, 9, 12])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sign_flip_p_is_scipys(n, seed):
    values = differences(n, seed)
    expected = scipy.stats.permutation_test(
        (values,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert s.sign_flip_p(values) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("n", [2, 3, 6, 9, 12])
@pytest.mark.parametrize("margin", [0.3, 1.0, 2.5])
def test_equivalence_p_is_the_larger_of_scipys_two_one_sided_tests(n, margin):
    values = np.array(differences(n, 3))

    def one_sided(shifted):
        return scipy.stats.permutation_test(
            (shifted,),
            lambda x, axis: np.sum(x, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
            alternative="greater",
        ).pvalue

    expected = max(one_sided(values + margin), one_sided(margin - values))
    assert s.equivalence_p(values.tolist(), margin) == pytest.approx(expected)
    assert s.mean_difference(values, 10.0, margin).p_negligible == pytest.approx(expected)
    assert s.mean_difference(values, 10.0).p_negligible is None


def test_equivalence_p_is_near_that_of_statsmodels_t_tests():
    values = np.random.default_rng(5).normal(0.2, 0.5, 25)
    expected, _, _ = ttost_paired(values, np.zeros(25), -0.35, 0.35)
    assert s.equivalence_p(values.tolist(), 0.35) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(ValueError, match="margin"):
        s.equivalence_p([0.1, 0.2], margin)


@pytest.mark.parametrize("values", [["0.1", "0.2", "-0.3", "0.4"], ["0.7", "0.1", "0.8", "-0.2", "0.3"]])
def test_sign_flip_p_is_exact_where_sums_tie(values):
    exact = [Fraction(v) for v in values]
    sums = [
        abs(sum(sign * v for sign, v in zip(signs, exact, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(exact))
    ]
    expected = sum(total >= abs(sum(exact)) for total in sums) / len(sums)
    assert s.sign_flip_p([float(v) for v in exact]) == expected


def test_sampled_sign_flips_are_close_to_all_of_them(monkeypatch):
    values = differences(14)
    exact = s.sign_flip_p(values)
    small = s.equivalence_p(values, 1.1)
    monkeypatch.setattr(s, "EXACT_SIGN_FLIPS_UP_TO", 10)
    assert s.sign_flip_p(values) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / s.SIGN_FLIP_DRAWS))
    assert 0.001 < small < 0.9
    spread = 4 * math.sqrt(small * (1 - small) / s.SIGN_FLIP_DRAWS)
    assert s.equivalence_p(values, 1.1) == pytest.approx(small, abs=spread)


@pytest.mark.parametrize("n", [2, 3, 6, 9, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_interval_of_a_difference_is_that_of_scipys_paired_t_test(n, seed):
    a, b = differences(n, seed), differences(n, seed + 10)
    expected = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    found = s.paired_difference(a, b).interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("n", [3, 6, 20])
def test_effect_size_is_hedges_correction_of_cohens_d(n):
    values = differences(n)
    found = s.paired_difference(values, [0.0] * n).effect_size
    d = np.mean(values) / np.std(values, ddof=1)
    half = (n - 1) / 2
    correction = scipy.special.gamma(half) / (math.sqrt(half) * scipy.special.gamma(half - 0.5))
    assert found == pytest.approx(d * correction)
    assert correction == pytest.approx(1 - 3 / (4 * (n - 1) - 1), abs=0.15 / n)


def test_holm_on_the_textbooks_example():
    # Holm (1979) by hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then made monotone
    assert s.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
