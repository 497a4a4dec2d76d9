"""Power of the sign-flip test against slow counting of whole tests, and against what is known in closed form."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats

from results.statistics.paired import ALPHA, sign_flip_p
from results.statistics.power import detectable_effect, seeds_to_detect, sign_flip_power


def counted_power(seeds, effect, comparisons, repeats, seed=5):
    """Draw studies, run the real test on each, count."""
    draws = np.random.default_rng(seed).normal(effect, 1.0, (repeats, seeds))
    return np.mean([comparisons * sign_flip_p(d) <= ALPHA for d in draws])


@pytest.mark.parametrize(
    ("seeds", "effect", "comparisons"), [(6, 1.2, 1), (7, 1.3, 1), (9, 1.0, 1), (9, 1.8, 4), (11, 1.3, 8), (13, 0.9, 1)]
)
def test_power_is_the_share_of_simulated_studies_that_reach_the_level(seeds, effect, comparisons):
    repeats = 3000
    found = sign_flip_power(seeds, effect, comparisons)
    counted = counted_power(seeds, effect, comparisons, repeats)
    assert found == pytest.approx(counted, abs=4 * math.sqrt(counted * (1 - counted) / repeats) + 0.01)


@pytest.mark.parametrize("seeds", [6, 7])
def test_where_all_differences_must_have_one_sign_power_is_a_product(seeds):
    effect = detectable_effect(seeds, comparisons=1 if seeds == 6 else 3)
    assert scipy.stats.norm.cdf(effect) ** seeds == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("seeds", "comparisons"), [(6, 1), (8, 1), (10, 8), (12, 3), (18, 20)])
def test_the_detectable_effect_is_found_in_eighty_of_a_hundred_studies(seeds, comparisons):
    effect = detectable_effect(seeds, comparisons)
    repeats = 2000 if seeds < 15 else 300
    tolerance = 4 * math.sqrt(0.16 / repeats) + 0.01
    assert counted_power(seeds, effect, comparisons, repeats) == pytest.approx(0.8, abs=tolerance)


def test_beyond_the_exact_test_power_is_students_and_the_two_meet():
    freedom, effect = 24, 0.6
    critical = scipy.stats.t.ppf(1 - ALPHA / 2, freedom)
    shifted = scipy.stats.nct(freedom, effect * 5)
    assert sign_flip_power(25, effect) == pytest.approx(shifted.sf(critical) + shifted.cdf(-critical))
    # the detectable effect falls with the seeds across the border between the two ways of computing it
    across = [detectable_effect(n) for n in (16, 17, 18, 19, 20)]
    assert all(0.005 < a / b - 1 < 0.06 for a, b in pairwise(across))


@pytest.mark.parametrize(("effect", "comparisons"), [(2.5, 1), (1.2, 8), (0.8, 1), (0.4, 3)])
def test_seeds_to_detect_are_enough_and_one_fewer_is_not(effect, comparisons):
    seeds = seeds_to_detect(effect, comparisons)
    assert seeds is not None
    assert sign_flip_power(seeds, effect, comparisons) >= 0.8
    assert sign_flip_power(seeds - 1, effect, comparisons) < 0.8
