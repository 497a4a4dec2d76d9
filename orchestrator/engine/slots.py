"""Places in a cell that one trial each fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.design.cell import Cell
from results.records.trial_record import Curve, TrialRecord
from trainables.configuration import content_hash
from trainables.specs import Phase, TrialSpec


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in a cell that one trial fills."""

    cell: Cell
    phase: Phase
    number: int
    spec: TrialSpec
    suggested: Mapping[str, Any]
    attempt: int = 0
    history: str = ""
    """What the record carries as its `search`, where that is not the specification's own."""
    first_step: int = 0
    """Where the trial that it continues ended: steps up to there are charged to that one."""


class Tuning(Protocol):
    """How a cell's search proceeds. A strategy hands out slots, takes their records, and says when it is finished."""

    copies: list[TrialRecord]
    """Records of equal suggestions that handing out produced: to be written, not to be run."""

    @property
    def ready(self) -> bool:
        """Whether a slot can probably be handed out now; cheap."""

    @property
    def finished(self) -> bool:
        """Whether the budget is used up and every trial recorded."""

    @property
    def records(self) -> list[TrialRecord]:
        """Everything recorded so far, by number."""

    @property
    def progress(self) -> int:
        """How far it has come, in trials; cheap."""

    @property
    def outlook(self) -> int:
        """Trials that are still to be recorded, if none is stopped early from now on."""

    def take(self) -> Slot | None:
        """Hand out the next slot; None where looking closer shows that there is none."""

    def finish(self, record: TrialRecord) -> list[TrialRecord]:
        """Fill a slot; returns records of equal suggestions that take the outcome over."""

    def judge(self, slot: Slot, curve: Curve) -> int | None:
        """The step at which the trial ends early, None where it goes on."""


def copied(original: TrialRecord, slot: Slot) -> TrialRecord:
    """The record of a suggestion that equals an earlier one of its cell: the same outcome, and nothing spent."""
    return dataclasses.replace(
        original,
        trial_id=content_hash([slot.spec.trial_id, slot.number, "same as", original.trial_id]),
        search=slot.history or slot.spec.search,
        number=slot.number,
        attempt=0,
        steps=0,
        seconds=0.0,
        setup_seconds=0.0,
        wall_seconds=0.0,
        same_as=original.trial_id,
    )


def is_first_evaluation(slot: Slot) -> bool:
    """Whether the files that stand for a whole cell come from this trial."""
    return slot.phase == "evaluate" and slot.number == 0
