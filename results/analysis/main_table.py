"""The main table as data: one row per arm, a table per condition, from a study's manifest and its records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from results.analysis.cost import Cost, cost, gpu_share
from results.analysis.cumulative_path import PartPath, add_one_in_path
from results.analysis.effects import FactorialEffects, factorial_effects
from results.analysis.importance import Importance, importance
from results.analysis.last_checkpoint import Checkpoints, DetectorQuality, checkpoints, detector_quality
from results.analysis.row_notes import Mark
from results.analysis.tuning import (
    Front,
    Optimism,
    Spent,
    TuningCounts,
    TuningGain,
    Twin,
    front,
    optimism,
    spent,
    tuning_counts,
    tuning_gain,
    twins,
)
from results.records.cell_records import CellRecords, select_records
from results.records.constraints import parse_constraint, violations
from results.records.manifest import ArmInfo, ConditionInfo, LeftOut, Role, StudyManifest
from results.records.origins import origin_of
from results.records.selection import taken_over
from results.records.trial_record import TrialRecord
from results.ssl.contamination import Response, contamination_responses
from results.ssl.headroom import Headroom, headroom
from results.ssl.real_only import RealOnly, real_only
from results.statistics.paired import (
    ALPHA,
    MeanInterval,
    PairedDifference,
    bounded_mean,
    holm,
    paired_difference,
    seeds_needed,
    smallest_sign_flip_p,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BestConfig:
    """What tuning chose for a cell."""

    number: int
    val_error: float
    suggested: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One arm in one condition. Errors in percent, differences in percentage points."""

    arm: str
    title: str
    role: Role
    removed: tuple[str, ...]
    meaning: str
    seeds_planned: int
    seeds_completed: int
    test_errors: tuple[tuple[int, float], ...]
    """(seed, test error) of every evaluation trial that completed."""
    test_error: MeanInterval | None
    differences: tuple[tuple[int, float], ...]
    """(seed, this arm minus the reference) where both completed."""
    difference: PairedDifference | None
    """This arm minus the reference: positive means that this arm errs more. None for the reference or without pairs."""
    margin: float
    """Percentage points: a difference that is shown to be smaller is negligible; 0 where none is called so."""
    p_negligible: float | None
    """`difference.p_negligible`, corrected as `p_holm` is."""
    p_holm: float | None
    """`difference.p`, corrected over all arms of the table but oracles; arms without a pair yet count as p = 1. None for
    oracles, which are not tested."""
    inherited: bool
    """Whether the arm takes the full method's best configuration over and is not tuned itself."""
    tuning: TuningCounts
    spent: Spent
    optimism: Optimism | None
    """None where nothing was chosen among several trials."""
    gain: TuningGain | None
    """None where nothing was chosen among several trials."""
    importance: Importance | None
    """None where nothing was searched, and in a study of before ranges were kept."""
    checkpoints: Checkpoints | None
    """None without curves of evaluation trials."""
    detector: DetectorQuality | None
    """None for an arm without a detector, and where no unlabelled image is synthetic."""
    best: BestConfig | None
    evaluation_failed: int
    steps: int
    """Training steps of all trials counted here: tuning, confirmation, evaluation."""
    seconds: float
    """Their training time. Depends on the machine, so it is no part of `answers`, and neither is `cost`."""
    cost: Cost
    marks: tuple[Mark, ...]

    @property
    def significant(self) -> bool:
        """Whether the difference to the reference holds after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def negligible(self) -> bool:
        """Whether the difference to the reference is shown to be smaller than the margin, after correction."""
        return self.p_negligible is not None and self.p_negligible <= ALPHA

    def _repr_html_(self) -> str:
        from results.report.notebook import row_html

        return row_html(self)

    def answers(self) -> dict[str, Any]:
        """The row as plain values without times: equal for two runs of one study, to the last bit."""
        plain = asdict(self)
        del plain["seconds"], plain["cost"]
        return plain


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionTable:
    """All arms under one condition."""

    condition: str
    title: str
    reference: str
    seeds_planned: int
    rows: tuple[Row, ...]
    factorial: FactorialEffects | None = None
    """Where the study has a factorial design."""
    twins: tuple[Twin, ...] = ()
    """Arms that are run both tuned and inherited."""
    fronts: tuple[Front, ...] = ()
    """Where the search has several objectives, an entry for each arm with a completed tuning trial."""
    headroom: Headroom | None = None
    """Where the study has oracles."""
    real_only: RealOnly | None = None
    """Where the study has a condition with the same real images and no synthetic ones."""

    path: PartPath | None = None
    """Where the study has a cumulative add-one-in design."""

    def row(self, arm: str) -> Row | None:
        """The row of that arm, None where the condition has none."""
        return next((r for r in self.rows if r.arm == arm), None)

    @property
    def reference_title(self) -> str:
        """What headers call the reference."""
        row = self.row(self.reference)
        return row.title if row else self.reference

    @property
    def compared(self) -> tuple[Row, ...]:
        """Every row but the reference and the oracles."""
        return tuple(r for r in self.rows if r.arm != self.reference and r.role != "oracle")

    @property
    def comparisons(self) -> int:
        """How many comparisons the correction is over."""
        return len(self.compared)

    @property
    def pairs(self) -> int:
        """The most pairs any comparison has."""
        return max((r.difference.n for r in self.compared if r.difference), default=0)

    @property
    def seeds_needed(self) -> int:
        """Paired seeds from which on a single difference can be significant after correction."""
        return seeds_needed(ALPHA, max(1, self.comparisons))

    def smallest_p_holm(self, seeds: int) -> float:
        """The smallest corrected p that `seeds` pairs can reach in this table."""
        return min(1.0, smallest_sign_flip_p(seeds) * self.comparisons)

    def to_pandas(self) -> Any:
        """A DataFrame, a row per arm with the columns of `table.csv`; ImportError that says what to install."""
        from results.report.frames import frame

        return frame([self])

    def _repr_html_(self) -> str:
        from results.report.notebook import tables_html

        return tables_html([self])

    def answers(self) -> dict[str, Any]:
        """The table as plain values without times."""
        return {
            "condition": self.condition,
            "title": self.title,
            "reference": self.reference,
            "seeds_planned": self.seeds_planned,
            "comparisons": self.comparisons,
            "rows": [r.answers() for r in self.rows],
            "factorial": asdict(self.factorial) if self.factorial else None,
            "twins": [asdict(twin) for twin in self.twins],
            "headroom": asdict(self.headroom) if self.headroom else None,
            "real_only": asdict(self.real_only) if self.real_only else None,
            "path": asdict(self.path) if self.path else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class MainTable:
    """A study's answer: one table per condition."""

    study: str
    question: str
    conditions: tuple[ConditionTable, ...]
    contamination: tuple[Response, ...] = ()
    """One for each set of conditions that differ in the share of synthetic images alone."""
    seeds: tuple[int, ...] = ()
    """Of the evaluation."""
    earlier_seeds: tuple[tuple[int, ...], ...] = ()
    """Others that it had before, oldest first, whose results were there when they were changed; no part of `answers`."""
    left_out: tuple[LeftOut, ...] = ()
    """Arms that the study's designs name and that are not run by themselves."""

    def to_pandas(self) -> Any:
        """A DataFrame, a row per condition and arm with the columns of `table.csv`; ImportError that says what to install."""
        from results.report.frames import frame

        return frame(self.conditions)

    def _repr_html_(self) -> str:
        from results.report.notebook import tables_html

        return tables_html(self.conditions, self.question)

    def answers(self) -> dict[str, Any]:
        """Everything that is a pure function of the trials' outcomes; no seconds, hosts or dates."""
        return {
            "study": self.study,
            "question": self.question,
            "alpha": ALPHA,
            "conditions": [c.answers() for c in self.conditions],
            "contamination": [asdict(response) for response in self.contamination],
            "left_out": [asdict(arm) for arm in self.left_out],
        }

    def times(self) -> dict[str, dict[str, float]]:
        """Training seconds by condition and arm: what `answers` leaves out."""
        return {c.condition: {r.arm: r.seconds for r in c.rows} for c in self.conditions}


