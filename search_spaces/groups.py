"""The ranges, by group. A study names groups; an arm searches those fields that its algorithm has and its components
leave on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.ranges import Choice, FloatRange, IntRange, Range
from trainables.algorithms import ALGORITHMS, inactive_parameters

GROUPS: dict[str, dict[str, Range]] = {
    "thresholds": {
        "threshold": FloatRange(0.7, 0.99),
        "synthetic_threshold": FloatRange(0.3, 0.8),
        "temperature": FloatRange(0.2, 1.0),
    },
    "loss-weights": {
        "unlabelled_weight": FloatRange(0.3, 3.0, log=True),
        "synthetic_weight": FloatRange(0.05, 2.0, log=True),
        "detector_weight": FloatRange(0.3, 3.0, log=True),
        "final_weight": FloatRange(0.3, 10.0, log=True),
        "consistency_weight": FloatRange(10.0, 300.0, log=True),
        "fairness_weight": FloatRange(0.001, 0.1, log=True),
    },
    "optimiser": {
        "learning_rate": FloatRange(0.01, 0.2, log=True),
        "weight_decay": FloatRange(1e-5, 1e-2, log=True),
    },
    "detector": {
        "queue_size": IntRange(8, 128, log=True),
        "warmup_share": FloatRange(0.02, 0.3),
        "queue_weight": FloatRange(0.1, 2.0, log=True),
        "memory_decay": FloatRange(0.0, 0.98),
    },
    "schedules": {
        "ramp_start": FloatRange(0.0, 0.3),
        "ramp_end": FloatRange(0.3, 1.0),
        "ramp_share": FloatRange(0.05, 0.6),
        "annealing": Choice(("linear", "log", "exp")),
    },
    "averages": {
        "decay": FloatRange(0.9, 0.9999),
        "early_decay": FloatRange(0.9, 0.999),
        "teacher_decay": FloatRange(0.99, 0.9999),
    },
    "labels": {
        "data.labels_per_class": IntRange(1, 16, log=True),
    },
}
"""By group and field. The group `labels` is for searches with the objective `labels`: how many labels buy how much error."""

DATA_PREFIX = "data."
"""A field with this prefix is one of the data condition, not of the algorithm; every arm has it."""


def space_of(
    algorithm: str,
    off: Iterable[str],
    groups: Iterable[str],
    fixed: Iterable[str] = (),
    own: Mapping[str, Range] | None = None,
) -> dict[str, Range]:
    """What an arm searches, sorted by field.

    Args:
        algorithm: A name in ALGORITHMS.
        off: Components that are off; their parameters do not exist.
        groups: Names in GROUPS.
        fixed: Fields that the study sets to a constant.
        own: Ranges of the study's own, in place of the groups' for the same field.

    A range of whole numbers for a field of real ones becomes one of real numbers. Raises KeyError for an unknown algorithm
    or group.
    """
    kind = ALGORITHMS[algorithm]
    exists = set(kind.Config.model_fields) - inactive_parameters(kind.components, off) - set(fixed)
    ranges = {field: r for group in groups for field, r in GROUPS[group].items()} | dict(own or {})
    found = {
        field: _suited(r, kind.Config.model_fields[field].annotation) if field in exists else r
        for field, r in ranges.items()
        if field in exists or field.startswith(DATA_PREFIX)
    }
    return dict(sorted(found.items()))


def data_fields(suggested: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Suggested values in two: hyperparameters, and fields of the data condition without their prefix."""
    data = {name.removeprefix(DATA_PREFIX): v for name, v in suggested.items() if name.startswith(DATA_PREFIX)}
    return {name: v for name, v in suggested.items() if not name.startswith(DATA_PREFIX)}, data


def _suited(found: Range, kind: Any) -> Range:
    """`found` with real numbers where the field has them: `{low: 0, high: 1}` means more than 0 and 1."""
    if kind is not float:
        return found
    match found:
        case IntRange(low, high, log):
            return FloatRange(float(low), float(high), log)
        case Choice(values):
            return Choice(tuple(float(v) if type(v) is int else v for v in values))
        case FloatRange():
            return found
