"""What a report must know of a study beyond its records: the question, its arms and conditions, what was planned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from results.records.constraints import parse_constraint
from results.records.documents import read_document
from results.records.origins import UNKNOWN, Origin
from trainables.files import write_atomically


class ManifestDamaged(ValueError):
    """`study.json` is not what a run writes; the message names it."""


Role = Literal["full", "ablated", "baseline", "oracle"]
"""An oracle reads which images are synthetic: a bound, which the table shows and does not test."""
Tuning = Literal["retuned", "inherited"]
BudgetUnit = Literal["steps", "trials"]

MANIFEST_NAME = "study.json"
BARE = "bare"
"""In an arm's name: every component off, but those that the name goes on with after a `+`."""
MOST_TRIALS = 10_000_000
"""Of one cell: more is a damaged number."""


@dataclass(frozen=True, kw_only=True)
class ArmInfo:
    """One row of the table."""

    name: str
    """`rsmatch`, `rsmatch-without-queue`, `fixmatch`."""
    title: str
    """`RSMatch without class-wise queue`."""
    algorithm: str
    role: Role
    removed: tuple[str, ...] = ()
    """The components this arm is about; none for the full method, baselines, and arms that only change a value."""
    off: tuple[str, ...] = ()
    """Every component that is off, also those that fell with `removed`."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters that this arm fixes at another value than the full method."""
    tuning: Tuning = "retuned"
    """Whether the arm is tuned itself or takes the full method's best configuration over."""
    twin: str | None = None
    """The arm with the same components and values whose tuning is the other kind."""
    meaning: str = ""
    """What off means here, as a sentence."""


@dataclass(frozen=True, kw_only=True)
class ConditionInfo:
    """One column of the table."""

    name: str
    title: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    real_only: str = ""
    """The study's condition with the same real images and no synthetic ones; empty where there is none, or it is this one."""


@dataclass(frozen=True, kw_only=True)
class RangeInfo:
    """What a search takes a hyperparameter from: the numbers from `low` to `high`, both included, or one of `choices`."""

    low: int | float = 0
    """Whole numbers where both ends are."""
    high: int | float = 0
    log: bool = False
    """Whether the search is uniform in the logarithm."""
    choices: tuple[bool | int | float | str, ...] = ()
    """Without order; empty where the range is one of numbers."""

    @property
    def whole(self) -> bool:
        """Whether it is one of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        if self.choices:
            return any(type(choice) is type(value) and choice == value for choice in self.choices)
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def check(self, name: str) -> None:
        """Raise ValueError where it holds nothing to choose from."""
        if len(set(self.choices)) < 2 if self.choices else not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"space: {name} leaves nothing to choose")


@dataclass(frozen=True, kw_only=True)
class CellInfo:
    """Arm x condition, under the identities that its records carry, and what of its tuning decides which records count."""

    cell: str
    arm: str
    condition: str
    origin: Origin = UNKNOWN
    """Of the records that are made now."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The configuration where nothing is suggested."""
    space: Mapping[str, RangeInfo] = field(default_factory=dict)
    """What is searched, by hyperparameter; empty where nothing is, and in a manifest of before it was kept."""
    search: str = ""
    """Identity of the search settings: the history that the first generation's records carry."""
    confirm: str = ""
    """Identity that the records of the confirmation carry."""
    tuning_seed: int = 0
    tuning_trials: int = 0
    """Granted; 1 where the arm has nothing to search, 0 where nothing is tuned or the configuration is inherited."""
    generation: int = 1
    """Suggestions in a generation; 0 where the search is asynchronous."""
    most_trials: int = 0
    """Trials that may start at most when stopped ones hand their steps back; at least `tuning_trials`."""
    trial_steps: int = 0
    """Steps of a trial that is not stopped."""
    unit: BudgetUnit = "trials"
    """What is equal in all cells: trials, or the training steps that so many full trials take."""
    objectives: tuple[str, ...] = ("val_error",)
    constraints: tuple[str, ...] = ()
    confirm_top: int = 0
    confirm_seeds: tuple[int, ...] = ()
    inherits: str = ""
    """The arm whose chosen configuration this cell takes over; empty where it is tuned itself."""
    takes: tuple[str, ...] = ()
    """The fields that it takes over."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An arm that a design names and that is not run by itself, with the reason."""

    name: str
    reason: str
    same_as: str | None = None
    """The arm that comes out identical and is run instead."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A component (on, off) or a hyperparameter (its values) that a factorial design varies."""

    name: str
    title: str
    levels: tuple[str, ...]
    """The first is the full method's own."""


