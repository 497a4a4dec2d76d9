"""What the MLflow mirror writes per second, and what it takes from the driver, beside Ray's own MLflow callback.

    python benchmarks/mirror.py [--trials 100] [--theirs 10] [--rounds 3] [--json]

Trials of 20 params and 5 curves of 50 points each. In turns, in processes of their own, on a fresh SQLite store and on a tracking
server on loopback over another:

- ours: `orchestrator.mirror.sync` of a ledger with `--trials` such trials: three levels of runs, tags, notes, datasets, curves with
  steps and times; imports are outside the clock;
- callback: `ray.air.integrations.mlflow.MLflowLoggerCallback`, called as Ray Tune calls it: 50 results of 5 metrics for each of
  `--theirs` trials. On the driver, in the result path.

The driver's time: records of such trials are appended to a ledger in this process, while the mirror's process is at work on it, and
without it, in turns; `driver_ms_per_trial` is the median of the differences. On few cores that is the mirror's share of
the processor, for it never speaks to the driver.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from results.ledger.ledger import Ledger
from tests.integration.mlflow_studies import make_manifest, make_record

PARAMS, CURVES, POINTS = 20, 5, 50
STORES = ("sqlite", "server")


def main() -> None:
    parser = argparse.ArgumentParser(description="The MLflow mirror beside Ray's callback", allow_abbrev=False)
    parser.add_argument("--trials", type=int, default=100, help="trials of ours in each measurement")
    parser.add_argument("--theirs", type=int, default=10, help="trials of the callback in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--measure", choices=("ours", "callback"), help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(
            _ours(options.trials, options.store)
            if options.measure == "ours"
            else _theirs(options.theirs, options.store)
        )
        return
    found: dict[str, float] = {"driver_ms_per_trial": _driver(options.trials, options.rounds)}
    for kind in STORES:
        rates: dict[str, list[float]] = {"ours": [], "callback": []}
        for _ in range(options.rounds):
            for name, values in rates.items():
                with tempfile.TemporaryDirectory(prefix="ablate-mirror-") as folder, _store(kind, Path(folder)) as uri:
                    values.append(_measured(name, uri, options))
        prefix = "" if kind == "sqlite" else "server_"
        found[f"{prefix}trials_per_second"] = statistics.median(rates["ours"])
        found[f"{prefix}callback_trials_per_second"] = statistics.median(rates["callback"])
        found[f"{prefix}ratio_vs_callback"] = statistics.median(
            a / b for a, b in zip(rates["ours"], rates["callback"], strict=True)
        )
    if options.json:
        print(json.dumps(found))
        return
    table = Table("figure", "value", box=None)
    for key, value in found.items():
        table.add_row(key, f"{value:.2f}")
    Console().print(table)


def _measured(name: str, uri: str, options: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--measure", name, "--store", uri]
    command += ["--trials", str(options.trials), "--theirs", str(options.theirs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    """A fresh store, made and brought to its schema before any clock starts."""
    from orchestrator.browse.ui import serve_ui
    from orchestrator.mirror import MLflowStore

    uri = f"sqlite:///{folder}/mlflow.db"
    MLflowStore(uri).experiment("warm-up", {})
    if kind == "sqlite":
        yield uri
        return
    with serve_ui(uri) as server:
        yield server.address


def _record(number: int) -> Any:
    config = {f"param_{i}": 0.1 * i for i in range(PARAMS)}
    curves = {f"metric_{i}": [(10 * (p + 1), 1.0 / (p + i + 1)) for p in range(POINTS)] for i in range(CURVES)}
    return make_record(number % 2, "tune", number, config=config, curves=curves, suggested={})


def _write(folder: Path, trials: int, first: int = 0) -> float:
    """Records of trials, one after another, as a driver writes them; milliseconds for each."""
    ledger = Ledger(folder / "ledger")
    records = [_record(first + number) for number in range(trials)]
    began = time.perf_counter()
    for record in records:
        ledger.append(record)
    spent = time.perf_counter() - began
    ledger.close()
    return 1000 * spent / trials


def _ours(trials: int, uri: str) -> float:
    from orchestrator.mirror import MLflowStore, sync

    with tempfile.TemporaryDirectory(prefix="ablate-mirror-") as name:
        study = Path(name) / "digits"
        make_manifest().save(study)
        _write(study, trials)
        store = MLflowStore(uri)
        began = time.perf_counter()
        done = sync(study, store)
        spent = time.perf_counter() - began
    assert done.written == trials, done
    return trials / spent


def _theirs(trials: int, uri: str) -> float:
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    class Trial(SimpleNamespace):
        def __hash__(self) -> int:
            return id(self)

    callback = MLflowLoggerCallback(tracking_uri=uri, experiment_name="theirs")
    callback.setup()
    made = [Trial(config=_record(n).config) for n in range(trials)]
    began = time.perf_counter()
    for trial in made:
        callback.log_trial_start(trial)
        for point in range(POINTS):
            result = {f"metric_{i}": 1.0 / (point + i + 1) for i in range(CURVES)}
            callback.log_trial_result(point, trial, {**result, "training_iteration": point + 1})
        callback.log_trial_end(trial)
    return trials / (time.perf_counter() - began)


def _driver(trials: int, rounds: int) -> float:
    """Milliseconds per record that a mirror at work costs the process that writes them."""
    from orchestrator.running.mirror_process import MirrorProcess

    differences = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ablate-mirror-") as name:
            for folder in ("with", "without"):
                make_manifest().save(Path(name) / folder)
            study = Path(name) / "with"
            _write(study, 8)  # for the mirror to be at work on
            with MirrorProcess(study, f"sqlite:///{name}/mlflow.db", study / "log" / "mlflow.log") as mirror:
                while mirror.status().written < 8:
                    time.sleep(0.1)
                mirrored = _write(study, trials, first=8)
                mirror.finish(600)
            differences.append(mirrored - _write(Path(name) / "without", trials))
    return statistics.median(differences)


if __name__ == "__main__":
    main()
