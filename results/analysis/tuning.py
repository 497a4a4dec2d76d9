"""What tuning cost and what it was worth: budgets, optimism, inherited against retuned, and fronts of several objectives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from results.records.cell_records import CellRecords
from results.records.constraints import parse_constraint, violations
from results.records.manifest import BudgetUnit, StudyManifest
from results.records.selection import objective
from results.statistics.paired import ALPHA, PairedDifference, holm, paired_difference

OBJECTIVE_TITLES: Mapping[str, str] = {
    "val_error": "validation error, %",
    "seconds": "training time, s",
    "steps": "training steps",
    "labels": "labelled images",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningCounts:
    """How a cell's planned tuning trials ended."""

    planned: int
    """Full trials that the cell is granted; with a budget in steps, stopped trials make room for more."""
    completed: int
    pruned: int
    failed: int
    steps: int
    """Training steps of the trials that gave a result."""
    missing: float
    """What the granted budget has left, in full trials, failed trials counted as left."""

    @property
    def ended(self) -> int:
        """Trials that ended, however they did."""
        return self.completed + self.pruned + self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What one cell's trials took, against what it was granted. Steps are training steps."""

    unit: BudgetUnit
    """What is equal in all cells."""
    granted_trials: int
    """Full tuning trials; 0 where nothing is tuned."""
    granted_steps: int
    """The steps of so many full trials."""
    tuning_trials: int
    """Started."""
    stopped: int
    """Of these, stopped early."""
    tuning_failed: int
    copies: int
    """Of these, suggestions that equalled an earlier one and took its outcome over at no cost."""
    charged_steps: int
    """Steps of the tuning trials; a failed one counts in full."""
    confirmation_trials: int
    confirmation_steps: int
    evaluation_trials: int
    evaluation_steps: int
    failed: int
    """Trials that failed, in all phases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimism:
    """How much better the search's choice looked than it is. Errors in percent, differences in points."""

    chosen_at: float
    """Validation error of the trial that the search alone would choose: the lowest of many noisy ones."""
    fresh: float | None
    """Mean validation error of the same configuration on tuning seeds that it was not chosen by; None without confirmation."""
    frozen_at: float
    """What the frozen configuration was chosen by: `chosen_at`, or its mean over all tuning seeds."""
    test: float | None
    """Mean test error of the frozen configuration; None before the first evaluation."""

    @property
    def on_validation(self) -> float | None:
        """`fresh` minus `chosen_at`: positive where the search was an optimist."""
        return None if self.fresh is None else self.fresh - self.chosen_at

    @property
    def on_test(self) -> float | None:
        """`test` minus `frozen_at`: optimism, and the gap between validation and test images."""
        return None if self.test is None else self.test - self.frozen_at


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningGain:
    """What a search found against the configuration that it began with. Validation errors in percent."""

    defaults: float | None
    """Of the defaults, the search's first suggestion; None where it was another one, did not complete, or trained for fewer steps
    than the best did, as a population's first round does."""
    best: float
    """The lowest of all trials that completed."""
    found_at: int
    """The number of the trial that did, from 0."""
    trials: int
    """That completed, copies left out."""

    @property
    def gain(self) -> float | None:
        """`defaults` minus `best`, in percentage points; at least 0, since the defaults are among the trials."""
        return None if self.defaults is None else self.defaults - self.best


@dataclass(frozen=True, kw_only=True, slots=True)
class Twin:
    """One ablated arm both ways: tuned itself, and with the full method's configuration. Differences in points."""

    arm: str
    title: str
    retuned: PairedDifference | None
    """Tuned arm minus the full method."""
    inherited: PairedDifference | None
    """Inheriting arm minus the full method."""
    by_seed: tuple[tuple[int, float], ...]
    gain: PairedDifference | None
    """Tuned minus inheriting arm, in pairs: negative where tuning the arm helps it."""
    p_holm: float | None
    """Of `gain`, corrected over all arms that are run both ways."""

    @property
    def significant(self) -> bool:
        """Whether the difference between the two ways holds after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontPoint:
    """A tuning trial by its objectives."""

    number: int
    values: tuple[float, ...]
    suggested: Mapping[str, Any]
    chosen: bool
    """Whether its configuration was frozen for evaluation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """The completed tuning trials of one arm that no other is better than in every objective; all are minimised."""

    arm: str
    title: str
    objectives: tuple[str, ...]
    points: tuple[FrontPoint, ...]
    """By the first objective, then the others."""
    others: tuple[tuple[float, ...], ...]
    """Values of the trials behind the front."""


def tuning_counts(cell: CellRecords) -> TuningCounts:
    """Count how tuning went, and what of the budget is left."""
    ended = [r.status for r in cell.tuning]
    useful = [r for r in cell.tuning if r.status != "failed"]
    steps, planned, full = sum(r.steps for r in useful), cell.cell.tuning_trials, cell.cell.trial_steps
    done = steps / full if cell.cell.unit == "steps" and full else len(useful)
    return TuningCounts(
        planned=planned,
        completed=ended.count("completed"),
        pruned=ended.count("pruned"),
        failed=ended.count("failed"),
        steps=steps,
        missing=max(planned - done, 0.0),
    )


