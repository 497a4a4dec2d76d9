"""Typed ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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


def parse_range(value: Mapping[str, Any]) -> Range:
    """A range as study files write it: `{low: 0.1, high: 1.0, log: true}`, whole numbers for an IntRange, or `{choices: [..]}`.

    Raises ValueError that names what is wrong.
    """
    if set(value) == {"choices"}:
        choices = value["choices"]
        if not isinstance(choices, list | tuple) or not all(isinstance(c, bool | int | float | str) for c in choices):
            raise ValueError("choices: expected a list of numbers or text")
        return Choice(tuple(choices))
    if not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise ValueError("expected {low, high} with an optional log, or {choices}")
    low, high, log = value["low"], value["high"], value.get("log", False)
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise ValueError(f"{name}: expected a number, got {bound!r}")
    if not isinstance(log, bool):
        raise ValueError(f"log: expected on or off, got {log!r}")
    if isinstance(low, int) and isinstance(high, int):
        return IntRange(low, high, log)
    return FloatRange(float(low), float(high), log)


def _check(low: float, high: float, log: bool) -> None:
    if not low < high:
        raise ValueError(f"low: {low} is not below high {high}")
    if not math.isfinite(high - low):
        raise ValueError(f"low: the range from {low} to {high} is not finite")
    if log and low <= 0:
        raise ValueError(f"low: {low} has no logarithm; use a number above 0 or log=False")
