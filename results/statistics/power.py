"""What a number of paired seeds can show: power of the exact sign-flip test under Holm's correction.

Differences between two arms are taken as independent draws from a normal distribution; effects are in units of its standard
deviation. The test is the one of `results.statistics.paired`, not its t approximation: at few seeds its p moves in steps of
2/2ⁿ and it needs a larger difference than Student's test does.

Holm (1979) compares the smallest p of a family with alpha / comparisons and later ones with larger levels, so what is computed
here, at alpha / comparisons, is the power that one real difference has whatever the other rows turn out to be: a lower bound.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from results.statistics.paired import ALPHA, Array, seeds_needed, smallest_sign_flip_p

POWER = 0.8
"""The chance of a significant result that a plan asks for."""
MOST_SEEDS = 10_000
SIMULATED_UP_TO = 18
"""Seeds up to which the sign-flip test's power is simulated; beyond, Student's is closer to it than a simulation."""

_NORMAL = NormalDist()
_SEED = 20_240_611
_MOST_DRAWS = 4096
_SUMS_A_DRAW = 2**18
"""Half-sums over all draws of one estimate: what bounds its time, about 30 ms."""
_LOW, _HIGH, _HALVINGS = 0.97, 1.5, 7
"""Where the detectable effect is sought, as multiples of the t test's."""


def sign_flip_power(seeds: int, effect: float, comparisons: int = 1, alpha: float = ALPHA) -> float:
    """Chance that the exact two-sided sign-flip test finds a difference of this size, at level alpha / comparisons.

    Up to `SIMULATED_UP_TO` seeds the test itself is run on simulated normal differences, with Student's t test at the same
    level on the same draws as control variate (its power is known exactly). Beyond, the two tests agree to less than
    the simulation's error, and the t test's power is given.

    Args:
        seeds: Pairs, at least 1.
        effect: Mean difference in units of the standard deviation of the paired differences.
        comparisons: Size of the family that Holm's correction is over.
        alpha: Level of the family.

    Returns:
        0 to 1; 0 where so few seeds cannot reach the level at all.
    """
    if smallest_sign_flip_p(seeds) * comparisons > alpha:
        return 0.0
    if seeds > SIMULATED_UP_TO:
        return _t_power(seeds, effect, alpha / comparisons)
    allowed = math.floor(alpha / comparisons * 2 ** (seeds - 1) + 1e-9)
    if allowed == 1:  # only differences of one sign throughout reach the level
        return _NORMAL.cdf(effect) ** seeds + _NORMAL.cdf(-effect) ** seeds
    level = allowed / 2 ** (seeds - 1)
    known = _t_power(seeds, effect, level)
    differences = _normal_draws(seeds) + effect
    exact = _reaching(differences) <= allowed
    student = np.abs(_t_statistic(differences)) >= _t_critical(seeds, level)
    return float(np.clip(known + exact.mean() - student.mean(), 0.0, 1.0))


@lru_cache(maxsize=256)
def detectable_effect(seeds: int, comparisons: int = 1, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest effect that so many seeds find with this power, in standard deviations of the paired differences.

    Infinite where no difference of any size can become significant. Good to about 1%.
    """
    if smallest_sign_flip_p(seeds) * comparisons > alpha:
        return math.inf
    start = _t_detectable(seeds, alpha / comparisons, power)
    if seeds > SIMULATED_UP_TO:
        return start
    low, high = _LOW * start, _HIGH * start
    while sign_flip_power(seeds, high, comparisons, alpha) < power:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if sign_flip_power(seeds, middle, comparisons, alpha) < power:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


@lru_cache(maxsize=256)
def seeds_to_detect(
    effect: float, comparisons: int = 1, power: float = POWER, alpha: float = ALPHA, *, roughly: bool = False
) -> int | None:
    """The smallest number of seeds that finds an effect of this size (in standard deviations) with this power.

    None where `MOST_SEEDS` are not enough, as for an effect of zero. `roughly` asks Student's test alone, which is
    fast and at few seeds up to three too low, but never below what significance needs at all.
    """
    effect = abs(effect)
    first = seeds_needed(alpha, comparisons)
    if _t_power(MOST_SEEDS, effect, alpha / comparisons) < power:
        return None
    for seeds in range(first, first if roughly else SIMULATED_UP_TO + 1):
        # the exact test is never much better than Student's: where that one is far from enough, nothing is simulated
        if (
            _t_power(seeds, effect, alpha / comparisons) > power - 0.1
            and sign_flip_power(seeds, effect, comparisons, alpha) >= power
        ):
            return seeds
    low, high = first if roughly else max(first, SIMULATED_UP_TO + 1), MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        if _t_power(middle, effect, alpha / comparisons) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def _reaching(differences: Array) -> Array:
    """For each row of [draws, n]: how many of its 2ⁿ sign assignments have a sum at or above |the observed sum|.

    By symmetry this is also how many of the 2ⁿ⁻¹ with a fixed first sign have an |sum| there. Meets in the middle: the sums
    of both halves, one sorted, so that a draw costs 2^(n/2) look-ups and not 2ⁿ sums.
    """
    draws, n = differences.shape
    magnitudes = np.abs(differences)
    left, right = _signed_sums(magnitudes[:, : n // 2]), _signed_sums(magnitudes[:, n // 2 :])
    threshold = np.abs(differences.sum(axis=1)) - 1e-9
    left.sort(axis=1)
    apart = 4 * float(magnitudes.sum(axis=1).max()) + 1  # rows are laid one after another, too far apart to mix
    offsets = np.arange(draws)[:, None] * apart
    places = np.searchsorted((left + offsets).ravel(), (threshold[:, None] - right + offsets).ravel(), "left")
    below = places.reshape(right.shape) - np.arange(draws)[:, None] * left.shape[1]
    found: Array = (left.shape[1] - np.clip(below, 0, left.shape[1])).sum(axis=1)
    return found


def _signed_sums(magnitudes: Array) -> Array:
    """All sums of ± each column: [draws, k] to [draws, 2^k]."""
    sums = np.zeros((len(magnitudes), 1))
    for column in magnitudes.T:
        sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
    return sums


@lru_cache(maxsize=4)
def _normal_draws(seeds: int) -> Array:
    """Standard normal differences [draws, seeds]: the same ones for every effect, so that power rises smoothly."""
    draws = min(_MOST_DRAWS, _SUMS_A_DRAW // 2 ** math.ceil(seeds / 2))
    return np.random.default_rng([_SEED, seeds]).standard_normal((draws, seeds))


def _t_statistic(differences: Array) -> Array:
    n = differences.shape[1]
    statistic: Array = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(n))
    return statistic


def _t_critical(seeds: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(seeds - 1, 1 - level / 2))


def _t_power(seeds: int, effect: float, level: float) -> float:
    """Power of Student's paired two-sided t test: the noncentral t distribution beyond its critical values."""
    from scipy.special import nctdtr

    critical, centre = _t_critical(seeds, level), abs(effect) * math.sqrt(seeds)
    if centre > critical + 10:  # where the distribution function loses its digits there is nothing left to tell
        return 1.0
    other_tail = float(nctdtr(seeds - 1, centre, -critical))  # scipy gives NaN where it underflows
    return float(1 - nctdtr(seeds - 1, centre, critical)) + (0.0 if math.isnan(other_tail) else other_tail)


def _t_detectable(seeds: int, level: float, power: float) -> float:
    low, high = 0.0, 1.0
    while _t_power(seeds, high, level) < power:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_power(seeds, middle, level) < power else (low, middle)
    return high
