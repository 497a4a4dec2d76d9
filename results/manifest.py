"""What a report must know of a study beyond its records: the question, its arms and conditions, what was planned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from trainables.files import write_atomically


class ManifestDamaged(ValueError):
    """`study.json` is not what a run writes; the message names it."""


Role = Literal["full", "ablated", "baseline"]

MANIFEST_NAME = "study.json"


@dataclass(frozen=True, kw_only=True)
class ArmInfo:
    """One row of the table."""

    name: str
    """`rsmatch`, `rsmatch-without-queue`, `fixmatch`."""
    title: str
    """`RSMatch without class-wise queue`."""
    algorithm: str
    role: Role
    removed: str | None = None
    """The one component this arm is about; None for the full method and baselines."""
    off: tuple[str, ...] = ()
    """Every component that is off, also those that fell with `removed`."""
    meaning: str = ""
    """What off means here, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class ConditionInfo:
    """One column of the table."""

    name: str
    title: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CellInfo:
    """Arm x condition, under the identities that its records carry."""

    cell: str
    arm: str
    condition: str
    search: str = ""
    """Identity of the search settings; tuning records of another search do not count."""
    tuning_trials: int = 0
    """Planned; 1 where the arm has nothing to search."""


@dataclass(frozen=True, kw_only=True)
class StudyManifest:
    """Everything that tables and figures need besides the ledger. Arms and conditions are in table order."""

    study: str
    question: str
    reference: str
    """The arm that differences are taken to: the full method."""
    arms: tuple[ArmInfo, ...]
    conditions: tuple[ConditionInfo, ...]
    cells: tuple[CellInfo, ...]
    tuning_trials: int
    evaluation_seeds: tuple[int, ...]
    steps: int
    """Training steps of a trial that is not stopped early."""
    source: str
    """The study file's text as it was run."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The resolved study, defaults filled in."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Commit, versions, hardware and data hashes of the newest run."""

    def arm(self, name: str) -> ArmInfo:
        """The arm of that name; KeyError where there is none."""
        return _find(self.arms, name)

    def condition(self, name: str) -> ConditionInfo:
        """The condition of that name; KeyError where there is none."""
        return _find(self.conditions, name)

    def save(self, study_dir: Path) -> Path:
        """Write `study.json` into the study's folder, atomically."""
        path = study_dir / MANIFEST_NAME
        write_atomically(path, json.dumps(asdict(self), indent=1, sort_keys=True).encode())
        return path

    @classmethod
    def load(cls, study_dir: Path) -> StudyManifest:
        """Read `study.json`; FileNotFoundError where the study never ran, ManifestDamaged where it is no manifest."""
        path = study_dir / MANIFEST_NAME
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                **{
                    **raw,
                    "arms": tuple(ArmInfo(**{**a, "off": tuple(a["off"])}) for a in raw["arms"]),
                    "conditions": tuple(ConditionInfo(**c) for c in raw["conditions"]),
                    "cells": tuple(CellInfo(**c) for c in raw["cells"]),
                    "evaluation_seeds": tuple(raw["evaluation_seeds"]),
                }
            )
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as problem:
            raise ManifestDamaged(f"{path}: not a study manifest ({problem}); `ablate run` writes it anew") from problem


Named = TypeVar("Named", ArmInfo, ConditionInfo)


def _find(items: Sequence[Named], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
