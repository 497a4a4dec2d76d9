"""Summaries over all runs that no single bad run carries: interquartile mean, performance profile, probability of improvement.

They are those of Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice". Their intervals are
not, for reasons that `benchmarks/null_tables.py` measures:

- A resample draws seeds with replacement, and a drawn seed brings its runs under all conditions and of all arms, because one seed
  fixes the same images and initial weights in all of them. Agarwal et al. draw within each condition by itself, which takes
  runs of one seed for independent; here they are not, and such intervals are far too narrow.
- Percentile intervals of few seeds are too narrow in any case. Here the percentiles are those of Hesterberg's (2015) expanded
  interval, which for a mean makes up for it.
- A bootstrap's interval of a probability is too narrow near 0 and 1; that of the probability of improvement is a jackknife's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from results.analysis.comparison import comparison
from results.analysis.main_table import MainTable
from results.records.manifest import Role
from results.statistics.paired import ALPHA, Array, Interval

DRAWS = 2000
"""Resamples of a bootstrap."""
SEEDS_FOR_INTERVALS = 6
"""With fewer seeds the bootstrap sees too little of the spread to be shown."""
SEEDS_OF_ONE_CONDITION = 9
"""From which on a study with a single condition has these summaries."""
PROFILE_POINTS = 101

_SEED = 20_240_611


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustRow:
    """One arm over all conditions, from the seeds that it has under every one."""

    arm: str
    title: str
    role: Role
    errors: tuple[tuple[float, ...], ...]
    """Test errors in percent [seeds, conditions]; empty where no seed has all conditions."""
    iqm: float | None
    iqm_interval: Interval | None
    """None with fewer than `SEEDS_FOR_INTERVALS` seeds, as all intervals here."""
    improvement: float | None
    """Probability that a run of the full method errs less than one of this arm, 0 to 1; None for the full method itself."""
    improvement_interval: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Robust:
    """All arms of a study."""

    reference: str
    title: str
    """Of the reference."""
    conditions: int
    rows: tuple[RobustRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Share of an arm's runs whose error is at most tau, for each tau; arrays are [taus]."""

    arm: str
    title: str
    runs: int
    taus: Array
    share: Array
    low: Array
    high: Array
    """Pointwise 95% band; equal to the share where there are too few seeds for one."""


def interquartile_mean(errors: Array) -> Array:
    """The mean of what is left when the lowest and the highest quarter of the values are cut off, over the last axis.

    A quarter is rounded down: of 9 values the two lowest and the two highest go (25% trimmed mean; Agarwal et al. 2021,
    section 4.3).
    """
    n = errors.shape[-1]
    cut = n // 4
    kept: Array = np.sort(errors, axis=-1)[..., cut : n - cut].mean(axis=-1)
    return kept


def iqm_interval(errors: Array, *, joint: bool = True, expanded: bool = True) -> Interval:
    """Bootstrap 95% interval of the interquartile mean of all runs.

    Args:
        errors: [seeds, conditions], two seeds at least.
        joint: Draw seeds with their runs under all conditions; False draws within each condition by itself, as Agarwal et al.
            (2021, section 4.1) do for runs that have nothing in common.
        expanded: Take percentiles further out, the further the fewer the seeds (`tails`); False takes 2.5% and 97.5%.
    """
    seeds, conditions = errors.shape
    if joint:
        drawn = errors[_draws(seeds)]
    else:
        random = np.random.default_rng(_SEED)
        drawn = errors[random.integers(0, seeds, (DRAWS, seeds, conditions)), np.arange(conditions)]
    return _between(
        interquartile_mean(drawn.reshape(DRAWS, -1)), tails(seeds) if expanded else (ALPHA / 2, 1 - ALPHA / 2)
    )


def profile(errors: Array, taus: Array) -> Array:
    """Share of runs [taus] whose error is at most tau (Agarwal et al. 2021, section 4.2, for errors in place of scores)."""
    share: Array = (errors[:, :, None] <= taus).mean(axis=(0, 1))
    return share


def profile_band(errors: Array, taus: Array) -> tuple[Array, Array]:
    """Pointwise bootstrap 95% band of `profile`, low and high [taus]."""
    counted = _counts(len(errors)) @ (errors[:, :, None] <= taus).sum(axis=1, dtype=np.float64)
    low, high = np.quantile(counted / errors.size, tails(len(errors)), axis=0)
    return low, high


def improvement(first: Array, second: Array) -> float:
    """Probability that a run of `first` errs less than one of `second` under the same condition, averaged over conditions.

    All pairs of runs of a condition count, also of different seeds, ties for a half (Mann and Whitney's U over the
    number of pairs; Agarwal et al. 2021, section 4.3). It says how often, not by how much.

    Args:
        first: [seeds, conditions].
        second: [seeds, conditions]; the number of seeds may be another.
    """
    return float(_wins(first, second).sum()) / (2 * first.size * len(second))