def main_table(manifest: StudyManifest, records: Iterable[TrialRecord]) -> MainTable:
    """Compute the study's table; rows and conditions in the manifest's order."""
    return table_of_cells(manifest, select_records(manifest, records))


def table_of_cells(manifest: StudyManifest, cells: Mapping[tuple[str, str], CellRecords]) -> MainTable:
    """Compute the study's table from `select_records`' result."""
    return MainTable(
        study=manifest.study,
        question=manifest.question,
        conditions=tuple(_condition_table(manifest, condition, cells) for condition in manifest.conditions),
        contamination=contamination_responses(
            manifest, {c.name: _errors(_arms(manifest, c.name, cells)) for c in manifest.conditions}
        ),
        seeds=manifest.evaluation_seeds,
        earlier_seeds=manifest.earlier_seeds,
        left_out=manifest.left_out,
    )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """The arms of a condition against the full method, in pairs over seeds."""

    errors: Mapping[str, Mapping[int, float]]
    """By arm and seed."""
    base: Mapping[int, float]
    """Of the full method."""
    shared: Mapping[str, Sequence[int]]
    """Seeds that an arm has in common with the full method; none of the full method itself."""
    differences: Mapping[str, PairedDifference | None]
    tested: Sequence[str]
    p_holm: Mapping[str, float]
    p_negligible: Mapping[str, float]
    """Corrected, too."""


