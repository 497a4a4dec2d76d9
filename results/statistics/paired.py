"""Comparing arms in pairs over seed blocks: pure functions of numbers, deterministic to the last bit.

The sign-flip test is exact where that is affordable (all sign flips) and Monte Carlo with a fixed seed beyond. No result depends
on the order of the pairs, and swapping the arms mirrors every result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    p_negligible: float | None = None
    """p of the equivalence test, not corrected: small where the difference is shown to be smaller than a margin. None where
    no margin is asked for."""


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Mean and Student's t 95% interval: mean ± t(0.975, n-1) · s / √n (Student 1908).

    Raises:
        ValueError: `values` is empty or holds a value that is not finite.
    """
    x = _checked(values, "values")
    mean = math.fsum(x) / len(x)
    return MeanInterval(n=len(x), mean=mean, interval=_t_interval(x, mean))


def bounded_mean(values: Sequence[float], least: float, most: float) -> MeanInterval:
    """As `mean_interval`, the interval cut off at the ends of the scale that the values are on: an error is from 0 to 100 %."""
    found = mean_interval(values)
    if found.interval is None:
        return found
    bounds = Interval(low=max(found.interval.low, least), high=min(found.interval.high, most))
    return MeanInterval(n=found.n, mean=found.mean, interval=bounds)


def paired_difference(a: Sequence[float], b: Sequence[float], margin: float = 0.0) -> PairedDifference:
    """Compare two arms measured on the same seeds: `a[i]` and `b[i]` belong to one seed block.

    Args:
        a: One arm's measurements.
        b: The other's.
        margin: What a difference must be shown to be smaller than to be called negligible; 0 to ask for none.

    Raises:
        ValueError: the lengths differ, there is no pair, or a value is not finite.
    """
    x, y = _checked(a, "a"), _checked(b, "b")
    if len(x) != len(y):
        raise ValueError(f"a, b: {len(x)} and {len(y)} values; pairs need one of each per seed")
    return mean_difference(x - y, float(max(np.abs(x).max(), np.abs(y).max())), margin)


def mean_difference(differences: Sequence[float] | Array, scale: float, margin: float = 0.0) -> PairedDifference:
    """The mean of one difference per seed, with what `paired_difference` says of it.

    Args:
        differences: One per seed, of any contrast of the measurements of that seed.
        scale: The largest measurement; differences that are closer than rounding at that size are ties.
        margin: As for `paired_difference`.

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
        p_negligible=_equivalence(d, margin, tolerance) if margin > 0 else None,
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided sign-flip permutation p of paired differences (Fisher 1935, section 21; Pitman 1937).

    The share of the 2^n sign assignments whose |sum| reaches the observed one, the observed one included. Beyond
    `EXACT_SIGN_FLIPS_UP_TO` pairs (b + 1) / (m + 1) over m random assignments (Phipson & Smyth 2010, equation 2).
    """
    d = _checked(differences, "differences")
    return _sign_flip(d, _RELATIVE_TOLERANCE * float(np.abs(d).max()))


def equivalence_p(differences: Sequence[float], margin: float) -> float:
    """p of the hypothesis that the true difference is `margin` or more, either way; small: the difference is smaller.

    Two one-sided tests (Schuirmann 1987), of which the larger p counts, each an exact sign-flip test: the differences moved up by
    the margin lie above zero, and moved down by it below. With n pairs it is no smaller than 1/2^n.

    Raises:
        ValueError: the margin is not above 0, `differences` is empty or holds a value that is not finite.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin: {margin}; a difference can be smaller than one above 0 alone")
    d = _checked(differences, "differences")
    return _equivalence(d, margin, _RELATIVE_TOLERANCE * float(np.abs(d).max()))


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
    """Two-sided: sums below the negative threshold mirror those above it."""
    threshold = abs(math.fsum(differences)) - len(differences) * tolerance
    # |sum| over all flips depends on magnitudes alone; sorted, they give the same sums whatever the pairs' order.
    magnitudes = np.sort(np.abs(differences))
    if len(differences) <= EXACT_SIGN_FLIPS_UP_TO:
        return 1.0 if threshold <= 0 else 2 * _share_reaching(magnitudes, threshold)  # 1: no difference at all
    return _drawn_share(lambda sums: np.abs(sums) >= threshold, magnitudes)


def _equivalence(differences: Array, margin: float, tolerance: float) -> float:
    """The larger p of the two one-sided tests that the differences lie above -margin and below margin."""
    return max(_lies_above(differences + margin, tolerance), _lies_above(margin - differences, tolerance))


def _lies_above(differences: Array, tolerance: float) -> float:
    """One-sided p of the sign-flip test that the differences lie above zero."""
    threshold = math.fsum(differences) - len(differences) * tolerance
    magnitudes = np.sort(np.abs(differences))
    if len(differences) <= EXACT_SIGN_FLIPS_UP_TO:
        return _share_reaching(magnitudes, threshold)
    return _drawn_share(lambda sums: sums >= threshold, magnitudes)


def _share_reaching(magnitudes: Array, threshold: float) -> float:
    """The share of all sign flips whose sum reaches the threshold, exactly."""
    # A sum over all pairs is one over each half: for each of one half, how many of the other reach the threshold with it.
    half = len(magnitudes) // 2
    one, other = np.sort(_signed_sums(magnitudes[:half])), _signed_sums(magnitudes[half:])
    short = int(np.searchsorted(one, threshold - other, "left").sum())
    return float((len(one) * len(other) - short) / 2 ** len(magnitudes))


def _drawn_share(reaches: Callable[[Array], NDArray[np.bool_]], magnitudes: Array) -> float:
    """The same over random sign flips of a fixed seed, the observed one counted in."""
    random = np.random.default_rng(_SEED)
    hits, left = 0, SIGN_FLIP_DRAWS
    while left:
        draws = min(left, 10_000)
        signs = random.integers(0, 2, size=(draws, len(magnitudes)), dtype=np.int8).astype(np.float64) * 2 - 1
        hits += int(np.count_nonzero(reaches(signs @ magnitudes)))
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
