"""Single trials as the report lists them: what was set, what came of it, and how it went while training.

A page has room for some hundreds of trials. Where a study has more, each cell shows its evaluation trials and its best tuning
trials first, its other tuning trials as one band, and says how many are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from results.analysis.main_table import MainTable
from results.records.cell_records import CellRecords
from results.records.trial_record import Curve, TrialRecord

MOST_TRIALS = 600
"""That a page lists one by one."""
FEWEST_OF_A_CELL = 3
"""Where there is room for fewer, a cell is its band alone."""
MOST_POINTS = 24
"""Of a curve: more are not told apart at its size."""
BAND = (0.1, 0.5, 0.9)
"""Quantiles of the trials that are drawn as one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialDetail:
    """One trial. Errors in percent."""

    trial_id: str
    name: str
    """`evaluation, seed 7`, `tuning 3`."""
    status: str
    val_error: float | None
    test_error: float | None
    steps: int
    seconds: float
    started_at: datetime
    where: str
    """Host and device."""
    suggested: Mapping[str, Any]
    """What the search chose."""
    config: Mapping[str, Any]
    """Everything else that it ran with."""
    curves: Mapping[str, Curve]
    """By metric, at most `MOST_POINTS` points each, the first and last among them."""
    note: str
    """Why it failed, or whose outcome it took over; empty for most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Many curves as one: quantiles `BAND` of the validation error at each step that at least half of them reported."""

    trials: int
    steps: tuple[int, ...]
    quantiles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellDetails:
    """The trials of one cell."""

    arm: str
    title: str
    condition: str
    condition_title: str
    trials: tuple[TrialDetail, ...]
    """Evaluation by seed, then tuning by number."""
    left_out: int
    band: Band | None
    """Of all tuning trials, where some are left out."""


def cell_details(table: MainTable, cells: Mapping[tuple[str, str], CellRecords]) -> list[CellDetails]:
    """Every cell that has trials, in table order."""
    found = [
        (condition, row, cell)
        for condition in table.conditions
        for row in condition.rows
        if (cell := cells.get((row.arm, condition.condition))) and (cell.tuning or cell.evaluation)
    ]
    room = MOST_TRIALS // max(1, len(found))
    room = room if room >= FEWEST_OF_A_CELL else 0
    everything = sum(len(_all(cell)) for _, _, cell in found) <= MOST_TRIALS
    details = []
    for condition, row, cell in found:
        trials = _all(cell)
        kept = trials if everything else _most_telling(cell, room)
        shown = {id(r) for r in kept}
        details.append(
            CellDetails(
                arm=row.arm,
                title=row.title,
                condition=condition.condition,
                condition_title=condition.title,
                trials=tuple(_detail(r) for r in trials if id(r) in shown),
                left_out=len(trials) - len(kept),
                band=None if len(kept) == len(trials) else band(cell.tuning),
            )
        )
    return details


def band(records: Iterable[TrialRecord]) -> Band | None:
    """The validation error of many trials as quantiles; None where there are no curves."""
    curves = [dict(r.curves["val_error"]) for r in records if r.curves.get("val_error")]
    counts: dict[int, int] = {}
    for curve in curves:
        for step in curve:
            counts[int(step)] = counts.get(int(step), 0) + 1
    steps = _thin(sorted(step for step, n in counts.items() if 2 * n >= len(curves)))
    if not steps:
        return None
    quantiles = [np.quantile([c[s] for c in curves if s in c], BAND) for s in steps]
    return Band(
        trials=len(curves),
        steps=tuple(steps),
        quantiles=tuple((float(low), float(middle), float(high)) for low, middle, high in quantiles),
    )


def _all(cell: CellRecords) -> list[TrialRecord]:
    return [*cell.evaluation, *cell.tuning, *cell.confirmation]


def _most_telling(cell: CellRecords, room: int) -> list[TrialRecord]:
    """Failures and evaluation first, then tuning trials from the best on."""
    tuning = sorted(
        (*cell.tuning, *cell.confirmation),
        key=lambda r: (r.status != "failed", r.metrics.get("val_error", float("inf")), r.number),
    )
    evaluation = sorted(cell.evaluation, key=lambda r: (r.status != "failed", r.number))
    return [*evaluation, *tuning][:room]


def _detail(record: TrialRecord) -> TrialDetail:
    name = f"evaluation, seed {record.seed}" if record.phase == "evaluate" else f"tuning {record.number}"
    note = record.error or (f"same configuration as trial {record.same_as}" if record.same_as else "")
    return TrialDetail(
        trial_id=record.trial_id,
        name=name,
        status=record.status,
        val_error=record.metrics.get("val_error"),
        test_error=record.metrics.get("test_error"),
        steps=record.steps,
        seconds=record.seconds,
        started_at=record.started_at,
        where=f"{record.host or 'unnamed'} ({record.device})",
        suggested=record.suggested,
        config={k: v for k, v in record.config.items() if k not in record.suggested},
        curves={
            metric: _thin(curve)
            for metric, curve in sorted(record.curves.items(), key=lambda item: (item[0] != "val_error", item[0]))
            if len(curve) > 1
        },
        note=note,
    )


def _thin(points: Sequence[Any]) -> list[Any]:
    """At most `MOST_POINTS`, evenly, with both ends."""
    if len(points) <= MOST_POINTS:
        return list(points)
    places = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))
    return [points[i] for i in places]
