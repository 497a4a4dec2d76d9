"""`ablate plan --nodes N`: the whole study on a cluster that is not there, by the study's own driver on a virtual clock."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.common.folders import StudyFolders
from orchestrator.common.units import duration
from orchestrator.design.plan import Plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.search import CellSearch
from orchestrator.engine.state import StudyState
from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.cost import CALIBRATION_ERROR, END_SECONDS, RAY_SECONDS
from orchestrator.forecast.trial_simulation import CannotForecast, RandomSuggestions, RecordedCourses
from orchestrator.forecast.virtual_cluster import (
    REPAIR_SECONDS,
    STRAGGLER_FACTOR,
    ClusterShape,
    Outcome,
    VirtualCluster,
)
from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord

REAL_SAMPLER_UP_TO = 2000
"""Trials up to which the study's own sampler is asked; beyond, suggestions are random: they do not change what a trial takes."""
REPEATS_UP_TO = 1000
"""Trials up to which the simulation is repeated for its interval."""
REPEATS = 8
BUSY_DRIVER = 0.8
"""Share of the time that the driver works, from which on a forecast calls it the bottleneck."""
_Z95 = 1.645


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
