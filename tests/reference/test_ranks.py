"""Ranks over conditions against scipy, autorank, statsmodels and Demšar's (2006) own examples."""

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.libqsturng import psturng

from results.statistics import ranks as r

# Demšar (2006), table 6: AUC of C4.5 (cf, m, and both tuned or not) on 14 data sets; higher is better, so errors are 1 - AUC
DEMSAR = 1 - np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9752, 0.9751],  # printed as equal, ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def errors(conditions, arms, seed=0, decimals=None):
    drawn = np.random.default_rng([conditions, arms, seed]).normal(np.linspace(0, 1, arms), 1, (conditions, arms))
    return drawn if decimals is None else drawn.round(decimals)


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize(("conditions", "arms"), [(2, 3), (7, 4), (12, 9)])
def test_ranks_are_scipys(conditions, arms, decimals):
    x = errors(conditions, arms, decimals=decimals)
    assert np.array_equal(r.ranks(x), scipy.stats.rankdata(x, axis=1))


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize(("conditions", "arms"), [(3, 3), (7, 4), (12, 9)])
def test_friedman_is_scipys(conditions, arms, decimals):
    x = errors(conditions, arms, decimals=decimals)
    found, expected = r.friedman(x), scipy.stats.friedmanchisquare(*x.T)
    assert found.chi_square == pytest.approx(expected.statistic)
    assert found.chi_square_p == pytest.approx(expected.pvalue)
    freedom = (arms - 1, (arms - 1) * (conditions - 1))
    f = (conditions - 1) * expected.statistic / (conditions * (arms - 1) - expected.statistic)
    assert found.f == pytest.approx(f)
    assert found.p == pytest.approx(max(scipy.stats.f.sf(f, *freedom), math.factorial(arms) ** (1.0 - conditions)))


def test_demsars_example():
    found = r.friedman(DEMSAR)
    assert found.average_ranks == pytest.approx((3.143, 2.0, 2.893, 1.964), abs=5e-4)
    plain = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in found.average_ranks) - 4 * 5**2 / 4)
    assert plain == pytest.approx(9.28, abs=5e-3)  # his; it has no correction for ties, which scipy and we make
    assert found.chi_square == pytest.approx(scipy.stats.friedmanchisquare(*DEMSAR.T).statistic)
    assert found.chi_square > plain
    assert r.critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_critical_values_are_those_of_demsars_table_5():
    table = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    for arms, q in table.items():
        found = r.critical_difference(arms, 12) / math.sqrt(arms * (arms + 1) / 72)
        assert found == pytest.approx(q, abs=1.1e-3)


@pytest.mark.parametrize(("conditions", "arms"), [(10, 4), (20, 9)])
def test_critical_difference_and_average_ranks_are_autoranks(conditions, arms):
    import pandas as pd
    from autorank._util import get_sorted_rank_groups, rank_multiple_nonparametric

    x = errors(conditions, arms)
    names = [f"arm {i}" for i in range(arms)]
    with np.errstate(all="ignore"):
        found = rank_multiple_nonparametric(pd.DataFrame(x, columns=names), 0.05, False, False, "ascending", None, None)
    mine = r.friedman(x)
    assert found.pvalue == pytest.approx(mine.chi_square_p)
    assert found.cd == pytest.approx(r.critical_difference(arms, conditions), rel=2e-3)  # its quantile is approximate
    average = dict(zip(names, mine.average_ranks, strict=True))
    assert {n: found.rankdf.meanrank[n] for n in names} == pytest.approx(average)
    _, ordered, groups = get_sorted_rank_groups(found, reverse=False)
    expected = {frozenset(ordered[a : b + 1]) for a, b in groups}
    bars = r.cliques(mine.average_ranks, r.critical_difference(arms, conditions))
    assert {frozenset(names[i] for i in bar) for bar in bars} == expected


@pytest.mark.parametrize("apart", [0.3, 0.7, 1.4, 2.2])
def test_nemenyi_p_is_the_chance_of_so_wide_a_range_of_normals(apart):
    width = apart / math.sqrt(5 * 6 / (6 * 12)) * math.sqrt(2)
    normal = scipy.stats.norm
    inside, _ = scipy.integrate.quad(
        lambda z: 5 * normal.pdf(z) * (normal.cdf(z) - normal.cdf(z - width)) ** 4, -8, 8 + width, epsabs=1e-10
    )
    assert r.nemenyi_p(apart, 5, 12) == pytest.approx(1 - inside, abs=1e-6)


@pytest.mark.parametrize("arms", [2, 3, 5, 10, 50])
def test_the_studentized_range_is_scipys(arms):
    theirs = scipy.stats.studentized_range
    per_rank = math.sqrt(arms * (arms + 1) / 6)
    for alpha in (0.001, 0.05, 0.1):
        expected = float(theirs.isf(alpha, arms, math.inf)) / math.sqrt(2) * per_rank
        assert r.critical_difference(arms, 1, alpha) == pytest.approx(expected, rel=1e-10)
    for q in (0.1, 1.0, 3.0, 6.0, 12.0):
        expected = float(theirs.sf(q, arms, math.inf))
        assert r.nemenyi_p(q * per_rank / math.sqrt(2), arms, 1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("apart", [1.4, 1.8, 2.2])
def test_nemenyi_p_is_statsmodels_studentized_range(apart):
    error = math.sqrt(5 * 6 / (6 * 12))
    expected = float(np.squeeze(psturng(math.sqrt(2) * apart / error, 5, np.inf)))
    assert r.nemenyi_p(apart, 5, 12) == pytest.approx(expected, abs=2e-3)  # theirs is an approximation, best below 0.1


@pytest.mark.parametrize("n", [2, 5, 9, 14, 40])
@pytest.mark.parametrize("seed", [0, 1])
def test_signed_rank_p_is_scipys(n, seed):
    d = np.random.default_rng([n, seed]).normal(0.4, 1, n)
    assert r.signed_rank_p(d) == pytest.approx(scipy.stats.wilcoxon(d, method="exact").pvalue)


@pytest.mark.parametrize("seed", range(4))
def test_signed_rank_p_with_ties_and_zeros_is_scipys_permutation_test(seed):
    d = np.random.default_rng(seed).integers(-3, 5, 10).astype(float)
    d[seed] = 0
    expected = scipy.stats.wilcoxon(
        d, zero_method="pratt", method=scipy.stats.PermutationMethod(n_resamples=np.inf), correction=False
    )
    assert r.signed_rank_p(d) == pytest.approx(expected.pvalue)


def test_wilcoxon_pairs_are_scipys_with_statsmodels_holm():
    from statsmodels.stats.multitest import multipletests

    x = errors(9, 4)
    found = r.wilcoxon_pairs(x)
    p = [scipy.stats.wilcoxon(x[:, a], x[:, b], method="exact").pvalue for a in range(4) for b in range(a + 1, 4)]
    assert [pair.p for pair in found] == pytest.approx(p)
    assert [pair.p_holm for pair in found] == pytest.approx(list(multipletests(p, method="holm")[1]))
