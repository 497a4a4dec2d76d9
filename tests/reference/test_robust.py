"""Robust summaries against rliable, the implementation of Agarwal et al. (2021), and against literal resampling."""

import importlib.util
import sys
import types

import numpy as np
import pytest
import scipy.stats
from rliable import metrics

from results.analysis import robust as r


def errors(seeds, conditions, seed=0, mean=30.0, decimals=2):
    random = np.random.default_rng([seeds, conditions, seed])
    return (mean + random.normal(0, 2, (seeds, 1)) + random.normal(0, 1, (seeds, conditions))).round(decimals)


@pytest.fixture(scope="module")
def library():
    """`rliable.library`, with arch's bootstrap alone: the rest of arch needs an older pandas."""
    whole = types.ModuleType("arch")
    whole.__path__ = list(importlib.util.find_spec("arch").submodule_search_locations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "arch", whole)
        from rliable import library

        yield library


SHAPES = [(3, 1), (9, 1), (6, 3), (10, 4)]


@pytest.mark.parametrize(("seeds", "conditions"), SHAPES)
def test_interquartile_mean_is_rliables(seeds, conditions):
    x = errors(seeds, conditions)
    assert r.interquartile_mean(x.ravel()) == pytest.approx(metrics.aggregate_iqm(x))


@pytest.mark.parametrize(("seeds", "conditions"), SHAPES)
@pytest.mark.parametrize("decimals", [0, 3])
def test_improvement_is_rliables(seeds, conditions, decimals):
    x, y = errors(seeds, conditions, 0, decimals=decimals), errors(seeds, conditions, 1, 31.0, decimals)
    # theirs asks how often the first has the larger score; scores are errors with the other sign
    assert r.improvement(x, y) == pytest.approx(metrics.probability_of_improvement(-x, -y))


def test_profile_is_rliables(library):
    x = errors(9, 3)
    taus = np.linspace(25, 36, 23)
    assert r.profile(x, taus) == pytest.approx(1 - library.score_distributions(x, taus))


@pytest.mark.parametrize(("seeds", "conditions"), [(9, 1), (9, 3)])
def test_interval_within_conditions_is_rliables(library, seeds, conditions):
    x = errors(seeds, conditions)
    np.random.seed(1)
    _, found = library.get_interval_estimates(
        {"arm": x}, lambda scores: np.array([metrics.aggregate_iqm(scores)]), reps=4000
    )
    mine = r.iqm_interval(x, joint=False, expanded=False)
    width = mine.high - mine.low
    assert (mine.low, mine.high) == pytest.approx(tuple(found["arm"].ravel()), abs=0.08 * width)


def test_intervals_are_those_of_literal_resampling():
    x = errors(9, 3)
    taus = np.array([28.0, 30.0, 32.0])
    random = np.random.default_rng(3)
    iqms, shares = [], []
    for _ in range(4000):
        seeds = random.choice(9, 9)
        iqms.append(metrics.aggregate_iqm(x[seeds]))
        shares.append([(x[seeds] <= tau).mean() for tau in taus])
    ends = [scipy.stats.norm.cdf(sign * scipy.stats.t.ppf(0.975, 8) * np.sqrt(9 / 8)) for sign in (-1, 1)]
    found, expected = r.iqm_interval(x), np.quantile(iqms, ends)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.08 * (found.high - found.low))
    low, high = r.profile_band(x, taus)
    assert np.array([low, high]) == pytest.approx(np.quantile(shares, ends, axis=0), abs=0.08)  # steps of 1/27


@pytest.mark.parametrize(("seeds", "conditions", "shift"), [(6, 1, 31.0), (9, 3, 32.0), (5, 2, 30.0)])
def test_interval_of_the_improvement_is_that_of_a_literal_jackknife(seeds, conditions, shift):
    x, y = errors(seeds, conditions), errors(seeds, conditions, 1, shift)

    def logit(rows):
        return scipy.special.logit(metrics.probability_of_improvement(-x[rows], -y[rows]))

    without = [logit([s for s in range(seeds) if s != left]) for left in range(seeds)]
    influence = (seeds - 1) * (np.mean(without) - np.array(without))
    error = np.sqrt(np.sum(influence**2)) / seeds
    middle, half = logit(list(range(seeds))), scipy.stats.t.ppf(0.975, seeds - 1) * error
    found = r.improvement_interval(x, y)
    assert (found.low, found.high) == pytest.approx(tuple(scipy.special.expit([middle - half, middle + half])))


def test_seeds_that_conditions_share_make_the_joint_interval_wider():
    x = errors(9, 3)
    joint, apart = r.iqm_interval(x), r.iqm_interval(x, joint=False)
    assert joint.high - joint.low > 1.2 * (apart.high - apart.low)
