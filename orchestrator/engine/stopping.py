"""Early stopping: limits that a trial is judged by, from earlier trials of its own cell at the same steps."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from orchestrator.design.cell import StopLimits
from results.records.trial_record import Curve


class EarlierCurves:
    """Validation errors of a cell's earlier trials, sorted, by report step.

    Args:
        report_steps: Where trials validate; the last one is never a place to stop.
        after: Share of the steps before which nothing stops, 0 to 1.
    """

    def __init__(self, report_steps: Sequence[int], *, after: float) -> None:
        places = [s for s in report_steps[:-1] if s >= after * report_steps[-1]]
        self._values: dict[int, list[float]] = {step: [] for step in places}

    def add(self, curve: Curve) -> None:
        """Take a trial's curve in, whether it was stopped or not."""
        for step, value in curve:
            if step in self._values:
                insort(self._values[step], value)

    def limits(self, keep: float) -> StopLimits:
        """(step, limit) pairs: a trial whose error in percent is above the limit at that step stops.

        With `keep` 0.5 this is the median stopping rule (Golovin et al. 2017, Vizier, section 3.5.2); a smaller `keep` asks
        a trial to be among that share of the earlier ones. Steps that fewer than two earlier trials reached have no limit.
        """
        return tuple((step, _quantile(values, keep)) for step, values in self._values.items() if len(values) >= 2)

    def above(self, step: int, value: float, keep: float) -> bool:
        """Asynchronous successive halving (Li et al. 2020, ASHA): whether a trial is not among the best share at this rung.

        Its own value counts; while fewer than 1/keep trials have come this far, every one goes on.
        """
        values = self._values.get(step, [])
        if len(values) * keep < 1:
            return False
        return value > values[max(math.floor(len(values) * keep), 1) - 1]


def _quantile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics, as `numpy.quantile`; `values` are sorted."""
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def first_stop(curve: Curve, limits: StopLimits) -> int | None:
    """The first step at which the curve is above its limit; None where it never is."""
    above = dict(limits)
    return next((step for step, value in curve if step in above and value > above[step]), None)
