"""Typed ranges."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included; uniform in the logarithm where `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.log)


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included; uniform in the logarithm where `log`."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.log)


@dataclass(frozen=True)
class Choice:
    """One of some values, without order."""

    values: tuple[bool | int | float | str, ...]

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2:
            raise ValueError(f"values: {self.values} leaves nothing to choose; give two different values or more")


Range = FloatRange | IntRange | Choice


def _check(low: float, high: float, log: bool) -> None:
    if not low < high:
        raise ValueError(f"low: {low} is not below high {high}")
    if not math.isfinite(high - low):
        raise ValueError(f"low: the range from {low} to {high} is not finite")
    if log and low <= 0:
        raise ValueError(f"low: {low} has no logarithm; use a number above 0 or log=False")
