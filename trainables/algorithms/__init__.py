"""The algorithms, by the name that study files use. Importing this costs no torch.

Code that changes what a built-in algorithm does stands elsewhere: this file is no part of any algorithm's source identity.
"""

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
from trainables.algorithms.declarations import declaration_problems
from trainables.algorithms.fixmatch import FixMatch
from trainables.algorithms.registry import ALGORITHMS, AlgorithmNotFound, module_folders, resolve
from trainables.algorithms.rsmatch import RSMatch
from trainables.algorithms.supervised import Supervised

ALGORITHMS.update({a.name: a for a in (Supervised, FixMatch, RSMatch)})

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "AlgorithmConfig",
    "AlgorithmNotFound",
    "Batch",
    "Component",
    "StepOutput",
    "Task",
    "closure",
    "declaration_problems",
    "inactive_parameters",
    "module_folders",
    "resolve",
]
