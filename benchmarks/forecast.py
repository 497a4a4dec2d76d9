"""A forecast beside the real run that it forecasts, and the time to forecast 100,000 trials on 1,000 GPUs.

    python benchmarks/forecast.py [STUDY] [--trials N] [--seeds N] [--rounds N] [--from ledger|calibration] [--side-by-side]

Each round runs the study (`studies/digits.yaml`, with fewer trials unless told otherwise) twice by `ablate run`, with different
search seeds. The second run is forecast from the first one's ledger, never from its own; or, with `--from calibration`, from
`ablate plan --calibrate` made just before it. Compared are seconds from the first trial's hand-over until the last record
(`error_vs_real`, the median over rounds of |forecast / real - 1|) and of the whole command (`error_of_command`).

A machine that is busy with other work changes its speed between two runs, and no forecast knows that: `load` is the load average
before each run. `--side-by-side` runs both at the same time, each with half of the processes, so that both meet the same
disturbance. `error_at_equal_speed` leaves out that a step took longer in one of the two runs: it is the forecast's own error.
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
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from memory import peak_mib
from rich.console import Console
from rich.table import Table

from orchestrator.check.loading import load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import make_plan
from orchestrator.engine.timings import Calibration, TrialTimings
from orchestrator.forecast.calibration import calibrate
from orchestrator.forecast.cost import PROCESS_SECONDS
from orchestrator.forecast.forecast import ForecastOptions, forecast
from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Forecasts beside real runs", allow_abbrev=False)
    parser.add_argument("study", type=Path, nargs="?", default=ROOT / "studies" / "digits.yaml")
    parser.add_argument("--trials", type=int, default=3, help="tuning trials of each arm")
    parser.add_argument("--seeds", type=int, default=3, help="evaluation seeds of each arm")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs; 0 measures the large forecast alone")
    parser.add_argument("--from", dest="source", choices=("ledger", "calibration"), default="ledger")
    parser.add_argument(
        "--side-by-side", action="store_true", help="run both of a pair at once, each on half of the CPUs"
    )
    parser.add_argument("--large", type=int, default=100_000, help="trials of the large forecast; 0 leaves it out")
    parser.add_argument("--keep", type=Path, help="write runs below this folder and keep them")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    if options.side_by_side and options.source == "calibration":
        parser.error("--side-by-side: a calibration is made before its run; use --from ledger")
    with tempfile.TemporaryDirectory(prefix="ablate-forecast-", ignore_cleanup_errors=True) as scratch:
        folder = options.keep or Path(scratch)
        rounds = [one_round(options, folder, i) for i in range(options.rounds)]
        result: dict[str, Any] = {"rounds": rounds}
        for key, name in (
            ("error_vs_real", "error"),
            ("error_at_equal_speed", "error_at_equal_speed"),
            ("error_of_command", "command_error"),
        ):
            found = [abs(r[name]) for r in rounds if r[name] is not None]
            result[key] = statistics.median(found) if found else None
        if options.large:
            result |= large_forecast(options.large, (rounds and rounds[-1]["records"]) or None, folder)
    if options.json:
        print(json.dumps(result, default=str))
        return
    show(result)


def one_round(options: argparse.Namespace, folder: Path, number: int) -> dict[str, Any]:
    """Two runs, and the forecast of the second."""
    cpus = os.cpu_count() or 1
    actors = max(cpus // 2, 1) if options.side_by_side else cpus
    studies = [
        write_study(options, folder, f"forecast-{number}-{name}", seed=2 * number + i, actors=actors)
        for i, name in enumerate(("known", "real"))
    ]
    runs = folder / "runs"
    for path in studies:  # pools are made here, so that every run finds its own: what is compared is trials
        finish(start("data", path, runs), path)
    calibration = None
    load = [os.getloadavg()[0]]
    if options.source == "calibration":
        loaded = load_study(studies[1])
        calibration = calibrate(make_plan(loaded.spec), StudyFolders(runs, loaded.spec.study))
        known: list[TrialRecord] = []
        load.append(os.getloadavg()[0])
        seconds = [None, run(studies[1], runs)]
    elif options.side_by_side:
        seconds = run_together(studies, runs)
        known = Ledger(runs / f"forecast-{number}-known" / "ledger").records()
    else:
        seconds = [run(studies[0], runs)]
        known = Ledger(runs / f"forecast-{number}-known" / "ledger").records()
        load.append(os.getloadavg()[0])
        seconds.append(run(studies[1], runs))
    real = Ledger(runs / f"forecast-{number}-real" / "ledger").records()
    told = tell(studies[1], known, calibration, actors)
    before = told["fixed_seconds"] + PROCESS_SECONDS  # until the first trial is handed to its process
    low, span, high = (told["makespan_hours"][key] * 3600 - before for key in ("low", "expected", "high"))
    speeds = step_time(known), step_time(real)
    return {
        "trials": sum(r.same_as is None for r in real),
        "forecast_trials": told["trials"],
        "load": load,
        "known_seconds": between(known) if known else None,
        "forecast_seconds": span,
        "real_seconds": between(real),
        "error": span / between(real) - 1,
        "error_at_equal_speed": None if speeds[0] is None else span / between(real) / speeds[0] * speeds[1] - 1,
        "interval_holds": low <= between(real) <= high,
        "command_seconds": seconds[1],
        "command_forecast": told["makespan_hours"]["expected"] * 3600,
        "command_error": told["makespan_hours"]["expected"] * 3600 / seconds[1] - 1 if seconds[1] else None,
        "seconds_a_step": speeds[0],
        "real_seconds_a_step": speeds[1],
        "records": runs / f"forecast-{number}-real" / "ledger",
    }


def tell(study: Path, known: list[TrialRecord], calibration: Calibration | None, actors: int) -> dict[str, Any]:
    """The forecast for one node with as many processes as the run had."""
    plan = make_plan(load_study(study).spec)
    return forecast(plan, known, TrialTimings(known, calibration), ForecastOptions(nodes=1, cpus_per_node=actors))


def between(records: list[TrialRecord]) -> float:
    """Seconds from the first hand-over until the last record."""
    trained = [r for r in records if r.same_as is None]
    end = max(r.started_at + timedelta(seconds=r.wall_seconds) for r in trained)
    return (end - min(r.started_at for r in trained)).total_seconds()


def step_time(records: list[TrialRecord]) -> float | None:
    """Seconds a step over all trials: how fast the machine was."""
    steps = sum(r.steps for r in records if r.same_as is None)
    return sum(r.seconds for r in records) / steps if steps else None


def write_study(options: argparse.Namespace, folder: Path, name: str, *, seed: int, actors: int) -> Path:
    """A copy of the study with its own name and search seed."""
    study = yaml.safe_load(options.study.read_text(encoding="utf-8"))
    study["study"] = name
    study.setdefault("search", {}).update(trials=options.trials, seed=seed)
    study["evaluate"] = {"seeds": options.seeds, "allow_underpowered": True}
    study.setdefault("resources", {})["actors"] = actors
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return path


def run(study: Path, runs: Path) -> float:
    """`ablate run`, in a process of its own; seconds."""
    started = time.perf_counter()
    finish(start("run", study, runs), study)
    return time.perf_counter() - started


def run_together(studies: list[Path], runs: Path) -> list[float | None]:
    """Both at once. Their stores are apart, so that neither waits for the other's. No times: each disturbs the other's start."""
    for process, study in [(start("run", study, runs, f"mlflow-{study.stem}.db"), study) for study in studies]:
        finish(process, study)
    return [None, None]


def start(verb: str, study: Path, runs: Path, store: str = "mlflow.db") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command(verb), str(study), "--runs", str(runs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), "MLFLOW_TRACKING_URI": f"sqlite:///{(runs / store).absolute()}"},
    )


def finish(process: subprocess.Popen[str], study: Path) -> None:
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{study}: `ablate` ended with status {process.returncode}:\n{errors[-4000:]}")


def command(verb: str) -> list[str]:
    return [sys.executable, "-c", "from orchestrator.cli.app import main; main()", verb]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def large_forecast(trials: int, ledger: Path | None, folder: Path) -> dict[str, Any]:
    """Nine arms under forty conditions, as many tuning trials and seeds as give `trials`, on 125 nodes of eight GPUs."""
    study = yaml.safe_load((ROOT / "studies" / "digits.yaml").read_text(encoding="utf-8"))
    conditions = {"data.contamination": [round(0.045 * i, 3) for i in range(20)], "data.labels_per_class": [2, 4]}
    seeds = max(trials // 1040, 6)
    study |= {"study": "large", "conditions": conditions, "evaluate": {"seeds": seeds}}
    study["search"] |= {"trials": max((trials - 360 * seeds) // 320, 1), "generation": 20}
    path = folder / "large.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    plan = make_plan(load_study(path).spec)
    known = Ledger(ledger or ROOT / "docs" / "results" / "digits" / "ledger").records()
    load = os.getloadavg()[0]
    wall, cpu = time.perf_counter(), time.process_time()
    told = forecast(plan, known, TrialTimings(known), ForecastOptions(nodes=125, gpus_per_node=8, speed=0.05))
    return {
        "seconds_100000_trials": (time.perf_counter() - wall) * 100_000 / told["trials"],
        "cpu_seconds_100000_trials": (time.process_time() - cpu) * 100_000 / told["trials"],
        "large_trials": told["trials"],
        "large_trials_at_once": told["trials_at_once"],
        "large_load": load,
        "large_makespan_hours": told["makespan_hours"]["expected"],
        "large_utilisation": told["utilisation"],
        "large_peak_mib": peak_mib(),
    }


def show(result: dict[str, Any]) -> None:
    table = Table(title="Forecast beside real run, seconds", box=None, padding=(0, 2, 0, 0))
    headings = (
        "trials",
        "forecast",
        "real",
        "error",
        "at equal speed",
        "in interval",
        "command",
        "forecast",
        "error",
        "ms a step, known",
        "real",
        "load",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for r in result["rounds"]:
        table.add_row(
            str(r["trials"]),
            f"{r['forecast_seconds']:.1f}",
            f"{r['real_seconds']:.1f}",
            f"{r['error']:+.1%}",
            "" if r["error_at_equal_speed"] is None else f"{r['error_at_equal_speed']:+.1%}",
            "yes" if r["interval_holds"] else "no",
            *(
                (f"{r['command_seconds']:.1f}", f"{r['command_forecast']:.1f}", f"{r['command_error']:+.1%}")
                if r["command_seconds"]
                else ("", "", "")
            ),
            "" if r["seconds_a_step"] is None else f"{1e3 * r['seconds_a_step']:.1f}",
            f"{1e3 * r['real_seconds_a_step']:.1f}",
            ", ".join(f"{x:.1f}" for x in r["load"]),
        )
    console = Console(width=150)
    if result["rounds"]:
        console.print(table)
    for key, value in result.items():
        if key != "rounds" and value is not None:
            print(f"{key:28} {value:.4g}")


if __name__ == "__main__":
    main()
