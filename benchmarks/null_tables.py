"""Made-up tables in which no arm differs from another: what the statistics of the report then say, and how often it is wrong.

    python benchmarks/null_tables.py [--tables 2000] [--json]

Prints three tables, or one object with `tables`, `familywise_error`, `false_positive_rate`, `coverage_difference`, `coverage_mean`
and everything behind them; `tests/reference/test_null_tables.py` is the short form. A table has a full method and eight other
arms, each with an error per seed: the seed block's own part, which all arms share, and the arm's. The functions of `results`
themselves are asked wherever that takes no longer than a minute or two; where all tables are computed at once, the outcome is
compared with them on some of the tables.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from results.analysis.comparison import lead
from results.analysis.robust import SEEDS_FOR_INTERVALS, improvement_interval, interquartile_mean, iqm_interval
from results.statistics.paired import ALPHA, Interval, holm, mean_interval, paired_difference
from results.statistics.ranks import conditions_needed, critical_difference, friedman

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

ARMS = 9
"""The full method among them."""
SEEDS = (3, 6, 9, 15)
CONDITIONS = 3
BLOCK = 1.5
"""Standard deviation of the seed block's part, in units of the arm's: errors of two arms then correlate by 0.69."""
NOISES: dict[str, Noise] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "skewed": lambda random, shape: random.standard_exponential(shape) - 1,
    "heavy": lambda random, shape: random.standard_t(3, shape) / math.sqrt(3),
}
"""All with mean 0 and variance 1: normal, exponential, Student's t of 3 degrees of freedom."""
UNEQUAL = "unequal"
"""Skewed noise, three times as wide in all arms but the full method: differences are then skewed, and the sign-flip test, which
takes them for symmetric, is no longer exact. Measured beside the others and no part of the totals."""
FAR = 3.0
"""In units of the arm's noise: about 88% of the runs of the better arm then err less than one of the other."""
MARGIN = 2.0
"""Of negligible differences, in units of the arm's noise; differences of two arms scatter by 1.4 of these."""
CHECKED = 20
"""Tables of each setting on which the functions of `results` are asked too."""
_SEED = 20_251_124
_MANY = 500_000
"""Seeds from which a true value is taken."""


@dataclass(frozen=True, kw_only=True)
class TableRates:
    """Over the tables of one noise and number of seeds; shares from 0 to 1."""

    noise: str
    seeds: int
    tables: int
    familywise_error: float
    """Tables with at least one significant difference after Holm correction."""
    false_positive_rate: float
    """Comparisons with an uncorrected p of at most 0.05."""
    false_positive_rate_corrected: float
    """Comparisons with a corrected one."""
    false_best: float
    """Tables in which one arm is set in bold as better than all others."""
    false_best_of_two: float
    """The same where two arms are equally good and the others far behind: the most that bold can be wrong by chance."""
    false_negligible: float
    """Tables in which some difference is called negligible, after Holm, though all are as large as the margin."""
    true_negligible: float
    """Comparisons that are called negligible, after Holm, where all arms are equal."""
    coverage_mean: float
    """t intervals of an arm's mean that hold the true mean."""
    coverage_difference: float
    """t intervals of a paired difference that hold zero."""


@dataclass(frozen=True, kw_only=True)
class BootstrapRates:
    """Coverage of the intervals over all runs, of three conditions that share their seeds."""

    noise: str
    seeds: int
    tables: int
    coverage_iqm: float
    """Of the interquartile mean as the report has it: whole seeds drawn, expanded percentiles."""
    coverage_percentile: float
    """Whole seeds drawn, plain percentiles."""
    coverage_within_conditions: float
    """Drawn within each condition by itself, plain percentiles (Agarwal et al. 2021)."""
    coverage_improvement: float
    """Of the probability of improvement of two equal arms, which is a half."""
    coverage_improvement_far: float
    """Of the probability of improvement over an arm that errs more by `FAR`; where no interval is given the truth is not held."""