def improvement_interval(first: Array, second: Array) -> Interval | None:
    """95% interval of `improvement` of two arms whose rows are the same seeds, two at least.

    Jackknife over seeds, each left out of both arms together (Arvesen 1969, "Jackknifing U-statistics"), on the logit scale and
    with Student's t of n-1 degrees of freedom: the logit keeps the interval between 0 and 1, and near its ends a bootstrap's is
    far too narrow. Its variance is Σ U_i² / n², with U_i = (n-1) times what leaving seed i out changes (Efron 1982, chapter 6): the
    plain jackknife's is n / (n-1) times that, and too large (Efron and Stein 1981).

    None where every run of one arm errs less than every one of the other: what is seen then does not say how far from certain
    that is.
    """
    points = _wins(first, second)
    n, most = len(points), 2 * first.shape[1]
    total = float(points.sum())
    if total in (0.0, most * n * n):
        return None
    from scipy.special import expit, logit, stdtrit

    left = total - points.sum(axis=0) - points.sum(axis=1) + points.diagonal()
    pairs = most * (n - 1) ** 2
    without = logit(np.clip(left, 0.5, pairs - 0.5) / pairs)  # half a tie off the ends, where the logit is infinite
    error = (n - 1) / n * math.sqrt(math.fsum((without - without.mean()) ** 2))
    middle, half = float(logit(total / (most * n * n))), float(stdtrit(n - 1, 1 - ALPHA / 2)) * error
    return Interval(low=float(expit(middle - half)), high=float(expit(middle + half)))


def tails(seeds: int) -> tuple[float, float]:
    """The percentiles of an expanded 95% interval: Φ(∓ t √(n / (n-1))) with Student's t of n-1 degrees of freedom.

    Hesterberg (2015), "What teachers should know about the bootstrap": for the mean of normal values the
    interval is then Student's. Raises ValueError for fewer than two seeds.
    """
    if seeds < 2:
        raise ValueError(f"seeds: {seeds}; an interval needs two")
    from scipy.special import ndtr, stdtrit

    low = float(ndtr(stdtrit(seeds - 1, ALPHA / 2) * math.sqrt(seeds / (seeds - 1))))
    return low, 1 - low


def robust(table: MainTable) -> Robust | None:
    """The study's summaries; None with one condition and fewer than `SEEDS_OF_ONE_CONDITION` seeds, and without two arms."""
    found = comparison(table)
    if not found.conditions:
        return None
    rows = []
    by_arm = {}
    for arm in found.arms:
        by_condition = [dict(row.test_errors) if row else {} for row in arm.rows]
        shared = [s for s in by_condition[0] if all(s in errors for errors in by_condition)]
        by_arm[arm.arm] = {s: tuple(errors[s] for errors in by_condition) for s in sorted(shared)}
    enough = len(found.conditions) > 1 or max(map(len, by_arm.values())) >= SEEDS_OF_ONE_CONDITION
    if not enough or sum(bool(errors) for errors in by_arm.values()) < 2:
        return None
    reference = found.conditions[0].reference
    base = by_arm.get(reference, {})
    for arm in found.arms:
        own = by_arm[arm.arm]
        shared = [s for s in own if s in base] if arm.arm != reference else []
        full, this = np.array([base[s] for s in shared]), np.array([own[s] for s in shared])
        errors = np.array(list(own.values()))
        rows.append(
            RobustRow(
                arm=arm.arm,
                title=arm.title,
                role=arm.role,
                errors=tuple(own.values()),
                iqm=float(interquartile_mean(errors.ravel())) if own else None,
                iqm_interval=iqm_interval(errors) if len(own) >= SEEDS_FOR_INTERVALS else None,
                improvement=improvement(full, this) if shared else None,
                improvement_interval=improvement_interval(full, this) if len(shared) >= SEEDS_FOR_INTERVALS else None,
            )
        )
    return Robust(
        reference=reference,
        title=found.conditions[0].reference_title,
        conditions=len(found.conditions),
        rows=tuple(rows),
    )


def profiles(found: Robust) -> tuple[Profile, ...]:
    """A profile for each arm but the oracles, on common taus from just below the lowest error to the highest."""
    shown = {row.arm: np.array(row.errors) for row in found.rows if row.errors and row.role != "oracle"}
    if not shown:
        return ()
    lowest, highest = min(float(e.min()) for e in shown.values()), max(float(e.max()) for e in shown.values())
    taus = np.linspace(float(math.floor(lowest)), float(math.ceil(highest)), PROFILE_POINTS)
    drawn = []
    for row in found.rows:
        if row.arm in shown:
            errors = shown[row.arm]
            share = profile(errors, taus)
            low, high = profile_band(errors, taus) if len(errors) >= SEEDS_FOR_INTERVALS else (share, share)
            drawn.append(
                Profile(arm=row.arm, title=row.title, runs=errors.size, taus=taus, share=share, low=low, high=high)
            )
    return tuple(drawn)


def _wins(first: Array, second: Array) -> Array:
    """Points [seeds of first, seeds of second] over all conditions: 2 where the first errs less, 1 for a tie.

    Whole numbers, so that sums over them are exact in any order.
    """
    points: Array = (2.0 * (first[:, None] < second[None]) + (first[:, None] == second[None])).sum(axis=2)
    return points


@lru_cache(maxsize=8)
def _draws(seeds: int) -> NDArray[np.int64]:
    """Drawn seeds [draws, seeds], the same for every arm."""
    return np.random.default_rng(_SEED).integers(0, seeds, (DRAWS, seeds))


@lru_cache(maxsize=8)
def _counts(seeds: int) -> Array:
    """How often each seed was drawn [draws, seeds]."""
    counts: Array = (_draws(seeds)[:, :, None] == np.arange(seeds)).sum(axis=1, dtype=np.float64)
    return counts


def _between(values: Array, percentiles: tuple[float, float]) -> Interval:
    low, high = np.quantile(values, percentiles)
    return Interval(low=float(low), high=float(high))
