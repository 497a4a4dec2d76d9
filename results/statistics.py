"""Comparing arms in pairs over seed blocks: pure functions of numbers, deterministic to the last bit.

The sign-flip test is exact where that is affordable (all sign flips) and Monte Carlo with a fixed seed beyond. No result depends
on the order of the pairs, and swapping the arms mirrors every result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ALPHA = 0.05
"""Level of every test here; intervals cover 1 - ALPHA."""

EXACT_SIGN_FLIPS_UP_TO = 30
"""Pairs for which all 2^n sign flips are counted: 2^(n/2) sums of each half, and a search for each."""
SIGN_FLIP_DRAWS = 99_999

_SEED = 20_240_611
_RELATIVE_TOLERANCE = 1e-9
"""Two statistics closer than this share of the largest measurement are a tie, not a rounding error's winner."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A closed interval with `low <= high`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanInterval:
    """A mean over seeds and its 95% interval; the interval is None for a single value."""

    n: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedDifference:
    """How far arm `a` lies above arm `b`, in the unit of the measurements."""

    n: int
    mean: float
    interval: Interval | None
    """Student's t 95% interval; None for a single pair, of zero width where all differences are equal."""
    p: float
    """Two-sided p of the sign-flip permutation test, not corrected."""
    effect_size: float | None
    """Cohen's d_z with Hedges' correction; None below three pairs and where the differences do not vary."""


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Mean and Student's t 95% interval: mean ± t(0.975, n-1) · s / √n (Student 1908).

    Raises:
        ValueError: `values` is empty or holds a value that is not finite.
    """
    x = _checked(values, "values")
    mean = math.fsum(x) / len(x)
    return MeanInterval(n=len(x), mean=mean, interval=_t_interval(x, mean))


def paired_difference(a: Sequence[float], b: Sequence[float]) -> PairedDifference:
    """Compare two arms measured on the same seeds: `a[i]` and `b[i]` belong to one seed block.

    Raises:
        ValueError: the lengths differ, there is no pair, or a value is not finite.
    """
    x, y = _checked(a, "a"), _checked(b, "b")
    if len(x) != len(y):
        raise ValueError(f"a, b: {len(x)} and {len(y)} values; pairs need one of each per seed")
    return mean_difference(x - y, float(max(np.abs(x).max(), np.abs(y).max())))


def mean_difference(differences: Sequence[float] | Array, scale: float) -> PairedDifference:
    """The mean of one difference per seed, with what `paired_difference` says of it.

    Args:
        differences: One per seed, of any contrast of the measurements of that seed.
        scale: The largest measurement; differences that are closer than rounding at that size are ties.

    Raises:
        ValueError: `differences` is empty or holds a value that is not finite.
    """
    d = _checked(differences, "differences")
    tolerance = _RELATIVE_TOLERANCE * scale
    mean = math.fsum(d) / len(d)
    return PairedDifference(
        n=len(d),
        mean=mean,
        interval=Interval(low=mean, high=mean) if len(d) > 1 and _constant(d, tolerance) else _t_interval(d, mean),
        p=_sign_flip(d, tolerance),
        effect_size=_effect_size(d, mean, tolerance),
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided sign-flip permutation p of paired differences (Fisher 1935, section 21; Pitman 1937).

    The share of the 2^n sign assignments whose |sum| reaches the observed one, the observed one included. Beyond
    `EXACT_SIGN_FLIPS_UP_TO` pairs (b + 1) / (m + 1) over m random assignments (Phipson & Smyth 2010, equation 2).
    """
    d = _checked(differences, "differences")
    return _sign_flip(d, _RELATIVE_TOLERANCE * float(np.abs(d).max()))


