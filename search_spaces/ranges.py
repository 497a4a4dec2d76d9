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


def contains(found: Range, value: Any) -> bool:
    """Whether a search of this range could suggest the value."""
    if isinstance(found, Choice):
        return any(type(v) is type(value) and v == value for v in found.values)
    kinds = int if isinstance(found, IntRange) else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and found.low <= value <= found.high


def nearest(found: Range, value: Any) -> bool | int | float | str:
    """The value itself where the range has it, or else the one of the range that is closest; of values without order the first."""
    if contains(found, value):
        return value if isinstance(found, Choice | IntRange) else float(value)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(found, Choice):
        numbers = [v for v in found.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return min(numbers, key=lambda v: abs(v - value)) if numeric and numbers else found.values[0]
    if not numeric:
        return found.low
    cut = min(max(value, found.low), found.high)
    return round(cut) if isinstance(found, IntRange) else float(cut)


def _check(low: float, high: float, log: bool) -> None:
    if not low < high:
        raise ValueError(f"low: {low} is not below high {high}")
    if not math.isfinite(high - low):
        raise ValueError(f"low: the range from {low} to {high} is not finite")
    if log and low <= 0:
        raise ValueError(f"low: {low} has no logarithm; use a number above 0 or log=False")
