"""Headroom: how many fewer errors a method could make that knew which unlabelled images are synthetic.

Oracles know it. FixMatch's error minus an oracle's, in pairs over seeds, is what there is to gain under a condition; where it
is not told from noise, no method can show there that finding synthetic images pays. The best oracle is picked by the
same test images, so the headroom is, if anything, too large: a condition gets the benefit of the doubt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.records.manifest import ArmInfo
from results.statistics.paired import (
    ALPHA,
    PairedDifference,
    holm,
    paired_difference,
    seeds_needed,
    smallest_sign_flip_p,
)

BASE_ALGORITHM = "fixmatch"
"""What the oracles are without the truth."""

ROUNDING = 1e-9
"""Percentage points that are no difference."""

Errors = Mapping[int, float]
"""Test error in percent by seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """One oracle against FixMatch."""

    arm: str
    title: str
    by_seed: tuple[tuple[int, float], ...]
    """(seed, FixMatch's error minus the oracle's) where both completed."""
    difference: PairedDifference | None
    """In percentage points: positive where knowing the truth helps. None without pairs."""
    p_holm: float | None
    """`difference.p`, corrected over the oracles of the condition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Headroom:
    """What the oracles of one condition show."""

    base: str | None
    """Title of the FixMatch arm; None where the study has none."""
    method: str
    """Title of the full method."""
    bounds: tuple[Bound, ...]
    """In table order."""
    best: Bound | None
    """The oracle that errs least compared with FixMatch; None where none has a pair."""
    closed: float | None
    """Share of the headroom that the full method closes, over seeds that all three completed: 1 is the best oracle's error,
    0 FixMatch's, and it may lie beyond both. None where the condition cannot answer, or the method is FixMatch itself."""

    @property
    def too_few(self) -> bool:
        """Whether so few pairs could not tell any headroom from noise."""
        return self.best is not None and smallest_sign_flip_p(_pairs(self.best)) > ALPHA

    @property
    def can_answer(self) -> bool | None:
        """Whether the best oracle's interval excludes zero, with enough seeds to say so; None where nothing is measured."""
        return None if self.best is None else _excludes_zero(self.best)

    @property
    def seeds_needed(self) -> int:
        """Paired seeds from which on a headroom can be told from noise."""
        return seeds_needed(ALPHA)


def headroom(arms: Sequence[ArmInfo], errors: Mapping[str, Errors], reference: str) -> Headroom | None:
    """Compare the oracles of a condition with FixMatch; None where it has no oracle.

    Args:
        arms: The condition's arms, in table order.
        errors: Test errors by arm; without an entry, or with an empty one, where no evaluation completed.
        reference: The full method's arm.
    """
    oracles = [arm for arm in arms if arm.role == "oracle"]
    if not oracles:
        return None
    base = fixmatch_among(arms)
    known = errors.get(base.name, {}) if base else {}
    bounds = _bounds(oracles, known, errors)
    best = max((b for b in bounds if b.difference), key=_mean, default=None)
    closed = None
    if base is not None and base.name != reference and best is not None and _excludes_zero(best):
        closed = share_closed(known, errors.get(reference, {}), errors[best.arm])
    return Headroom(
        base=base.title if base else None,
        method=next((a.title for a in arms if a.name == reference), reference),
        bounds=bounds,
        best=best,
        closed=closed,
    )


def fixmatch_among(arms: Sequence[ArmInfo]) -> ArmInfo | None:
    """The arm that is FixMatch with all its parts; None where there is none."""
    return next(
        (a for a in arms if a.algorithm == BASE_ALGORITHM and a.role in ("full", "baseline") and not a.off), None
    )


def share_closed(base: Errors, method: Errors, oracle: Errors) -> float | None:
    """(base − method) / (base − oracle), of mean errors over the seeds that all three have.

    None without such a seed, and where the oracle errs no less than the base on them.
    """
    seeds = [s for s in base if s in method and s in oracle]
    gained = math.fsum(base[s] - method[s] for s in seeds)
    there = math.fsum(base[s] - oracle[s] for s in seeds)
    return gained / there if there > ROUNDING * len(seeds) else None


def _bounds(oracles: Sequence[ArmInfo], known: Errors, errors: Mapping[str, Errors]) -> tuple[Bound, ...]:
    shared = {arm.name: [s for s in known if s in errors.get(arm.name, {})] for arm in oracles}
    differences = {
        name: paired_difference([known[s] for s in seeds], [errors[name][s] for s in seeds])
        for name, seeds in shared.items()
        if seeds
    }
    p_holm = dict(zip(differences, holm([d.p for d in differences.values()], len(oracles)), strict=True))
    return tuple(
        Bound(
            arm=arm.name,
            title=arm.title,
            by_seed=tuple((s, known[s] - errors[arm.name][s]) for s in shared[arm.name]),
            difference=differences.get(arm.name),
            p_holm=p_holm.get(arm.name),
        )
        for arm in oracles
    )


def _excludes_zero(bound: Bound) -> bool:
    interval = bound.difference.interval if bound.difference else None
    return interval is not None and interval.low > ROUNDING and smallest_sign_flip_p(_pairs(bound)) <= ALPHA


def _mean(bound: Bound) -> float:
    return bound.difference.mean if bound.difference else -math.inf


def _pairs(bound: Bound) -> int:
    return bound.difference.n if bound.difference else 0
