"""`ablate plan --nodes N`: the whole study on a cluster that is not there, by the study's own driver on a virtual clock."""

from __future__ import annotations

import math
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.cell import Cell
from orchestrator.cost import CALIBRATION_ERROR, END_SECONDS, RAY_SECONDS
from orchestrator.driver import StudyDriver
from orchestrator.errors import AblateError
from orchestrator.folders import StudyFolders
from orchestrator.search import CellSearch
from orchestrator.slots import Slot
from orchestrator.state import StudyState
from orchestrator.study_plan import Plan
from orchestrator.timings import TrialTimings
from orchestrator.units import duration
from orchestrator.virtual_cluster import REPAIR_SECONDS, STRAGGLER_FACTOR, ClusterShape, Course, Outcome, VirtualCluster
from results.ledger import Ledger
from results.records import TrialRecord
from search_spaces import Choice, IntRange, Range

Row = tuple[int, dict[str, float]]

REAL_SAMPLER_UP_TO = 2000
"""Trials up to which the study's own sampler is asked; beyond, suggestions are random: they do not change what a trial takes."""
REPEATS_UP_TO = 1000
"""Trials up to which the simulation is repeated for its interval."""
REPEATS = 8
BUSY_DRIVER = 0.8
"""Share of the time that the driver works, from which on a forecast calls it the bottleneck."""
MOST_TEMPLATES = 200
"""Recorded curves of a cell that simulated ones are drawn from."""
_Z95 = 1.645


class CannotForecast(AblateError):
    """A forecast was asked for and nothing is known of how long a trial takes, or no trial fits on a node."""


@dataclass(frozen=True, kw_only=True)
class ForecastOptions:
    """The cluster to imagine."""

    nodes: int = 1
    gpus_per_node: int = 0
    cpus_per_node: int | None = None
    """As many as the trials on the node's GPUs want, or this machine's cores, unless given."""
    stragglers: float = 0.0
    failures_per_node_day: float = 0.0
    speed: float = 1.0
    seed: int = 0


class MemoryLedger(Ledger):
    """Takes records and keeps none: what is simulated must never stand beside what was measured."""

    def append(self, record: TrialRecord) -> Path:
        """Forget the record."""
        return self.folder


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
    from results.constraints import parse_constraint

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
    from trainables.data import DATASETS

    classes = DATASETS[cell.condition.data.dataset].num_classes
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


def cluster_shape(plan: Plan, options: ForecastOptions, timings: TrialTimings) -> tuple[ClusterShape, float]:
    """The cluster as the simulation wants it, and the GPUs of a trial. Raises CannotForecast where no trial fits on a node."""
    resources = plan.study.resources
    gpus = (1.0 if options.gpus_per_node else 0.0) if resources.gpus == "auto" else float(resources.gpus)
    on_gpus = int(options.gpus_per_node / gpus + 1e-9) if gpus else None
    cpus = options.cpus_per_node or (on_gpus * resources.cpus if on_gpus else os.cpu_count() or 1)
    fits = cpus // resources.cpus if on_gpus is None else min(cpus // resources.cpus, on_gpus)
    if not fits:
        raise CannotForecast(
            f"resources: a trial wants {resources.cpus} CPUs and {gpus:g} GPUs, but a node would have {cpus} CPUs and "
            f"{options.gpus_per_node} GPUs; give --cpus-per-node and --gpus-per-node a node that can run one"
        )
    shape = ClusterShape(
        nodes=options.nodes,
        trials_per_node=fits,
        actors=resources.actors,
        turnaround=timings.turnaround,
        speed=options.speed,
        stragglers=options.stragglers,
        failures_per_node_day=options.failures_per_node_day,
    )
    return shape, gpus


def simulate(
    plan: Plan, courses: RecordedCourses, shape: ClusterShape, *, seed: int = 0, search: bool = True
) -> Outcome:
    """One simulated run of the whole study, from nothing.

    Args:
        plan: The study's.
        courses: How its trials go.
        shape: The cluster.
        seed: Of the draws.
        search: Ask the study's own sampler; else suggestions are random.
    """
    with tempfile.TemporaryDirectory(prefix="ablate-") as scratch:
        folders = StudyFolders(Path(scratch), plan.study.study)
        state = StudyState(plan, [], search=CellSearch if search else RandomSuggestions)
        driver = StudyDriver(state, folders, MemoryLedger(folders.ledger), code={})
        return VirtualCluster(driver, courses, shape, seed=seed).run()


