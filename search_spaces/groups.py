"""The ranges, by group. A study names groups; an arm searches those fields that its algorithm has and its components
leave on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from search_spaces.ranges import FloatRange, IntRange, Range
from trainables.algorithms import ALGORITHMS, inactive_parameters

GROUPS: dict[str, dict[str, Range]] = {
    "thresholds": {
        "threshold": FloatRange(0.7, 0.99),
        "synthetic_threshold": FloatRange(0.3, 0.9),
    },
    "loss-weights": {
        "unlabelled_weight": FloatRange(0.3, 3.0, log=True),
        "synthetic_weight": FloatRange(0.05, 2.0, log=True),
        "detector_weight": FloatRange(0.3, 3.0, log=True),
    },
    "optimiser": {
        "learning_rate": FloatRange(0.01, 0.2, log=True),
        "weight_decay": FloatRange(1e-5, 1e-2, log=True),
    },
    "detector": {
        "queue_size": IntRange(8, 128, log=True),
        "warmup_share": FloatRange(0.05, 0.5),
        "real_prior": FloatRange(0.2, 0.8),
        "memory_decay": FloatRange(0.0, 0.98),
    },
}


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

    Raises KeyError for an unknown algorithm or group.
    """
    kind = ALGORITHMS[algorithm]
    exists = set(kind.Config.model_fields) - inactive_parameters(kind.components, off) - set(fixed)
    ranges = {field: r for group in groups for field, r in GROUPS[group].items()} | dict(own or {})
    found = {field: r for field, r in ranges.items() if field in exists}
    return dict(sorted(found.items()))
