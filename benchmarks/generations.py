"""What generations cost in idle actors, beside asynchronous search: the study engine itself on a virtual clock.

    python benchmarks/generations.py [--trials 6] [--generation 2] [--seeds 6] [--repeats 20] [--json]
    python benchmarks/generations.py --real [--slower 5]

The cells are those of studies/digits.yaml (one for each arm that searches something), as often as needed under further conditions.
`StudyDriver` hands out, judges and records in both strategies; times and curves are drawn from the trials of
docs/results/digits/ledger, so arms differ in speed, trials of an arm differ as measured, and bad ones are stopped early. A
process is there from the start; `--turnaround` seconds lie between two trials of a process, as `ablate run` was measured.
Suggestions are random: what is suggested does not change how long it takes.

Idle is the share of actors · makespan in which no trial is set up or trained. It is given for the whole study, whose evaluation
trials fill the actors as soon as one cell's tuning is done, and for the search alone: there the clock stops with the last tuning
trial and nothing else fills the actors. The headline is the search alone, which is the harder of the two.

`--real` also runs both strategies once on Ray, with trials that sleep as long as recorded ones trained, to check the simulation;
with `--slower`, longer, where the machine is too busy to hand a trial out in a moment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator.check.loading import load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from orchestrator.engine.timings import TrialTimings
from orchestrator.forecast.forecast import MemoryLedger
from orchestrator.forecast.trial_simulation import RandomSuggestions, RecordedCourses
from orchestrator.forecast.virtual_cluster import ClusterShape, VirtualCluster
from orchestrator.storage.place import Storage
from results.ledger.ledger import Ledger

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "digits.yaml"
RECORDED = ROOT / "docs" / "results" / "digits" / "ledger"
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "generations": ("search.strategy=generations",),
    "asynchronous": ("search.strategy=asynchronous", "search.early_stopping.rule=asha"),
}
SHAPES = tuple((cells, actors) for actors in (2, 8) for cells in (1, 2, 8, 32))
HEADLINE = (8, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description="What generations cost in idle actors", allow_abbrev=False)
    parser.add_argument("--trials", type=int, default=6, help="full tuning trials of each cell")
    parser.add_argument("--generation", type=int, default=2, help="suggestions in a generation")
    parser.add_argument("--rule", action="append", default=[], metavar="KEY=VALUE", help="of search.early_stopping")
    parser.add_argument("--seeds", type=int, default=6, help="evaluation seeds of the whole study")
    parser.add_argument("--repeats", type=int, default=20, help="simulated runs of each kind")
    parser.add_argument("--turnaround", type=float, default=0.02, help="seconds between two trials of a process")
    parser.add_argument("--real", action="store_true", help="one run of each strategy on Ray too, trials asleep")
    parser.add_argument("--slower", type=float, default=1.0, help="with --real: trials sleep so many times as long")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    records = Ledger(RECORDED).records()
    rows = []
    for cells, actors in SHAPES:
        row: dict[str, Any] = {"cells": cells, "actors": actors}
        for name in ALTERNATIVES:
            plan = plan_of(name, cells, options)
            shape = ClusterShape(
                trials_per_node=actors,
                actor_start=0.0,
                turnaround=options.turnaround,
                driver_per_trial=options.turnaround / 2,
            )
            for part, simulated in (("search", without_evaluation(plan)), ("study", plan)):
                found = [idle_and_makespan(simulated, records, shape, seed) for seed in range(options.repeats)]
                row[f"{part}_{name}"] = statistics.fmean(idle for idle, _ in found)
                row[f"{part}_{name}_seconds"] = statistics.fmean(seconds for _, seconds in found)
        rows.append(row)
    headline = next(row for row in rows if (row["cells"], row["actors"]) == HEADLINE)
    result: dict[str, Any] = {
        "idle_generations": headline["search_generations"],
        "idle_asynchronous": headline["search_asynchronous"],
        "difference": headline["search_generations"] - headline["search_asynchronous"],
        "difference_whole_study": headline["study_generations"] - headline["study_asynchronous"],
        "trials": options.trials,
        "generation": options.generation,
        "repeats": options.repeats,
        "shapes": rows,
    }
    if options.real:
        result["real"] = {
            name: real_idle(plan_of(name, HEADLINE[0], options), records, options.slower) for name in ALTERNATIVES
        }
    if options.json:
        print(json.dumps(result))
        return
    Console(width=130).print(table(result))
    if options.real:
        print(
            f"on Ray, {HEADLINE[0]} cells on {HEADLINE[1]} actors, search alone: "
            + ", ".join(f"{name} {idle:.1%} idle" for name, idle in result["real"].items())
        )


def plan_of(strategy: str, cells: int, options: argparse.Namespace) -> Plan:
    """So many tuned cells of the digits study, in order of its arms; more of them under other shares of synthetic images."""
    plan = make_plan(
        load_study(
            STUDY,
            [
                "conditions={data.contamination: [0.5, 0.25, 0.6, 0.75]}",
                f"search.trials={options.trials}",
                f"search.generation={options.generation}",
                *(f"search.early_stopping.{change}" for change in options.rule),
                *ALTERNATIVES[strategy],
                f"evaluate.seeds={options.seeds}",
            ],
        ).spec
    )
    tuned = [cell for cell in plan.cells if cell.space]
    return replace(plan, cells=tuple(tuned[:cells]))


def without_evaluation(plan: Plan) -> Plan:
    """The plan's search alone."""
    return replace(plan, cells=tuple(replace(cell, evaluation_seeds=()) for cell in plan.cells))