def holm(p_values: Sequence[float], comparisons: int | None = None) -> tuple[float, ...]:
    """Holm's step-down correction (Holm 1979), in the order given, capped at 1.

    Args:
        p_values: raw p-values.
        comparisons: how many comparisons the family has; more than `len(p_values)` where some are still to come, which
            then count as p = 1. A corrected p so never gets worse because another arm was finished.
    """
    m = len(p_values) if comparisons is None else comparisons
    if m < len(p_values):
        raise ValueError(f"comparisons: {m} is fewer than the {len(p_values)} p-values given")
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("p_values: each must lie between 0 and 1")
    corrected = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        corrected[index] = running
    return tuple(corrected)


def smallest_sign_flip_p(n: int) -> float:
    """The smallest two-sided p that a sign-flip test of n pairs can reach: min(1, 2 / 2^n)."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(alpha: float = ALPHA, comparisons: int = 1) -> int:
    """The smallest number of paired seeds with which one difference can be significant after Holm correction.

    The smallest n with comparisons · 2 / 2^n <= alpha. Raises ValueError for an alpha outside (0, 1] or no comparison.
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not in (0, 1]")
    if comparisons < 1:
        raise ValueError(f"comparisons: {comparisons}; there must be at least one")
    n = 1
    while smallest_sign_flip_p(n) * comparisons > alpha:
        n += 1
    return n


def _checked(values: Sequence[float] | Array, name: str) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"{name}: needs at least one value in one dimension")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: holds a value that is not finite")
    return x


def _sign_flip(differences: Array, tolerance: float) -> float:
    n = len(differences)
    threshold = abs(math.fsum(differences)) - n * tolerance
    # |sum| over all flips depends on magnitudes alone; sorted, they give the same sums whatever the pairs' order.
    magnitudes = np.sort(np.abs(differences))
    if n <= EXACT_SIGN_FLIPS_UP_TO:
        if threshold <= 0:  # no difference at all
            return 1.0
        # A sum over all pairs is one over each half: for each of one half, how many of the other reach the threshold with it.
        one, other = np.sort(_signed_sums(magnitudes[: n // 2])), _signed_sums(magnitudes[n // 2 :])
        short = int(np.searchsorted(one, threshold - other, "left").sum())
        return float(2 * (len(one) * len(other) - short) / 2**n)  # sums below the negative threshold mirror these
    random = np.random.default_rng(_SEED)
    hits, left = 0, SIGN_FLIP_DRAWS
    while left:
        draws = min(left, 10_000)
        signs = random.integers(0, 2, size=(draws, n), dtype=np.int8).astype(np.float64) * 2 - 1
        hits += int(np.count_nonzero(np.abs(signs @ magnitudes) >= threshold))
        left -= draws
    return (hits + 1) / (SIGN_FLIP_DRAWS + 1)


def _signed_sums(magnitudes: Array) -> Array:
    """Every sum of the magnitudes with either sign, [2^n]."""
    sums = np.zeros(1)
    for magnitude in magnitudes:
        sums = np.concatenate([sums + magnitude, sums - magnitude])
    return sums


def _effect_size(differences: Array, mean: float, tolerance: float) -> float | None:
    """d_z = mean / s (Cohen 1988, 2.3.5) times J(n-1), the exact small-sample factor of Hedges (1981), equation 6e."""
    n = len(differences)
    if n < 3 or _constant(differences, tolerance):
        return None
    freedom = n - 1
    log_j = math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2) - 0.5 * math.log(freedom / 2)
    return mean / float(differences.std(ddof=1)) * math.exp(log_j)


def _t_interval(values: Array, mean: float) -> Interval | None:
    n = len(values)
    if n == 1:
        return None
    from scipy.special import stdtrit  # here, because most of this module's users never need scipy

    deviation = math.sqrt(math.fsum((values - mean) ** 2) / (n - 1))  # exact sums: the same whatever the order
    half = float(stdtrit(n - 1, 1 - ALPHA / 2)) * deviation / math.sqrt(n)
    return Interval(low=mean - half, high=mean + half)


def _constant(values: Array, tolerance: float) -> bool:
    return float(values.max() - values.min()) <= tolerance
