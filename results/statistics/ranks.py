"""Ranking arms over conditions: pure functions of a table of mean errors [conditions, arms], lower is better.

A condition is a block: its arms are ranked among themselves, the lowest error first, equal errors share the mean of their ranks.
Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", section 3.2, is the way this is done for methods of
machine learning. All of it takes the conditions as independent draws of what the question is about. Conditions that a study chose
by hand are not: what is found then holds for these conditions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from results.statistics.paired import ALPHA, Array, holm

Errors = Sequence[Sequence[float]] | Array
"""Mean errors [conditions, arms]."""

_DECIMALS = 9
"""Errors that agree so far share their rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Friedman:
    """Do the arms' ranks differ at all?"""

    conditions: int
    average_ranks: tuple[float, ...]
    """Per arm, from 1 to the number of arms."""
    chi_square: float
    chi_square_p: float
    f: float
    """Iman and Davenport's statistic; infinite where all conditions agree."""
    p: float
    """Of `f`, and no smaller than the permutation test of ranks can give: (k!)^(1 - n)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two arms, as columns of the errors."""

    first: int
    second: int
    p: float
    """Wilcoxon's signed-rank test over conditions, two-sided."""
    p_holm: float
    """Corrected over all pairs."""


def ranks(errors: Errors) -> Array:
    """Ranks [conditions, arms] within each condition, 1 for the lowest error; ties share the mean of their ranks.

    Raises:
        ValueError: there is no condition or no arm, or a value is not finite.
    """
    x = np.asarray(errors, dtype=np.float64)
    if x.ndim != 2 or not x.size:
        raise ValueError("errors: needs at least one condition and one arm, [conditions, arms]")
    if not np.isfinite(x).all():
        raise ValueError("errors: holds a value that is not finite")
    x = np.round(x, _DECIMALS)
    below = (x[:, None, :] < x[:, :, None]).sum(axis=2)
    equal = (x[:, None, :] == x[:, :, None]).sum(axis=2)
    shared: Array = below + (equal + 1) / 2
    return shared


