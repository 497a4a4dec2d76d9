"""Conditions that a configuration must meet to be chosen, such as `pseudo_label_coverage >= 0.2`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

_FORM = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=)\s*([-+0-9.eE]+)\s*")


class Constraint(NamedTuple):
    """A bound on one metric of a trial's last report."""

    metric: str
    side: Literal["<=", ">="]
    bound: float

    def violation(self, metrics: Mapping[str, float]) -> float:
        """How far the metric is beyond its bound, 0 or less where it is met; infinite where the trial has no such metric."""
        if self.metric not in metrics:
            return math.inf
        excess = metrics[self.metric] - self.bound
        return excess if self.side == "<=" else -excess


def parse_constraint(text: str) -> Constraint:
    """Read `metric <= number` or `metric >= number`. Raises ValueError that says the form."""
    match = _FORM.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        bound = float(match[3])
    except ValueError:
        raise ValueError(f"expected 'metric <= number' or 'metric >= number', got '{text}'") from None
    if not math.isfinite(bound):
        raise ValueError(f"expected a finite bound, got '{text}'")
    return Constraint(match[1], "<=" if match[2] == "<=" else ">=", bound)


def violations(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> list[float]:
    """One number per constraint; all are 0 or less where every constraint is met."""
    return [c.violation(metrics) for c in constraints]
