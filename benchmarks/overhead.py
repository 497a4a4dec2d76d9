"""What the whole machine costs per trial, beside bare Ray Tune and Ray Tune with its own MLflow callback.

    python benchmarks/overhead.py [--trials 200] [--actors 2] [--rounds 5] [--json]

Trials that take no time, one search of `--trials` trials with Optuna's TPE over the same four ranges, a local Ray of `--actors`
CPUs, actors reused, each contender in a process of its own, in turns:

- ours: `orchestrator.cluster.tune_adapters.run_trials` as `ablate run` calls it, with the study's driver, its search in
  generations, a durable record of each trial in the ledger, the MLflow mirror in its own process at the same time, and the live
  table;
- bare: `ray.tune.Tuner` with `OptunaSearch`, no logger, and no checkpoints of Tune's own;
- callback: the same with `MLflowLoggerCallback` on SQLite.

Ray is up before the clock starts, and so is the mirror's process, which `ablate run` starts before Ray. The clock runs from the
first suggestion to the last result processed; ours: to the last record durable in the ledger. The start of the actors is inside.
`steady` leaves it out: the clock then starts when the first trial has ended. How long the mirror takes after that to have
everything in MLflow is given beside it. No contender's worker imports torch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from memory import peak_mib
from rich.console import Console
from rich.table import Table

CONTENDERS = ("ours", "bare", "callback")
METRIC = "val_error"
STUDY = {
    "study": "overhead",
    "question": "What does a trial cost that costs nothing?",
    "method": "fixmatch",
    "ablation": {"design": "none"},
    "baselines": [],
    "data": {"dataset": "digits", "labels_per_class": 2},
    "training": {"steps": 1, "reports": 1},
    "search": {
        "generation": 8,
        "spaces": ["thresholds", "loss-weights", "optimiser"],
        "early_stopping": {"rule": "none"},
    },
    "evaluate": {"seeds": 1, "allow_underpowered": True},
    "resources": {"cpus": 1, "gpus": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the whole machine costs per trial", allow_abbrev=False)
    parser.add_argument("--trials", type=int, default=200, help="trials of each measurement")
    parser.add_argument("--actors", type=int, default=2, help="trials at the same time")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--alone", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        with tempfile.TemporaryDirectory(prefix="ablate-overhead-", ignore_cleanup_errors=True) as folder:
            print(json.dumps(measure(options.alone, options.trials, options.actors, Path(folder))))
        return
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in options.contenders}
    for i in range(options.rounds):
        for name in options.contenders if i % 2 == 0 else reversed(options.contenders):
            measured[name].append(in_a_process(name, options.trials, options.actors))
    result = summary(measured)
    if options.json:
        print(json.dumps(result))
        return
    Console(width=110).print(table(measured))
    for key, value in result.items():
        if key.startswith("ratio"):
            print(f"{key}: {value:.2f}")


def in_a_process(name: str, trials: int, actors: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    command = [sys.executable, __file__, "--alone", name, "--trials", str(trials), "--actors", str(actors)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root})
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def summary(measured: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians over the rounds, and ratios of the medians."""

    def middle(name: str, key: str) -> float:
        return statistics.median(m[key] for m in measured[name])

    result: dict[str, Any] = {}
    for other, label in (("bare", "ratio_vs_bare"), ("callback", "ratio_vs_mlflow_callback")):
        if "ours" in measured and other in measured:
            result[label] = middle("ours", "seconds") / middle(other, "seconds")
            result[f"{label}_steady"] = middle("ours", "steady") / middle(other, "steady")
    if "ours" in measured:
        result["seconds_per_trial"] = middle("ours", "seconds")
        result["mirror_catch_up_seconds"] = middle("ours", "catch_up")
    result["contenders"] = {
        name: {key: middle(name, key) for key in rows[0]} for name, rows in measured.items() if rows
    }
    result["rounds"] = {name: [m["seconds"] for m in rows] for name, rows in measured.items()}
    return result


def table(measured: Mapping[str, list[dict[str, float]]]) -> Table:
    """The medians."""
    found = summary(measured)["contenders"]
    shown = Table(title="Milliseconds per instant trial, medians", box=None, padding=(0, 2, 0, 0))
    for heading in (
        "",
        "all",
        "least",
        "most",
        "steady",
        "driver CPU",
        "first 500",
        "last 500",
        "driver MiB",
        "mirror after, s",
    ):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, rows in measured.items():
        row = found[name]
        times = [1e3 * m["seconds"] for m in rows]
        shown.add_row(
            name,
            f"{1e3 * row['seconds']:.1f}",
            f"{min(times):.1f}",
            f"{max(times):.1f}",
            *(f"{1e3 * row[key]:.1f}" for key in ("steady", "driver_cpu", "first_500", "last_500")),
            f"{row['driver_mib']:.0f}",
            f"{row['catch_up']:.1f}" if name == "ours" else "",
        )
    return shown


