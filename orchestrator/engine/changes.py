"""Noticing that training code, libraries or data changed since records were made, and keeping what the user decided about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.common.errors import AblateError
from orchestrator.common.folders import DECISIONS_NAME
from orchestrator.design.plan import Plan
from results.records.documents import read_document
from results.records.origins import Origin, origin_of
from results.records.trial_record import TrialRecord
from trainables.files import inside, write_atomically
from trainables.source import source_files

SOURCES_NAME = "sources"

Decision = Literal["accept", "rerun"]


class ChangedSinceRecorded(AblateError):
    """Records of this study were made with other code, libraries or data, and nobody has said what to do with them."""


@dataclass(frozen=True)
class Decisions:
    """What the user decided about records of earlier origins."""

    accepted: frozenset[Origin] = frozenset()
    """Counted beside the current ones; tables mark their cells."""
    superseded: frozenset[Origin] = frozenset()
    """Kept in the ledger and not counted; their trials run again."""

    @classmethod
    def load(cls, study_dir: Path) -> Decisions:
        """Read them; none where nothing was decided. Raises AblateError where the file is damaged."""
        path = study_dir / DECISIONS_NAME
        try:
            raw = read_document(path)
            return cls(*(frozenset(Origin(*map(str, o)) for o in raw[name]) for name in ("accepted", "superseded")))
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as problem:
            raise AblateError(
                f"{path}: not what a run writes ({problem}); remove it, and decide again with --accept-mixed or --rerun"
            ) from problem

    def save(self, study_dir: Path) -> None:
        """Write them into the study's folder, atomically."""
        raw = {"accepted": sorted(self.accepted), "superseded": sorted(self.superseded)}
        write_atomically(study_dir / DECISIONS_NAME, json.dumps(raw, indent=1).encode())

    def decide(self, decision: Decision, origins: Collection[Origin]) -> Decisions:
        """With these origins decided, whatever was said of them before."""
        if decision == "accept":
            return Decisions(self.accepted.union(origins), self.superseded.difference(origins))
        return Decisions(self.accepted.difference(origins), self.superseded.union(origins))


@dataclass
class Change:
    """One earlier origin and the records that have it."""

    origin: Origin
    current: Origin
    """Of the same cells now."""
    algorithm: str
    records: int = 0
    arms: Counter[str] = field(default_factory=Counter)

    def sentence(self, study_dir: Path) -> str:
        """What differs and which records it touches."""
        parts = []
        if self.origin.source != self.current.source:
            files = _differing_files(study_dir, self.origin.source, self.algorithm)
            parts.append(
                f"the training source of {self.algorithm} ({self.origin.source} → {self.current.source}){files}"
            )
        if self.origin.environment != self.current.environment:
            parts.append(f"library versions ({self.origin.environment or 'unknown'} → {self.current.environment})")
        if self.origin.fingerprint != self.current.fingerprint:
            parts.append(f"the dataset ({self.origin.fingerprint} → {self.current.fingerprint})")
        arms = ", ".join(f"{name} {count}" for name, count in self.arms.items())
        return f"{' and '.join(parts)}; made before: {self.records} records ({arms})"


def changes(plan: Plan, refused: Iterable[TrialRecord], decided: Collection[Origin] = ()) -> list[Change]:
    """Origins of refused records that nobody has decided about, each with the records that it touches."""
    current = {c.id: c for c in plan.cells}
    found: dict[tuple[Origin, Origin], Change] = {}
    for record in refused:
        origin = origin_of(record)
        if origin in decided:
            continue
        cell = current[record.cell]
        change = found.setdefault(
            (origin, cell.origin), Change(origin=origin, current=cell.origin, algorithm=record.algorithm)
        )
        change.records += 1
        change.arms[record.arm] += 1
    return list(found.values())


def changed_message(study_dir: Path, found: Sequence[Change]) -> str:
    """What changed, what it touches, and what can be done."""
    lines = [f"{study_dir}: changed since its records were made:"]
    lines += [f"  {change.sentence(study_dir)}" for change in found]
    lines.append(
        "  decide with `ablate run`: --accept-mixed counts these records beside new ones and marks their rows; --rerun runs "
        "their trials again. Neither removes a record"
    )
    return "\n".join(lines)


def remember_sources(study_dir: Path, plan: Plan) -> None:
    """Keep which files each algorithm's training source is made of, so that a later change can be named by file."""
    for cell in {c.arm.algorithm: c for c in plan.cells}.values():
        path = study_dir / SOURCES_NAME / f"{cell.origin.source}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(source_files(cell.arm.algorithm), indent=1, sort_keys=True).encode())


def _differing_files(study_dir: Path, source: str, algorithm: str) -> str:
    """`: changed trainables/training.py`, or nothing where the old files are not known."""
    try:
        old = read_document(inside(study_dir, f"{SOURCES_NAME}/{source}.json"))
        new = source_files(algorithm)
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    except (OSError, ValueError, TypeError, AttributeError):
        return ""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f": {shown}" if names else ""