def forecast(
    plan: Plan,
    records: Sequence[TrialRecord],
    timings: TrialTimings,
    options: ForecastOptions,
    *,
    pools: int = 0,
    pool_seconds: float = 0.0,
) -> dict[str, Any]:
    """Everything that a forecast says, as JSON values.

    Args:
        plan: The study; all of it is forecast, also what the ledger has.
        records: Of the ledger, for curves.
        timings: How long trials take.
        options: The cluster.
        pools: Seed blocks whose synthetic pools are to be made.
        pool_seconds: For one of them.
    """
    started = time.perf_counter()
    shape, gpus = cluster_shape(plan, options, timings)
    courses = RecordedCourses(plan, records, timings)
    search = plan.trials <= REAL_SAMPLER_UP_TO
    drift = timings.drift if timings.records else CALIBRATION_ERROR
    repeats = REPEATS if plan.trials <= REPEATS_UP_TO else 1
    first = simulate(plan, courses, shape, seed=options.seed, search=search)
    outcomes = [first]
    outcomes += [simulate(plan, courses, shape, seed=options.seed + i, search=search) for i in range(1, repeats)]
    fixed = RAY_SECONDS + END_SECONDS + math.ceil(pools / shape.slots) * pool_seconds / options.speed
    spans = np.array([o.makespan for o in outcomes])
    expected = float(spans.mean())
    own = float(np.std(np.log(spans), ddof=1)) if repeats > 1 else 0.0
    factor = math.exp(_Z95 * math.hypot(own, drift))
    result: dict[str, Any] = {
        "nodes": options.nodes,
        "trials_at_once": shape.slots,
        "gpus": options.nodes * options.gpus_per_node,
        "makespan_hours": {
            "low": (fixed + expected / factor) / 3600,
            "expected": (fixed + expected) / 3600,
            "high": (fixed + expected * factor) / 3600,
        },
        "fixed_seconds": fixed,
        **_shares(first, shape),
        "gpu_hours": gpus * sum(o.busy for o in outcomes) / repeats / 3600,
        "repeats": repeats,
        "sampler": plan.study.search.sampler if search else "random",
        "without_faults": None,
    }
    if shape.stragglers or shape.failures_per_node_day:
        calm = replace(shape, stragglers=0.0, failures_per_node_day=0.0)
        span = float(
            np.mean(
                [simulate(plan, courses, calm, seed=options.seed + i, search=search).makespan for i in range(repeats)]
            )
        )
        result["without_faults"] = {"makespan_hours": (fixed + span) / 3600, "cost": expected / span - 1}
    result["seconds_to_forecast"] = time.perf_counter() - started
    result["sentences"] = _sentences(result, options, timings, pools, pool_seconds)
    return result


def _shares(outcome: Outcome, shape: ClusterShape) -> dict[str, Any]:
    whole = max(outcome.makespan * shape.slots, 1e-9)
    used = {
        "utilisation": outcome.busy / whole,
        "starting_share": min(outcome.starting / whole, 1.0),
        "driver_wait_share": outcome.driver_wait / whole,
        "lost_share": outcome.lost / whole,
    }
    return {
        **used,
        "idle_share": max(1 - sum(used.values()), 0.0),
        "driver_load": outcome.driver_busy / max(outcome.makespan, 1e-9),
        "trials": outcome.trials,
        "stopped_early": outcome.stopped_early,
        "failed": outcome.failed,
        "steps": outcome.steps,
        "trials_per_hour": outcome.trials / max(outcome.makespan, 1e-9) * 3600,
        "node_failures": outcome.node_failures,
    }


def _sentences(
    result: dict[str, Any], options: ForecastOptions, timings: TrialTimings, pools: int, pool_seconds: float
) -> list[str]:
    span = result["makespan_hours"]
    nodes = "1 node" if options.nodes == 1 else f"{options.nodes:,} nodes"
    lines = [
        f"forecast: the whole study on {nodes}, {result['trials_at_once']:,} trials at once: {duration(span['expected'])} "
        f"({duration(span['low'])} to {duration(span['high'])}), {result['trials']:,} trials, {result['stopped_early']:,} of them "
        f"stopped early, {result['trials_per_hour']:,.0f} an hour",
        f"of the processes' time {result['utilisation']:.0%} trains, {result['starting_share']:.1%} starts processes, "
        f"{result['driver_wait_share']:.1%} waits for the driver, "
        f"{result['lost_share']:.1%} is lost with nodes, {result['idle_share']:.1%} is idle for want of ready trials",
    ]
    if result["driver_load"] > BUSY_DRIVER:
        per_trial, per_report = 1e3 * ClusterShape.driver_per_trial, 1e3 * ClusterShape.driver_per_report
        lines.append(
            f"the driver is the bottleneck: it is busy {result['driver_load']:.0%} of the time, with {per_trial:.0f} ms a trial "
            f"and {per_report:.0f} ms a report; fewer trials at once would take as long"
        )
    if result["without_faults"] is not None:
        lines.append(_fault_sentence(result, options))
    devices = sorted({r.device for r in timings.records}) or ["this machine"]
    speed = "as fast as measured" if options.speed == 1 else f"{options.speed:g} times as fast as measured"
    lines.append(f"trials are taken to run {speed} on {', '.join(devices)}; --speed says otherwise")
    if pools and not pool_seconds:
        lines.append(
            f"the time to make synthetic images for {pools} seed blocks is not known and not counted; --calibrate measures it"
        )
    if result["sampler"] == "random" and result["trials"] > REAL_SAMPLER_UP_TO:
        lines.append(
            f"with more than {REAL_SAMPLER_UP_TO:,} trials suggestions are drawn at random: they do not change how long a trial "
            "takes; the time that the study's own sampler thinks is not in the forecast"
        )
    return lines


def _fault_sentence(result: dict[str, Any], options: ForecastOptions) -> str:
    parts = []
    if options.stragglers:
        parts.append(f"{options.stragglers:.1%} of the trials take {STRAGGLER_FACTOR:g} times as long")
    if options.failures_per_node_day:
        parts.append(
            f"{result['node_failures']} nodes failed ({options.failures_per_node_day:g} a node and day, back after "
            f"{REPAIR_SECONDS / 60:.0f} min); their trials went on elsewhere from their last checkpoint"
        )
    return f"{' and '.join(parts)}: {result['without_faults']['cost']:+.1%} of the time that it takes without"
