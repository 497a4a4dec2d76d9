"""When a tuning trial is given up: limits from the complete earlier generations of its own cell, fixed before it starts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from results.records import Curve

StopLimits = tuple[tuple[int, float], ...]


def median_limits(earlier: Sequence[Curve], report_steps: Sequence[int], *, after: float) -> StopLimits:
    """The median stopping rule (Golovin et al. 2017, Vizier, section 3.5.2), step by step.

    Args:
        earlier: Validation-error curves of the trials in complete earlier generations, stopped ones included.
        report_steps: Where a trial validates; the last one is never a place to stop.
        after: Share of the steps before which nothing stops, 0 to 1.

    Returns:
        (step, limit) pairs; a trial whose error in percent is above the limit at that step stops. Steps that fewer than two
        earlier trials reached have no limit.
    """
    limits = []
    for step in report_steps[:-1]:
        reached = [value for curve in earlier for s, value in curve if s == step]
        if step >= after * report_steps[-1] and len(reached) >= 2:
            limits.append((step, float(statistics.median(reached))))
    return tuple(limits)


def first_stop(curve: Curve, limits: StopLimits) -> int | None:
    """The first step at which the curve is above its limit; None where it never is."""
    above = dict(limits)
    return next((step for step, value in curve if step in above and value > above[step]), None)