@dataclass(frozen=True, kw_only=True)
class RankRates:
    """Tests of ranks over conditions that are independent."""

    conditions: int
    tables: int
    friedman: float
    """Tables whose p after Iman and Davenport is at most 0.05."""
    friedman_chi_square: float
    nemenyi: float
    """Tables in which at least two arms lie a critical difference apart."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Everything that was measured."""

    tables: int
    """Made-up tables that the next seven are of: every number of seeds under every noise of `NOISES`."""
    familywise_error: float
    """Share of tables with a significant difference after Holm correction."""
    familywise_error_highest: float
    """The same at the number of seeds where it is highest: with few seeds nothing can be significant."""
    false_positive_rate: float
    """Share of comparisons with an uncorrected p of at most 0.05."""
    false_positive_rate_highest: float
    false_negligible_highest: float
    """Share of tables with a difference that is wrongly called negligible, at the number of seeds where it is highest."""
    coverage_difference: float
    """Normal noise, over all numbers of seeds; as the next one."""
    coverage_mean: float
    settings: tuple[TableRates, ...]
    bootstrap: tuple[BootstrapRates, ...]
    ranks: tuple[RankRates, ...]


def measure(tables: int) -> Rates:
    """Simulate `tables` tables for each noise and number of seeds, and half of that for intervals over all runs."""
    settings = tuple(table_rates(noise, seeds, tables) for noise in (*NOISES, UNEQUAL) for seeds in SEEDS)
    counted = [s for s in settings if s.noise != UNEQUAL]
    normal = [s for s in settings if s.noise == "normal"]
    enough = [seeds for seeds in SEEDS if seeds >= SEEDS_FOR_INTERVALS]
    return Rates(
        tables=tables * len(counted),
        familywise_error=_mean([s.familywise_error for s in counted]),
        familywise_error_highest=max(_mean([s.familywise_error for s in counted if s.seeds == n]) for n in SEEDS),
        false_positive_rate=_mean([s.false_positive_rate for s in counted]),
        false_positive_rate_highest=max(_mean([s.false_positive_rate for s in counted if s.seeds == n]) for n in SEEDS),
        false_negligible_highest=max(_mean([s.false_negligible for s in counted if s.seeds == n]) for n in SEEDS),
        coverage_difference=_mean([s.coverage_difference for s in normal]),
        coverage_mean=_mean([s.coverage_mean for s in normal]),
        settings=settings,
        bootstrap=tuple(bootstrap_rates(noise, seeds, max(1, tables // 2)) for noise in NOISES for seeds in enough),
        ranks=tuple(rank_rates(conditions, tables) for conditions in (3, 5, conditions_needed(ARMS), 20)),
    )


def table_rates(noise: str, seeds: int, tables: int) -> TableRates:
    """What is said of tables in which all arms are alike."""
    random = np.random.default_rng([_SEED, seeds, [*NOISES, UNEQUAL].index(noise)])
    errors = draw_errors(random, noise, (tables, ARMS, seeds))
    differences = errors[:, 1:] - errors[:, :1]
    p = sign_flip_ps(differences)
    corrected = holms(p)
    small, at_margin = equivalence_ps(differences), equivalence_ps(differences + MARGIN)
    means, differing = covers(errors), covers(differences)
    for table in range(min(CHECKED, tables)):
        _check_table(errors[table], p[table], small[table], means[table], differing[table])
    far = errors + np.array([0.0, 0.0, *[1000.0] * (ARMS - 2)])[:, None]
    return TableRates(
        noise=noise,
        seeds=seeds,
        tables=tables,
        familywise_error=float((corrected <= ALPHA).any(axis=1).mean()),
        false_positive_rate=float((p <= ALPHA).mean()),
        false_positive_rate_corrected=float((corrected <= ALPHA).mean()),
        false_best=false_bests(errors),
        false_best_of_two=false_bests(far),
        false_negligible=float((holms(at_margin) <= ALPHA).any(axis=1).mean()),
        true_negligible=float((holms(small) <= ALPHA).mean()),
        coverage_mean=float(means.mean()),
        coverage_difference=float(differing.mean()),
    )


def draw_errors(random: np.random.Generator, noise: str, shape: tuple[int, int, int]) -> Array:
    """Errors [tables, arms, seeds] whose true means are all 0; the first arm is the full method."""
    tables, arms, seeds = shape
    own = NOISES["skewed" if noise == UNEQUAL else noise](random, shape)
    if noise == UNEQUAL:
        own *= np.array([1.0, *[3.0] * (arms - 1)])[:, None]
    errors: Array = BLOCK * random.standard_normal((tables, 1, seeds)) + own
    return errors


def sign_flip_ps(differences: Array) -> Array:
    """`results.statistics.paired.sign_flip_p` of each row [..., seeds]: all sign flips of all rows in one product of matrices."""
    return 2 * _shares(np.abs(differences), np.abs(differences.sum(axis=-1)))


def equivalence_ps(differences: Array) -> Array:
    """`results.statistics.paired.equivalence_p` of each row [..., seeds] with `MARGIN`."""
    above, below = differences + MARGIN, MARGIN - differences
    return np.maximum(_shares(np.abs(above), above.sum(axis=-1)), _shares(np.abs(below), below.sum(axis=-1)))


def holms(p: Array) -> Array:
    """Each table's p-values [tables, comparisons], corrected."""
    return np.array([holm(row) for row in p])


def _shares(magnitudes: Array, sums: Array) -> Array:
    """The share of all sign flips of each row [..., seeds] whose sum reaches `sums` [...], in one product of matrices."""
    n = magnitudes.shape[-1]
    flips = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)
    signs = np.concatenate([1.0 - 2 * (flips & 1), np.ones((len(flips), 1))], axis=1)  # the others mirror these
    rows, threshold = magnitudes.reshape(-1, n), sums.reshape(-1) - 1e-9
    share = np.empty(len(rows))
    for start in range(0, len(rows), 256):
        part = slice(start, start + 256)
        found, reached = rows[part] @ signs.T, threshold[part, None]
        share[part] = ((found >= reached).mean(axis=1) + (found <= -reached).mean(axis=1)) / 2
    return share.reshape(magnitudes.shape[:-1])


def covers(values: Array) -> NDArray[np.bool_]:
    """Whether Student's t interval of each row [..., seeds] holds 0."""
    from scipy.special import stdtrit

    n = values.shape[-1]
    half = float(stdtrit(n - 1, 1 - ALPHA / 2)) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    inside: NDArray[np.bool_] = np.abs(values.mean(axis=-1)) <= half
    return inside


def false_bests(errors: Array) -> float:
    """Share of tables [tables, arms, seeds] in which `results.analysis.comparison.lead` calls an arm better than all others."""
    order = np.argsort(errors.mean(axis=2), axis=1)[:, :2, None]
    best, runner_up = (np.take_along_axis(errors, order[:, [place]], axis=1)[:, 0] for place in (0, 1))
    # an arm is clear only if its difference to the runner-up holds, and most tables fail there: no need to ask further
    asked = errors[sign_flip_ps(runner_up - best) <= ALPHA]
    found = [lead({str(arm): dict(enumerate(row)) for arm, row in enumerate(table)}) for table in asked.tolist()]
    return sum(one is not None and one.clear for one in found) / len(errors)


def bootstrap_rates(noise: str, seeds: int, tables: int) -> BootstrapRates:
    """How often the intervals over all runs hold the truth."""
    random = np.random.default_rng([_SEED, 1, seeds, list(NOISES).index(noise)])

    def block(count: int) -> Array:
        return BLOCK * random.standard_normal((count, 1))

    def draw(block: Array) -> Array:
        return block + NOISES[noise](random, (len(block), CONDITIONS)) + np.arange(CONDITIONS)

    many = draw(block(_MANY))
    mean = float(interquartile_mean(many.ravel()))
    wins = float((many < draw(block(_MANY)) + FAR).mean())
    hits = []
    for _ in range(tables):
        shared = block(seeds)
        one, other = draw(shared), draw(shared)
        hits.append(
            (
                _holds(iqm_interval(one), mean),
                _holds(iqm_interval(one, expanded=False), mean),
                _holds(iqm_interval(one, joint=False, expanded=False), mean),
                _holds(improvement_interval(one, other), 0.5),
                _holds(improvement_interval(one, other + FAR), wins),
            )
        )
    iqm, percentile, within, equal, far = np.mean(hits, axis=0).tolist()
    return BootstrapRates(
        noise=noise,
        seeds=seeds,
        tables=tables,
        coverage_iqm=iqm,
        coverage_percentile=percentile,
        coverage_within_conditions=within,
        coverage_improvement=equal,
        coverage_improvement_far=far,
    )


def rank_rates(conditions: int, tables: int) -> RankRates:
    """How often the ranks of equal arms are told apart."""
    random = np.random.default_rng([_SEED, 2, conditions])
    apart = critical_difference(ARMS, conditions)
    found = [friedman(random.standard_normal((conditions, ARMS))) for _ in range(tables)]
    return RankRates(
        conditions=conditions,
        tables=tables,
        friedman=_mean([f.p <= ALPHA for f in found]),
        friedman_chi_square=_mean([f.chi_square_p <= ALPHA for f in found]),
        nemenyi=_mean([max(f.average_ranks) - min(f.average_ranks) >= apart for f in found]),
    )


def report(rates: Rates) -> str:
    """The tables that are printed."""
    lines = [
        "| noise | seeds | tables with a false positive, Holm | comparisons, p ≤ 0.05 | after Holm | false bold | of two | "
        "tables with a false negligible, Holm | true negligible | interval of a mean | of a difference |",
        "| --- " * 11 + "|",
        *(
            f"| {s.noise} | {s.seeds} | {s.familywise_error:.1%} | {s.false_positive_rate:.1%} | "
            f"{s.false_positive_rate_corrected:.2%} | {s.false_best:.1%} | {s.false_best_of_two:.1%} | "
            f"{s.false_negligible:.1%} | {s.true_negligible:.1%} | {s.coverage_mean:.1%} | {s.coverage_difference:.1%} |"
            for s in rates.settings
        ),
        "",
        "| noise | seeds | interval of the interquartile mean | plain percentiles | drawn within conditions | "
        "of the probability of improvement, equal arms | far apart |",
        "| --- " * 7 + "|",
        *(
            f"| {b.noise} | {b.seeds} | {b.coverage_iqm:.1%} | {b.coverage_percentile:.1%} | {b.coverage_within_conditions:.1%} | "
            f"{b.coverage_improvement:.1%} | {b.coverage_improvement_far:.1%} |"
            for b in rates.bootstrap
        ),
        "",
        "| conditions | Friedman, Iman and Davenport | Friedman, χ² | Nemenyi |",
        "| --- " * 4 + "|",
        *(
            f"| {r.conditions} | {r.friedman:.1%} | {r.friedman_chi_square:.1%} | {r.nemenyi:.1%} |"
            for r in rates.ranks
        ),
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the command; returns its exit status: 1 where the family-wise error lies above its level beyond chance."""
    parser = argparse.ArgumentParser(description="What the statistics say where there is nothing", allow_abbrev=False)
    parser.add_argument("--tables", type=int, default=2000, help="tables of each noise and number of seeds")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the tables")
    options = parser.parse_args()
    began = time.perf_counter()
    rates = measure(options.tables)
    if options.json:
        print(json.dumps(asdict(rates)))
    else:
        print(report(rates))
        print(f"\n{rates.tables:,} tables of {ARMS} arms in {time.perf_counter() - began:.0f} s")
    counted = sum(s.tables for s in rates.settings if s.noise != UNEQUAL and s.seeds == SEEDS[0])
    return 1 if rates.familywise_error_highest > ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / counted) else 0


def _check_table(errors: Array, p: Array, small: Array, means: NDArray[np.bool_], differing: NDArray[np.bool_]) -> None:
    """ArithmeticError where the functions of `results` say something else of this table."""
    same = [_holds(mean_interval(row.tolist()).interval, 0) for row in errors] == means.tolist()
    found = [paired_difference(row.tolist(), errors[0].tolist(), MARGIN) for row in errors[1:]]
    same &= [_holds(difference.interval, 0) for difference in found] == differing.tolist()
    same &= np.allclose([difference.p for difference in found], p, rtol=1e-12)
    same &= np.allclose([difference.p_negligible or 0.0 for difference in found], small, rtol=1e-12)
    if not same:
        raise ArithmeticError("the simulation and results.statistics.paired disagree")


def _holds(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.low <= truth <= interval.high


def _mean(values: list[float] | list[bool]) -> float:
    return math.fsum(values) / len(values)


if __name__ == "__main__":
    raise SystemExit(main())
