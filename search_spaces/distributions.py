"""Ranges as Optuna distributions: the only module that imports optuna for spaces."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.ranges import Choice, FloatRange, IntRange, Range


def distribution(value: Range) -> BaseDistribution:
    """The Optuna distribution with the same values and the same scale."""
    match value:
        case FloatRange(low, high, log):
            return FloatDistribution(low, high, log=log)
        case IntRange(low, high, log):
            return IntDistribution(low, high, log=log)
        case Choice(values):
            return CategoricalDistribution(values)


def distributions(space: Mapping[str, Range]) -> dict[str, BaseDistribution]:
    """The distributions of a whole space, in the same order."""
    return {name: distribution(value) for name, value in space.items()}