def _compared(manifest: StudyManifest, arms: Sequence[tuple[ArmInfo, CellRecords]]) -> _Compared:
    errors = _errors(arms)
    base = errors.get(manifest.reference, {})
    shared = {
        arm.name: [s for s in errors[arm.name] if s in base] if arm.name != manifest.reference else []
        for arm, _ in arms
    }
    differences = {
        name: paired_difference([errors[name][s] for s in seeds], [base[s] for s in seeds], manifest.negligible)
        if seeds
        else None
        for name, seeds in shared.items()
    }
    tested = [arm.name for arm, _ in arms if arm.name != manifest.reference and arm.role != "oracle"]
    found = {name: difference for name in tested if (difference := differences[name])}
    small = {name: d.p_negligible for name, d in found.items() if d.p_negligible is not None}
    return _Compared(
        errors=errors,
        base=base,
        shared=shared,
        differences=differences,
        tested=tested,
        p_holm=dict(zip(found, holm([d.p for d in found.values()], len(tested)), strict=True)),
        p_negligible=dict(zip(small, holm(list(small.values()), len(tested)), strict=True)),
    )


def _condition_table(
    manifest: StudyManifest, condition: ConditionInfo, cells: Mapping[tuple[str, str], CellRecords]
) -> ConditionTable:
    arms = _arms(manifest, condition.name, cells)
    compared = _compared(manifest, arms)
    tuning = {arm.name: tuning_counts(cell) for arm, cell in arms}
    least_missing = min((t.missing for t in tuning.values()), default=0.0)
    return ConditionTable(
        condition=condition.name,
        title=condition.title,
        reference=manifest.reference,
        seeds_planned=len(manifest.evaluation_seeds),
        rows=tuple(_row(manifest, arm, cell, compared, tuning[arm.name], least_missing) for arm, cell in arms),
        factorial=factorial_effects(manifest.factorial, condition.name, cells) if manifest.factorial else None,
        twins=twins(manifest, condition.name, cells, compared.differences),
        fronts=tuple(points for arm, cell in arms if (points := front(cell, arm.title))),
        headroom=headroom([arm for arm, _ in arms], compared.errors, manifest.reference),
        real_only=_real_only(manifest, condition, cells, compared.errors),
        path=add_one_in_path(manifest, compared.errors),
    )