def idle_and_makespan(plan: Plan, records: Sequence[Any], shape: ClusterShape, seed: int) -> tuple[float, float]:
    """Idle share of a simulated run, and its seconds."""
    with tempfile.TemporaryDirectory(prefix="ablate-") as scratch:
        folders = StudyFolders(Path(scratch), plan.study.study)
        state = StudyState(plan, [], search=RandomSuggestions)
        driver = StudyDriver(state, folders, MemoryLedger(folders.ledger), code={})
        courses = RecordedCourses(plan, records, TrialTimings(records))
        outcome = VirtualCluster(driver, courses, shape, seed=seed).run()
    return 1 - outcome.busy / (shape.slots * outcome.makespan), outcome.makespan


def table(result: dict[str, Any]) -> Table:
    """One line for each number of cells and actors."""
    found = Table(
        title=f"Idle share of the actors' time, generations of {result['generation']}, {result['trials']} full trials a cell, "
        f"mean of {result['repeats']} simulated runs"
    )
    for heading in ("cells", "actors"):
        found.add_column(heading, justify="right")
    for part in ("search alone", "whole study"):
        for heading in ("generations", "asynchronous", "difference"):
            found.add_column(f"{part}:\n{heading}", justify="right")
    for row in result["shapes"]:
        shares = []
        for part in ("search", "study"):
            ours, theirs = row[f"{part}_generations"], row[f"{part}_asynchronous"]
            shares += [f"{ours:.1%}", f"{theirs:.1%}", f"{100 * (ours - theirs):+.1f} points"]
        found.add_row(str(row["cells"]), str(row["actors"]), *shares)
    return found


def real_idle(plan: Plan, records: Sequence[Any], slower: float) -> float:
    """Idle share of the actors in one run of the search on Ray, from the first trial's start to the last one's end."""
    from orchestrator.cluster.connection import cluster
    from orchestrator.cluster.tune_adapters import run_trials

    actors = HEADLINE[1]
    with tempfile.TemporaryDirectory(prefix="ablate-generations-") as scratch, cluster(num_cpus=actors):
        folders = StudyFolders(Path(scratch), plan.study.study)
        for path in (folders.checkpoints, folders.log, folders.pools):
            path.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folders.ledger)
        driver = StudyDriver(StudyState(without_evaluation(plan), []), folders, ledger, code={}, actors=actors)
        run_trials(
            driver,
            sleeper(records, slower),
            processes=lambda: actors,
            requests=lambda arm: {"CPU": 1.0},
            places=Storage(folders).places,
            on_record=lambda record: None,
        )
        found = ledger.records()
    began = min(r.started_at.timestamp() for r in found)
    ended = max(r.started_at.timestamp() + r.wall_seconds for r in found)
    return 1 - sum(r.wall_seconds for r in found) / (actors * (ended - began))


def sleeper(records: Sequence[Any], slower: float) -> type:
    """A trainable whose trials sleep as long as a recorded completed one of their arm trained, and report its errors."""
    import os
    import platform
    import time
    import zlib
    from datetime import UTC, datetime

    from ray import tune

    known: dict[str, list[tuple[float, list[Any]]]] = {}
    for r in records:
        if r.status == "completed":
            arm = json.dumps([r.algorithm, r.arm.partition("-without-")[2]])
            known.setdefault(arm, []).append((slower * r.wall_seconds / r.steps, list(r.curves["val_error"])))
    every = [course for courses in known.values() for course in courses]

    class Sleeper(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.spec = json.loads(new_config["spec"])
            off = self.spec["off"]
            courses = known.get(json.dumps([self.spec["algorithm"], off[0] if len(off) == 1 else ""]), every)
            self.per_step, self.rows = courses[zlib.crc32(new_config["spec"].encode()) % len(courses)]
            self.place, self.began, self.started_at = 0, time.perf_counter(), datetime.now(UTC)
            return True

        def step(self) -> dict[str, Any]:
            step, error = self.rows[self.place]
            self.place += 1
            time.sleep(max(self.began + step * self.per_step - time.perf_counter(), 0.0))
            seconds = time.perf_counter() - self.began
            payload = {
                "started_at": self.started_at.isoformat(),
                "setup_seconds": 0.0,
                "wall_seconds": seconds,
                "host": platform.node(),
                "process": os.getpid(),
                "device": "cpu",
                "versions": {"python": platform.python_version()},
                "rows": [(step, {"val_error": error, "val_loss": error / 50})],
                "step": step,
                "seconds": seconds,
                "data": {"dataset": "digits", "fingerprint": self.spec["fingerprint"]},
            }
            return {"done": self.place == len(self.rows), "ablate": [payload]}

    return Sleeper


if __name__ == "__main__":
    main()