@dataclass(frozen=True, kw_only=True)
class Factorial:
    """A factorial design: which arm stands at which combination of levels."""

    factors: tuple[Factor, ...]
    runs: tuple[tuple[tuple[int, ...], str], ...]
    """(level of each factor, arm), combinations that make no sense left out."""
    resolution: int | None = None
    """None for the full design."""
    aliases: tuple[str, ...] = ()
    """Which effects a fraction cannot tell apart, as `a + b:c`, up to interactions of two."""


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
    earlier_seeds: tuple[tuple[int, ...], ...] = ()
    """Evaluation seeds that the study had before, oldest first, where results of them were there when they were changed."""
    negligible: float = 1.0
    """Percentage points: a difference that is shown to be smaller is called negligible; 0 to call none so."""
    accepted: tuple[Origin, ...] = ()
    """Earlier origins whose records count beside the current ones."""
    left_out: tuple[LeftOut, ...] = ()
    factorial: Factorial | None = None
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

    def check(self) -> None:
        """Raise ValueError where its parts do not fit together, which no run leaves."""
        arms, conditions = ([one.name for one in listed] for listed in (self.arms, self.conditions))
        cells = {(cell.arm, cell.condition) for cell in self.cells}
        if len(set(arms)) < len(arms) or len(set(conditions)) < len(conditions) or len(cells) < len(self.cells):
            raise ValueError("an arm, a condition or a cell is there twice")
        if self.reference not in arms:
            raise ValueError(f"reference: no arm {self.reference!r}")
        if not 0 <= self.negligible <= 100:
            raise ValueError("negligible: not from 0 to 100 percentage points")
        if not isinstance(self.provenance.get("code", {}), Mapping):
            raise ValueError("provenance: code has no entries")
        for cell in self.cells:
            if cell.arm not in arms or cell.condition not in conditions:
                raise ValueError(f"cells: no arm {cell.arm!r} or no condition {cell.condition!r}")
            if cell.inherits and (cell.inherits, cell.condition) not in cells:
                raise ValueError(f"cells: no cell of {cell.inherits!r} under {cell.condition!r} to take over from")
            if not 0 <= cell.tuning_trials <= MOST_TRIALS or not 0 <= cell.most_trials <= MOST_TRIALS:
                raise ValueError(f"cells: more than {MOST_TRIALS:,} trials, or fewer than none")
            for text in cell.constraints:
                parse_constraint(text)
            for name, found in cell.space.items():
                found.check(name)

    def seeds_before(self, seeds: tuple[int, ...], evaluated: bool) -> tuple[tuple[int, ...], ...]:
        """`earlier_seeds` of a manifest with these evaluation seeds that comes after this one.

        Args:
            seeds: Of the new manifest.
            evaluated: Whether a result of this one's seeds is there, which somebody may have looked at.
        """
        changed = evaluated and self.evaluation_seeds != seeds
        return (*self.earlier_seeds, self.evaluation_seeds) if changed else self.earlier_seeds

    def save(self, study_dir: Path) -> Path:
        """Write `study.json` into the study's folder, atomically. Raises ManifestDamaged where a folder has its name."""
        path = study_dir / MANIFEST_NAME
        if path.is_dir():
            raise ManifestDamaged(f"{path}: a folder, where the study's manifest belongs; move it away and run again")
        write_atomically(path, json.dumps(asdict(self), indent=1, sort_keys=True).encode())
        return path

    @classmethod
    def load(cls, study_dir: Path) -> StudyManifest:
        """Read `study.json`; FileNotFoundError where the study never ran, ManifestDamaged where it is no manifest."""
        path = study_dir / MANIFEST_NAME
        try:
            manifest = TypeAdapter(cls).validate_python(read_document(path))
            manifest.check()
            return manifest
        except ValueError as problem:
            reason = " ".join(str(problem).split())[:200]
            away = "move it away, and " if path.is_dir() else ""
            raise ManifestDamaged(
                f"{path}: not a study manifest ({reason}); {away}`ablate run` writes it anew"
            ) from problem


Named = TypeVar("Named", ArmInfo, ConditionInfo)


def _find(items: Sequence[Named], name: str) -> Named:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)
