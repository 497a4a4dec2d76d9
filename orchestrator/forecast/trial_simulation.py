"""How simulated trials go: times and curves drawn from a study's records, and suggestions that cost no thought."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orchestrator.common.errors import AblateError
from orchestrator.design.cell import Cell
from orchestrator.design.plan import Plan
from orchestrator.engine.slots import Slot
from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.virtual_cluster import Course
from results.records.constraints import parse_constraint
from results.records.trial_record import TrialRecord
from search_spaces import Choice, IntRange, Range
from trainables.data import dataset_of

Row = tuple[int, dict[str, float]]

MOST_TEMPLATES = 200
"""Recorded curves of a cell that simulated ones are drawn from."""


class CannotForecast(AblateError):
    """A forecast was asked for and nothing is known of how long a trial takes, or no trial fits on a node."""


class RandomSuggestions:
    """Stands in for a sampler: the cell's starting points, then random points of its space."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def suggest(self, history: Sequence[TrialRecord], number: int) -> dict[str, Any]:
        """Suggestion `number`, whatever the history."""
        cell = self._cell
        if number < len(cell.start):
            return dict(cell.start[number])
        draw = random.Random(f"{cell.id} {number}")
        return {name: _draw(values, draw) for name, values in cell.space.items()}


def _draw(values: Range, draw: random.Random) -> Any:
    if isinstance(values, Choice):
        return draw.choice(values.values)
    low, high = (math.log(values.low), math.log(values.high)) if values.log else (values.low, values.high)
    found = draw.uniform(low, high)
    found = math.exp(found) if values.log else found
    return round(found) if isinstance(values, IntRange) else found


class RecordedCourses:
    """Times and curves of simulated trials, drawn from a study's records.

    A trial takes the time of a past one of its cell, or of the arms most like it. Its curve is that of a past one, too; where that
    one was stopped, it goes on as a completed one did. Without any curve, errors fall exponentially to a level of their own.
    """

    def __init__(self, plan: Plan, records: Iterable[TrialRecord], timings: TrialTimings) -> None:
        self._plan = plan
        self._timings = timings
        self._times: dict[tuple[str, str], tuple[list[float], list[float], list[float]]] = {}
        self._templates: dict[tuple[str, str], list[list[Row]]] = {}
        self._recorded: dict[tuple[str, ...], list[TrialRecord]] = defaultdict(list)
        for r in records:
            if r.phase == "tune" and r.same_as is None and len(r.curves.get("val_error", ())) > 0:
                for key in ((r.arm, r.condition), (r.arm,), ()):
                    if len(self._recorded[key]) < MOST_TEMPLATES:
                        self._recorded[key].append(r)

    def draw(self, slot: Slot, draws: np.random.Generator) -> Course:
        """A course for this trial."""
        cell = slot.cell
        times = self._times.get((cell.id, slot.phase)) or self._measure(cell, slot.phase)
        templates = self._templates.get((cell.id, slot.phase)) or self._curves(cell, slot.phase)
        place, curve = draws.random(2).tolist()
        i = int(place * len(times[0]))
        rows = templates[int(curve * len(templates))]
        if slot.first_step or slot.spec.until < rows[-1][0]:  # part of a schedule
            rows = [r for r in rows if slot.first_step < r[0] <= slot.spec.until]
        return Course(
            setup=times[1][i],
            per_step=times[0][i],
            rest=times[2][i],
            rows=rows,
            judged=slot.phase == "tune" and (bool(slot.spec.stop_above) or cell.search.strategy == "asynchronous"),
        )

    def _measure(self, cell: Cell, phase: Any) -> tuple[list[float], list[float], list[float]]:
        sample = self._timings.sample(cell, phase)
        if sample is None:
            raise CannotForecast(
                f"{self._plan.study.study}: how long a trial takes is not known; run some trials first, or measure with --calibrate"
            )
        found = sample.per_step.tolist(), sample.setup.tolist(), sample.rest.tolist()
        self._times[cell.id, phase] = found
        return found

    def _curves(self, cell: Cell, phase: str) -> list[list[Row]]:
        steps = cell.condition.training.report_steps()
        keys = ((cell.arm.name, cell.condition.info.name), (cell.arm.name,), ())
        records = next((self._recorded[k] for k in keys if len(self._recorded[k]) >= 3), [])
        draws = np.random.default_rng(len(self._templates))
        names = ["val_error", "val_loss", *_constrained(cell)]
        found = _recorded_rows(records, steps, names, draws) or _model_rows(cell, steps, names, draws)
        if phase == "evaluate":
            found = [
                [*rows[:-1], (rows[-1][0], {**rows[-1][1], "test_error": rows[-1][1]["val_error"]})] for rows in found
            ]
        self._templates[cell.id, phase] = found
        return found


def _constrained(cell: Cell) -> list[str]:
    return [parse_constraint(text).metric for text in cell.search.constraints]


def _recorded_rows(
    records: Sequence[TrialRecord], steps: Sequence[int], names: Sequence[str], draws: np.random.Generator
) -> list[list[Row]]:
    """The records' curves at these steps; one that was stopped goes on in parallel to a completed one."""
    completed = [r for r in records if r.status == "completed"]
    if not completed:
        return []
    found = []
    for record in records:
        other = completed[int(draws.integers(len(completed)))]
        columns = {}
        for name in names:
            whole = _resample(other.curves.get(name, ()), other.steps, steps)
            own = _resample(record.curves.get(name, ()), other.steps, steps) if record.status != "completed" else None
            if record.status == "completed":
                whole = _resample(record.curves.get(name, ()), record.steps, steps)
            elif own:
                reached = sum(s <= record.steps * steps[-1] / other.steps for s in steps)
                shift = own[reached - 1] - whole[reached - 1] if reached and whole else 0.0
                whole = [own[i] if i < reached else max(whole[i] + shift, 0.0) for i in range(len(steps))]
            if whole:
                columns[name] = whole
        found.append([(s, {name: values[i] for name, values in columns.items()}) for i, s in enumerate(steps)])
    return found


def _resample(curve: Sequence[tuple[int, float]], total: int, steps: Sequence[int]) -> list[float]:
    """Values at other report steps, found by the share of the training; empty where there is no curve."""
    if not curve:
        return []
    at = [s / total for s, _ in curve]
    return np.interp([s / steps[-1] for s in steps], at, [v for _, v in curve]).tolist()


def _model_rows(cell: Cell, steps: Sequence[int], names: Sequence[str], draws: np.random.Generator) -> list[list[Row]]:
    """Errors that fall from chance to 10 to 40 %, in the grain of the validation set."""
    classes = dataset_of(cell.condition.data.dataset).num_classes
    images = classes * cell.condition.data.validation_size
    chance = 100 * (1 - 1 / classes)
    found = []
    for level in draws.uniform(10, 40, 50):
        rows = []
        for step in steps:
            error = level + (chance - level) * math.exp(-5 * step / steps[-1]) + draws.normal(0, 2)
            error = min(max(round(error / 100 * images) / images * 100, 0.0), 100.0)
            rows.append((step, {**dict.fromkeys(names, 1.0), "val_error": error, "val_loss": error / 50}))
        found.append(rows)
    return found
