"""Comparing two sets of runs that share no seeds: Welch's interval and an exact permutation test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from results.statistics.paired import ALPHA, Interval

EXACT_UP_TO = 50_000
"""Ways to deal the values out that are all counted."""
DRAWS = 49_999
_SEED = 20_240_611
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class UnpairedDifference:
    """How far the mean of one set lies above that of the other."""

    n: tuple[int, int]
    mean: float
    interval: Interval | None
    """Welch's 95% interval (Welch 1947); None where a set has one value, of zero width where neither varies."""
    p: float
    """Two-sided, of the permutation test of the difference of means (Fisher 1935; Phipson & Smyth 2010 where it is sampled)."""


def unpaired_difference(a: Sequence[float], b: Sequence[float]) -> UnpairedDifference:
    """Mean of `a` minus mean of `b`. Raises ValueError where a set is empty or holds a value that is not finite."""
    x, y = (np.sort(np.asarray(values, dtype=np.float64)) for values in (a, b))
    if not len(x) or not len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a, b: each needs at least one value, and finite ones")
    mean = math.fsum(x) / len(x) - math.fsum(y) / len(y)
    return UnpairedDifference(n=(len(x), len(y)), mean=mean, interval=_welch(x, y, mean), p=_permutation_p(x, y))


def _welch(x: np.ndarray, y: np.ndarray, mean: float) -> Interval | None:
    if len(x) < 2 or len(y) < 2:
        return None
    parts = [float(values.var(ddof=1)) / len(values) for values in (x, y)]
    if sum(parts) == 0:
        return Interval(low=mean, high=mean)
    from scipy.special import stdtrit

    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(x) - 1) + parts[1] ** 2 / (len(y) - 1))
    half = float(stdtrit(freedom, 1 - ALPHA / 2)) * math.sqrt(sum(parts))
    return Interval(low=mean - half, high=mean + half)


def _permutation_p(x: np.ndarray, y: np.ndarray) -> float:
    """The sum of the smaller set says everything: its distance to what is expected of it is the difference of means, scaled."""
    small, large = (x, y) if len(x) <= len(y) else (y, x)
    pooled = np.sort(np.concatenate([small, large]))
    expected = math.fsum(pooled) * len(small) / len(pooled)
    tolerance = _RELATIVE_TOLERANCE * float(np.abs(pooled).max()) * len(small)
    observed = abs(math.fsum(small) - expected) - tolerance
    ways = math.comb(len(pooled), len(small))
    if ways <= EXACT_UP_TO:
        places = np.array(list(combinations(range(len(pooled)), len(small))), dtype=np.intp)
        return float(np.mean(np.abs(pooled[places].sum(axis=1) - expected) >= observed))
    random = np.random.default_rng(_SEED)
    sums = np.array([random.permutation(pooled)[: len(small)].sum() for _ in range(DRAWS)])
    return float(np.count_nonzero(np.abs(sums - expected) >= observed) + 1) / (DRAWS + 1)