def spent(cell: CellRecords) -> Spent:
    """Add up a cell's trials."""
    info = cell.cell
    trials = [*cell.tuning, *cell.confirmation, *cell.evaluation]
    return Spent(
        unit=info.unit,
        granted_trials=info.tuning_trials,
        granted_steps=info.tuning_trials * info.trial_steps,
        tuning_trials=len(cell.tuning),
        stopped=sum(r.status == "pruned" for r in cell.tuning),
        tuning_failed=sum(r.status == "failed" for r in cell.tuning),
        copies=sum(r.same_as is not None for r in cell.tuning),
        charged_steps=cell.spent,
        confirmation_trials=len(cell.confirmation),
        confirmation_steps=sum(r.steps for r in cell.confirmation),
        evaluation_trials=len(cell.evaluation),
        evaluation_steps=sum(r.steps for r in cell.evaluation),
        failed=sum(r.status == "failed" for r in trials),
    )


def optimism(cell: CellRecords) -> Optimism | None:
    """How the choice held up; None where the cell chose nothing, had one candidate only, or took a choice over."""
    choice = cell.choice
    if choice is None or cell.cell.inherits or cell.cell.tuning_trials < 2:
        return None
    chosen_at = float(choice.first.metrics["val_error"])
    return Optimism(
        chosen_at=chosen_at,
        fresh=None if choice.optimism is None else chosen_at + choice.optimism,
        frozen_at=choice.val_error,
        test=fmean(r.metrics["test_error"] for r in cell.measured) if cell.measured else None,
    )


def tuning_gain(cell: CellRecords) -> TuningGain | None:
    """What the search found; None where the cell has nothing to search, or nothing completed."""
    done = [r for r in cell.tuning if r.status == "completed" and r.same_as is None and "val_error" in r.metrics]
    if cell.cell.inherits or cell.cell.tuning_trials < 2 or not done:
        return None
    best = min(done, key=lambda r: (r.metrics["val_error"], r.number))
    first = next((r for r in done if r.number == 0 and r.steps >= best.steps), None)
    began = first is not None and all(cell.cell.defaults.get(name) == v for name, v in first.suggested.items())
    return TuningGain(
        defaults=float(first.metrics["val_error"]) if first is not None and began else None,
        best=float(best.metrics["val_error"]),
        found_at=best.number,
        trials=len(done),
    )


def twins(
    manifest: StudyManifest,
    condition: str,
    cells: Mapping[tuple[str, str], CellRecords],
    differences: Mapping[str, PairedDifference | None],
) -> tuple[Twin, ...]:
    """Every arm that is run both ways under a condition.

    Args:
        manifest: Says which arm is whose twin.
        condition: Its name.
        cells: From `results.records.cell_records.select_records`.
        differences: To the full method, by arm: those of the main table.
    """
    drafts: list[Twin] = []
    for arm in manifest.arms:
        two = cells.get((arm.name, condition)), cells.get((arm.twin or "", condition))
        if arm.twin is None or arm.tuning != "retuned" or two[0] is None or two[1] is None:
            continue
        tuned, taken = ({r.seed: float(r.metrics["test_error"]) for r in cell.measured} for cell in two if cell)
        shared = [s for s in tuned if s in taken]
        drafts.append(
            Twin(
                arm=arm.name,
                title=arm.title,
                retuned=differences.get(arm.name),
                inherited=differences.get(arm.twin),
                by_seed=tuple((s, tuned[s] - taken[s]) for s in shared),
                gain=paired_difference([tuned[s] for s in shared], [taken[s] for s in shared]) if shared else None,
                p_holm=None,
            )
        )
    return _with_holm(drafts)


def front(cell: CellRecords, title: str) -> Front | None:
    """The non-dominated tuning trials; None where there is one objective, or no trial completed.

    Trials that break a constraint are left out, unless all do. Of equal suggestions the first stands.
    """
    names = cell.cell.objectives
    if len(names) < 2:
        return None
    limits = [parse_constraint(text) for text in cell.cell.constraints]
    done = [r for r in cell.tuning if r.status == "completed" and r.same_as is None]
    met = [r for r in done if all(v <= 0 for v in violations(limits, r.metrics))]
    values = {r.number: tuple(objective(r, name) for name in names) for r in met or done}
    if not values:
        return None
    best = non_dominated(values.values())
    return Front(
        arm=cell.cell.arm,
        title=title,
        objectives=names,
        points=tuple(
            FrontPoint(
                number=r.number,
                values=values[r.number],
                suggested=dict(r.suggested),
                chosen=cell.best is not None and r.number == cell.best.number,
            )
            for r in sorted(met or done, key=lambda r: (values[r.number], r.number))
            if values[r.number] in best
        ),
        others=tuple(sorted(v for v in values.values() if v not in best)),
    )


def non_dominated(points: Iterable[Sequence[float]]) -> set[tuple[float, ...]]:
    """The points that no other is at most equal to in every value and below in one (Pareto)."""
    found: list[tuple[float, ...]] = []
    for point in sorted({tuple(p) for p in points}):  # in this order no later point dominates an earlier one
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in found):
            found.append(point)
    return set(found)


def _with_holm(drafts: Sequence[Twin]) -> tuple[Twin, ...]:
    corrected = iter(holm([t.gain.p for t in drafts if t.gain], len(drafts)))
    return tuple(replace(t, p_holm=next(corrected)) if t.gain else t for t in drafts)
