"""The algorithms, by the name that study files use. Importing this costs no torch."""

from __future__ import annotations

from trainables.algorithms.base import (
    Algorithm,
    AlgorithmConfig,
    Batch,
    Component,
    StepOutput,
    Task,
    closure,
    inactive_parameters,
)
from trainables.algorithms.fixmatch import FixMatch
from trainables.algorithms.rsmatch import RSMatch
from trainables.algorithms.supervised import Supervised

ALGORITHMS: dict[str, type[Algorithm]] = {a.name: a for a in (Supervised, FixMatch, RSMatch)}

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "AlgorithmConfig",
    "Batch",
    "Component",
    "StepOutput",
    "Task",
    "closure",
    "inactive_parameters",
]