def friedman(errors: Errors) -> Friedman:
    """Friedman's test (1937) with ties, and the F statistic of Iman and Davenport (1980).

    With ranks r_ij of n conditions and k arms, R_j = Σ_i r_ij: χ² = (k-1) Σ_j (R_j - n(k+1)/2)² / (Σ_ij r_ij² - nk(k+1)²/4)
    (Conover 1999, section 5.8) on k-1 degrees of freedom, F = (n-1) χ² / (n(k-1) - χ²) on k-1 and (k-1)(n-1). χ² is too cautious
    with few conditions (Demšar 2006, section 3.2.2), so `p` is of F.

    Raises:
        ValueError: fewer than two conditions or arms, or a value is not finite.
    """
    from scipy.special import chdtrc, fdtrc

    r = ranks(errors)
    n, k = r.shape
    if n < 2 or k < 2:
        raise ValueError(f"errors: {n} conditions and {k} arms; Friedman's test needs two of each")
    spread = float((r**2).sum()) - n * k * (k + 1) ** 2 / 4
    between = float(((r.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    chi_square = (k - 1) * between / spread if spread > 0 else 0.0
    left = n * (k - 1) - chi_square
    agree = left <= 1e-9 * n * k
    f = math.inf if agree else (n - 1) * chi_square / left
    smallest = math.exp(-(n - 1) * math.lgamma(k + 1))
    return Friedman(
        conditions=n,
        average_ranks=tuple(float(mean) for mean in r.mean(axis=0)),
        chi_square=chi_square,
        chi_square_p=float(chdtrc(k - 1, chi_square)),
        f=f,
        p=max(smallest, 0.0 if agree else float(fdtrc(k - 1, (k - 1) * (n - 1), f))),
    )


def critical_difference(arms: int, conditions: int, alpha: float = ALPHA) -> float:
    """Average ranks that lie at least so far apart differ: q √(k(k+1) / 6n) (Nemenyi 1963; Demšar 2006, section 3.2.2).

    q is the upper alpha quantile of the studentized range of k arms with infinite degrees of freedom, over √2.
    """
    return _quantile(_at_least_two(arms), alpha) * _standard_error(arms, conditions)


def nemenyi_p(difference: float, arms: int, conditions: int) -> float:
    """Two-sided p of two average ranks so far apart, corrected over all pairs of arms (Nemenyi 1963)."""
    scaled = math.sqrt(2) * abs(difference) / _standard_error(_at_least_two(arms), conditions)
    return _range_exceeds(scaled, arms)


def conditions_needed(arms: int, alpha: float = ALPHA) -> int:
    """Conditions from which on Nemenyi's test says something of so many arms.

    The smallest n whose critical difference is at most (k-1)/2 ranks: an arm that is first in every condition then differs from
    one in the middle of the field. With fewer only the two ends of the table can ever differ, and a diagram would show one bar
    over nearly all arms. That is about ten from four arms on, as many as the approximation behind the test asks for (Demšar 2006).
    """
    per_condition = critical_difference(arms, 1, alpha)
    n = max(2, math.ceil((2 * per_condition / (arms - 1)) ** 2))
    while critical_difference(arms, n, alpha) > (arms - 1) / 2:  # the square above may be rounded down
        n += 1
    return n


def signed_rank_p(differences: Sequence[float] | Array) -> float:
    """Two-sided p of Wilcoxon's signed-rank test (1945), exact also with ties.

    Zeros are ranked and then count for neither side (Pratt 1959). P(W ≥ w) is counted over all signs, one difference at a time.
    """
    d = np.round(np.asarray(differences, dtype=np.float64), _DECIMALS)
    doubled = np.rint(2 * ranks(np.abs(d)[None])[0]).astype(np.int64)  # half ranks as whole numbers
    counted, positive = doubled[d != 0], int(doubled[d > 0].sum())
    total = int(counted.sum())
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in counted:
        chance[rank:] += chance[:-rank].copy()
        chance /= 2
    return min(1.0, 2 * float(chance[max(positive, total - positive) :].sum()))


def wilcoxon_pairs(errors: Errors) -> tuple[Pair, ...]:
    """Wilcoxon's signed-rank test of every two arms over conditions, with Holm's correction over all pairs."""
    x = np.asarray(errors, dtype=np.float64)
    pairs = list(combinations(range(x.shape[1]), 2))
    p_values = [signed_rank_p(x[:, i] - x[:, j]) for i, j in pairs]
    return tuple(
        Pair(first=i, second=j, p=p, p_holm=corrected)
        for (i, j), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    )


def cliques(average_ranks: Sequence[float], difference: float) -> tuple[tuple[int, ...], ...]:
    """The largest groups of arms that all lie closer than the critical difference: the bars of the diagram, the best first.

    Returns:
        Places in `average_ranks`, by rank; groups of one are left out.
    """
    order = sorted(range(len(average_ranks)), key=lambda place: average_ranks[place])
    found: list[tuple[int, int]] = []
    for start, first in enumerate(order):
        end = max(i for i, place in enumerate(order) if average_ranks[place] - average_ranks[first] < difference)
        if end > start and (not found or end > found[-1][1]):
            found.append((start, end))
    return tuple(tuple(order[start : end + 1]) for start, end in found)


def _standard_error(arms: int, conditions: int) -> float:
    if conditions < 1:
        raise ValueError(f"conditions: {conditions}; there must be at least one")
    return math.sqrt(arms * (arms + 1) / (6 * conditions))


def _at_least_two(arms: int) -> int:
    if arms < 2:
        raise ValueError(f"arms: {arms}; a comparison needs two")
    return arms


@lru_cache(maxsize=64)
def _quantile(arms: int, alpha: float) -> float:
    """Upper alpha quantile of the studentized range with infinite degrees of freedom, over √2; by bisection, to the last digits."""
    low, high = 0.0, 1.0
    while _range_exceeds(high, arms) > alpha:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _range_exceeds(middle, arms) > alpha else (low, middle)
    return high / math.sqrt(2)


def _range_exceeds(q: float, arms: int) -> float:
    """P(largest − smallest of k standard normals > q) = 1 − k ∫ φ(z) (Φ(z) − Φ(z − q))^(k−1) dz.

    Normals beyond 9 have no weight here, and the trapezoid rule is exact to rounding for so smooth a function that ends in zeros.
    (`scipy.stats.studentized_range` says the same, and takes a second to import.)
    """
    from scipy.special import ndtr

    step = 1 / 64
    z = np.arange(-9, 9 + step, step)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = arms * step * float((density * (ndtr(z) - ndtr(z - q)) ** (arms - 1)).sum())
    return min(1.0, max(0.0, 1 - below))
