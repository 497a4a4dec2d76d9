"""Arms against conditions as papers lay it out: mean and standard deviation over seeds, which arm is best, average ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from results.analysis.main_table import ConditionTable, MainTable, Row
from results.records.manifest import Role
from results.statistics.paired import ALPHA, holm, paired_difference
from results.statistics.ranks import Friedman, cliques, conditions_needed, critical_difference, friedman


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Test errors of one arm under one condition, in percent."""

    n: int
    mean: float
    std: float | None
    """Sample standard deviation over seeds (divisor n - 1); None for a single seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """The arm with the lowest mean of a condition against every other arm."""

    arm: str
    runner_up: str
    clear: bool
    """Whether it errs less than every other arm beyond noise: each difference holds after correction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One arm under all conditions, in their order."""

    arm: str
    title: str
    role: Role
    rows: tuple[Row | None, ...]
    spreads: tuple[Spread | None, ...]
    rank: float | None
    """Average rank over the conditions; None for oracles, and for an arm that lacks a condition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All arms of a study under all its conditions."""

    conditions: tuple[ConditionTable, ...]
    arms: tuple[Compared, ...]
    ranking: Friedman | None
    """Of the ranked arms, in table order; None with fewer than two conditions or ranked arms."""

    @property
    def ranked(self) -> tuple[Compared, ...]:
        """Arms that have an average rank, in table order."""
        return tuple(arm for arm in self.arms if arm.rank is not None)

    @property
    def enough_conditions(self) -> bool:
        """Whether there are as many conditions as Nemenyi's test needs to say something of so many arms, at least three."""
        arms = len(self.ranked)
        return self.ranking is not None and arms > 2 and self.ranking.conditions >= conditions_needed(arms)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankDiagram:
    """Average ranks with the groups of arms that Nemenyi's test does not tell apart, the best arm first."""

    titles: tuple[str, ...]
    ranks: tuple[float, ...]
    conditions: int
    p: float
    """Of Friedman's test, after Iman and Davenport."""
    critical_difference: float
    bars: tuple[tuple[int, int], ...]
    """First and last place of each group, both included."""


def spread(errors: Mapping[int, float]) -> Spread | None:
    """Mean and sample standard deviation of errors by seed; None without any."""
    n = len(errors)
    if not n:
        return None
    mean = math.fsum(errors.values()) / n
    squares = math.fsum((e - mean) * (e - mean) for e in errors.values())
    std = math.sqrt(squares / (n - 1)) if n > 1 else None
    return Spread(n=n, mean=mean, std=std)


def lead(errors: Mapping[str, Mapping[int, float]]) -> Lead | None:
    """Whether the arm with the lowest mean error is better than every other arm, in pairs over the seeds that both have.

    Every one of k - 1 differences must hold, after Holm's correction over them, because the arm was picked by the same numbers.
    For independent arms the difference to the runner-up alone would do (Gutmann and Maymin 1987; Hung and Fithian 2019); seed
    blocks make arms dependent, and so more is asked. `benchmarks/null_tables.py` measures how often an arm is called best
    where none is.

    Args:
        errors: Test error by arm and seed, of all arms that are planned; one without seeds counts as p = 1.

    Returns:
        None where fewer than two arms have a result.
    """
    return _lead(tuple((arm, tuple(by_seed.items())) for arm, by_seed in errors.items()))


def leads(found: Comparison) -> tuple[Lead | None, ...]:
    """The lead of each condition, oracles left out."""
    return tuple(lead({r.arm: dict(r.test_errors) for r in c.rows if r.role != "oracle"}) for c in found.conditions)


@lru_cache(maxsize=512)  # every renderer asks for the same conditions, and many tests of many seeds take a while
def _lead(errors: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]) -> Lead | None:
    by_arm = {arm: dict(by_seed) for arm, by_seed in errors}
    means = {arm: found.mean for arm, by_seed in by_arm.items() if (found := spread(by_seed))}
    if len(means) < 2:
        return None
    best, *others = sorted(means, key=lambda arm: means[arm])
    p_values: list[float] = []
    for arm in others:
        seeds = [s for s in by_arm[arm] if s in by_arm[best]]
        pairs = paired_difference([by_arm[arm][s] for s in seeds], [by_arm[best][s] for s in seeds]) if seeds else None
        if pairs is None or pairs.p > ALPHA or pairs.mean <= 0:  # corrected p is never smaller: no need to ask further
            break
        p_values.append(pairs.p)
    clear = len(p_values) == len(errors) - 1 and max(holm(p_values)) <= ALPHA
    return Lead(arm=best, runner_up=others[0], clear=clear)


def comparison(table: MainTable) -> Comparison:
    """Lay out a study's arms by its conditions; conditions without any result are left out, and so may be all."""
    conditions = tuple(c for c in table.conditions if any(r.test_errors for r in c.rows))
    first = {row.arm: row for condition in table.conditions for row in condition.rows}
    rows = {arm: tuple(c.row(arm) for c in conditions) for arm in first}
    spreads = {arm: tuple(spread(dict(r.test_errors)) if r else None for r in found) for arm, found in rows.items()}
    means = {
        arm: [s.mean for s in found if s]
        for arm, found in spreads.items()
        if first[arm].role != "oracle" and all(found)
    }
    ranking = None
    if len(conditions) > 1 and len(means) > 1:
        ranking = friedman(list(zip(*means.values(), strict=True)))
    average = dict(zip(means, ranking.average_ranks, strict=True)) if ranking else {}
    return Comparison(
        conditions=conditions,
        arms=tuple(
            Compared(
                arm=arm,
                title=row.title,
                role=row.role,
                rows=rows[arm],
                spreads=spreads[arm],
                rank=average.get(arm),
            )
            for arm, row in first.items()
        ),
        ranking=ranking,
    )


def rank_diagram(found: Comparison) -> RankDiagram | None:
    """The critical-difference diagram (Demšar 2006, figure 1); None where the conditions are too few for it to say anything."""
    if found.ranking is None or not found.enough_conditions:
        return None
    ranking = found.ranking
    ranked = found.ranked
    order = sorted(range(len(ranked)), key=lambda place: ranking.average_ranks[place])
    ordered = tuple(ranking.average_ranks[place] for place in order)
    difference = critical_difference(len(ranked), ranking.conditions)
    return RankDiagram(
        titles=tuple(ranked[place].title for place in order),
        ranks=ordered,
        conditions=ranking.conditions,
        p=ranking.p,
        critical_difference=difference,
        bars=tuple((bar[0], bar[-1]) for bar in cliques(ordered, difference)),
    )