def _row(
    manifest: StudyManifest,
    arm: ArmInfo,
    cell: CellRecords,
    compared: _Compared,
    counts: TuningCounts,
    least_missing: float,
) -> Row:
    errors, difference = compared.errors[arm.name], compared.differences[arm.name]
    trials = [*cell.tuning, *cell.confirmation, *cell.evaluation]
    return Row(
        arm=arm.name,
        title=arm.title,
        role=arm.role,
        removed=arm.removed,
        meaning=arm.meaning,
        seeds_planned=len(manifest.evaluation_seeds),
        seeds_completed=len(errors),
        test_errors=tuple(errors.items()),
        test_error=bounded_mean(list(errors.values()), 0.0, 100.0) if errors else None,
        differences=tuple((s, errors[s] - compared.base[s]) for s in compared.shared[arm.name]),
        difference=difference,
        margin=manifest.negligible,
        p_negligible=compared.p_negligible.get(arm.name),
        p_holm=compared.p_holm.get(arm.name),
        inherited=bool(cell.cell.inherits),
        tuning=counts,
        spent=spent(cell),
        optimism=optimism(cell),
        gain=tuning_gain(cell),
        importance=importance(cell),
        checkpoints=checkpoints(cell),
        detector=detector_quality(cell),
        best=_best_config(cell),
        evaluation_failed=sum(r.status == "failed" for r in cell.evaluation),
        steps=sum(r.steps for r in trials),
        seconds=math.fsum(r.seconds for r in trials),
        cost=cost(cell, gpu_share(manifest, arm)),
        marks=tuple(_marks(manifest, arm, cell, compared, counts, least_missing)),
    )


def _marks(
    manifest: StudyManifest,
    arm: ArmInfo,
    cell: CellRecords,
    compared: _Compared,
    counts: TuningCounts,
    least_missing: float,
) -> Iterable[Mark]:
    """In what the row's number is not like the others."""
    name, planned = arm.name, len(manifest.evaluation_seeds)
    difference, negligible = compared.differences[name], compared.p_negligible.get(name)
    pairs = difference.n if difference else planned
    trials = [*cell.tuning, *cell.confirmation, *cell.evaluation]
    marks: dict[Mark, bool] = {
        "oracle": arm.role == "oracle",
        "incomplete": len(compared.errors[name]) < planned or (counts.planned > 0 and cell.best is None),
        "unequal budget": counts.missing >= least_missing + 1,
        "underpowered": name in compared.tested and smallest_sign_flip_p(pairs) * len(compared.tested) > ALPHA,
        "negligible": negligible is not None and negligible <= ALPHA,
        "mixed code": any(origin_of(r) != cell.cell.origin for r in trials),
        "asynchronous search": counts.planned > 0 and not cell.cell.generation,
        "constraint not met": cell.best is not None and not _constraints_met(cell),
    }
    return (mark for mark, holds in marks.items() if holds)


def _arms(
    manifest: StudyManifest, condition: str, cells: Mapping[tuple[str, str], CellRecords]
) -> list[tuple[ArmInfo, CellRecords]]:
    return [(a, cells[a.name, condition]) for a in manifest.arms if (a.name, condition) in cells]


def _errors(arms: Iterable[tuple[ArmInfo, CellRecords]]) -> dict[str, dict[int, float]]:
    """Test errors by arm and seed."""
    return {arm.name: {r.seed: float(r.metrics["test_error"]) for r in cell.measured} for arm, cell in arms}


def _real_only(
    manifest: StudyManifest,
    condition: ConditionInfo,
    cells: Mapping[tuple[str, str], CellRecords],
    errors: Mapping[str, Mapping[int, float]],
) -> RealOnly | None:
    if not condition.real_only:
        return None
    arms = [arm for arm, _ in _arms(manifest, condition.name, cells)]
    alone = _errors(_arms(manifest, condition.real_only, cells))
    return real_only(condition.real_only, arms, errors, alone, manifest.reference)


def _constraints_met(cell: CellRecords) -> bool:
    limits = [parse_constraint(text) for text in cell.cell.constraints]
    return cell.best is None or all(v <= 0 for v in violations(limits, cell.best.metrics))


def _best_config(cell: CellRecords) -> BestConfig | None:
    if cell.choice is None:
        return None
    best = cell.choice.best
    suggested = taken_over(cell.cell, best) if cell.cell.inherits else dict(best.suggested)
    return BestConfig(number=best.number, val_error=cell.choice.val_error, suggested=suggested)