class Clock:
    """When each trial was suggested and when it was done with."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.ends: list[float] = []
        self.cpu: list[float] = []

    def suggested(self) -> None:
        """A suggestion is asked for."""
        if self.began is None:
            self.began = time.perf_counter()

    def ended(self) -> None:
        """A trial is done with."""
        self.ends.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def result(self, catch_up: float) -> dict[str, float]:
        """Seconds per trial."""
        assert self.began is not None
        n = len(self.ends)
        part = min(500, n - 1)
        return {
            "seconds": (self.ends[-1] - self.began) / n,
            "steady": (self.ends[-1] - self.ends[0]) / (n - 1),
            "driver_cpu": (self.cpu[-1] - self.cpu[0]) / (n - 1),
            "first_500": (self.ends[part] - self.ends[0]) / part,
            "last_500": (self.ends[-1] - self.ends[-1 - part]) / part,
            "start": self.ends[0] - self.began,
            "driver_mib": peak_mib(),
            "catch_up": catch_up,
        }


def measure(name: str, trials: int, actors: int, folder: Path) -> dict[str, float]:
    """One measurement in this process."""
    from orchestrator.cluster.connection import cluster

    clock = Clock()
    if name == "ours":
        return _ours(clock, trials, actors, folder)
    with cluster(num_cpus=actors):
        return _theirs(clock, trials, folder, mlflow=name == "callback")


def _ours(clock: Clock, trials: int, actors: int, folder: Path) -> dict[str, float]:
    from orchestrator.check.loading import load_study
    from orchestrator.cluster.connection import cluster
    from orchestrator.cluster.shared_data import SharedData
    from orchestrator.cluster.tune_adapters import run_trials
    from orchestrator.common.folders import StudyFolders
    from orchestrator.design.plan import make_plan
    from orchestrator.engine.driver import StudyDriver
    from orchestrator.engine.state import StudyState
    from orchestrator.running.live_view import StudyView
    from orchestrator.running.mirror_process import MirrorProcess
    from orchestrator.running.runner import manifest
    from orchestrator.storage.place import Storage
    from results.ledger.ledger import Ledger

    file = folder / "overhead.yaml"
    settings = {**STUDY, "search": {**STUDY["search"], "trials": trials - 1}}  # type: ignore[dict-item]
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    loaded = load_study(file)
    folders = StudyFolders(folder / "runs", "overhead")
    for path in (folders.checkpoints, folders.log, folders.pools):
        path.mkdir(parents=True, exist_ok=True)
    plan = make_plan(loaded.spec)
    assert plan.trials == trials, plan.trials
    ledger = Ledger(folders.ledger)
    described = manifest(plan, loaded)
    described.save(folders.study)
    state, code = StudyState(plan, ledger.records()), described.provenance["code"]
    driver = StudyDriver(state, folders, ledger, code=code, actors=actors)
    hand_out = driver.hand_out

    def timed(handle: str) -> Any:
        clock.suggested()
        return hand_out(handle)

    driver.hand_out = timed  # type: ignore[method-assign]
    mirror = MirrorProcess(folders.study, f"sqlite:///{folder}/mlflow.db", folders.log / "mlflow.log")
    with (
        mirror,
        cluster(num_cpus=actors) as ray,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
    ):  # in this order, as `run_study` does
        view = StudyView(
            Console(file=nowhere, force_terminal=True, width=120), driver, pending=lambda: str(mirror.status().written)
        )

        def on_record(record: Any) -> None:
            clock.ended()
            view.record(record)

        with view.showing(), SharedData(folders.pools, ray) as shared:
            run_trials(
                driver,
                instant(),
                processes=lambda: actors,
                requests=lambda arm: {"CPU": 1.0},
                places=Storage(folders).places,
                on_record=on_record,
                shared=shared,
            )
        end = time.perf_counter()
        status = mirror.finish(600)
        catch_up = time.perf_counter() - end
    assert len(ledger.records()) == trials
    assert status.written == trials, status
    return clock.result(catch_up)


def instant() -> type:
    """A trainable whose trials take no time and answer as `trainables.trainable.AblationTrainable` does."""
    from ray import tune

    class Instant(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.config = new_config
            return True

        def step(self) -> dict[str, Any]:
            import platform
            from datetime import UTC, datetime

            spec = json.loads(self.config["spec"])
            row = {"val_error": 100 * abs(spec["hyperparameters"]["threshold"] - 0.9), "val_loss": 1.0}
            if spec["phase"] == "evaluate":
                row["test_error"] = 10.0
            payload = {
                "started_at": datetime.now(UTC).isoformat(),
                "setup_seconds": 0.0,
                "wall_seconds": 0.0,
                "host": platform.node(),
                "process": os.getpid(),
                "device": "cpu",
                "versions": {"python": platform.python_version()},
                "rows": [(1, row)],
                "step": 1,
                "seconds": 0.0,
                "data": {"dataset": "digits", "fingerprint": spec["fingerprint"]},
            }
            return {"done": True, "ablate": [payload]}

    return Instant


def _theirs(clock: Clock, trials: int, folder: Path, *, mlflow: bool) -> dict[str, float]:
    from optuna.distributions import FloatDistribution
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Instant(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.config = new_config
            return True

        def step(self) -> dict[str, Any]:
            return {"done": True, METRIC: 100 * abs(self.config["threshold"] - 0.9)}

    class Search(OptunaSearch):  # type: ignore[misc]
        def suggest(self, trial_id: str) -> Any:
            clock.suggested()
            return super().suggest(trial_id)

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            super().on_trial_complete(trial_id, result, error)
            clock.ended()

    space = {
        "threshold": FloatDistribution(0.7, 0.99),
        "unlabelled_weight": FloatDistribution(0.3, 3.0, log=True),
        "learning_rate": FloatDistribution(0.01, 0.2, log=True),
        "weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
    }
    callbacks = []
    if mlflow:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        callbacks.append(MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="overhead"))
    tune.Tuner(
        tune.with_resources(Instant, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=Search(space=space, metric=METRIC, mode="min", seed=0), num_samples=trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="overhead",
            storage_path=str(folder),
            verbose=0,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    if (
        mlflow
    ):  # this contender's clock stops when the last run has ended in MLflow, which its callback does after the searcher
        clock.ends[-1] = time.perf_counter()
    return clock.result(0.0)


if __name__ == "__main__":
    main()
