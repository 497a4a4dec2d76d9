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
from trainables.algorithms.flexmatch import FlexMatch
from trainables.algorithms.freematch import FreeMatch
from trainables.algorithms.mean_teacher import MeanTeacher
from trainables.algorithms.oracles import OracleDrop, OracleDummyHead
from trainables.algorithms.pseudo_label import PseudoLabel
from trainables.algorithms.registry import ALGORITHMS, AlgorithmNotFound, module_folders, resolve
from trainables.algorithms.rsmatch import RSMatch
from trainables.algorithms.softmatch import SoftMatch
from trainables.algorithms.supervised import Supervised
from trainables.algorithms.uda import UDA

BUILT_IN = (
    *(Supervised, PseudoLabel, MeanTeacher, UDA, FixMatch, FlexMatch, FreeMatch, SoftMatch, RSMatch),
    *(OracleDrop, OracleDummyHead),
)
ALGORITHMS.update({a.name: a for a in BUILT_IN})

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
