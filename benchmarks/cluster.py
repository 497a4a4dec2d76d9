"""What a cluster of several nodes does to a study: nodes that vanish, GPUs that trials share, and processes that wait.

    python benchmarks/cluster.py [--losses 6] [--json]

Real Ray nodes on this machine, each at a loopback address of its own, logical GPUs, and the default network on digits, whose trials
take a few seconds here.

- losses: a study on two nodes. Again and again one of them is killed in mid-trial and a new one started; then the ledger is held
  against that of the same study on one node that stays: `lost` and `repeated` finished trials, `tables_equal`.
- packing: a node with two logical GPUs and eight CPUs, trials of a quarter of a GPU each: `at_once` is the most trials whose times
  in the ledger overlap.
- busy: the same ledger; `busy` is the share of the time that processes spent in trials, each from its own first trial on, until
  fewer trials are left than there are processes; `busy_with_starts` counts all of them from the first trial of any, and so the time
  in which eight processes import torch on this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord
from results.report.writing import load_table
from tests.integration.raylets import Raylets

ROOT = Path(__file__).resolve().parents[1]
STUDY: dict[str, Any] = {
    "study": "cluster",
    "question": "Does a cluster that changes change the answer?",
    "method": "fixmatch",
    "ablation": {"design": "none"},
    "baselines": ["supervised", "pseudo-label"],
    "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.0},
    "training": {"steps": 300, "reports": 15, "batch_size": 16, "unlabelled_ratio": 2},
    "search": {"trials": 6, "generation": 3, "spaces": ["thresholds"], "early_stopping": {"rule": "none"}},
    "evaluate": {"seeds": 6, "allow_underpowered": True},
}
BETWEEN_LOSSES = 3
"""Records."""


def main() -> None:
    parser = argparse.ArgumentParser(description="What a cluster does to a study", allow_abbrev=False)
    parser.add_argument("--losses", type=int, default=6, help="nodes to kill")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ablate-cluster-", ignore_cleanup_errors=True) as name:
        result = {**_losses(Path(name), options.losses), **_packing(Path(name))}
    if options.json:
        print(json.dumps(result))
        return
    table = Table("figure", "value", box=None)
    for key, value in result.items():
        table.add_row(key, f"{value:.3g}" if isinstance(value, float) else str(value))
    Console().print(table)


def _losses(folder: Path, losses: int) -> dict[str, Any]:
    resources = {"cpus": 1, "gpus": 0}
    with Raylets() as nodes:
        nodes.add(cpus=2)
        quiet = _start(folder / "quiet", {**STUDY, "resources": resources}, nodes.address)
        _finish(quiet, folder / "quiet")
    killed = 0
    with Raylets() as nodes:
        alive = [nodes.add(), nodes.add()]
        ledger = Ledger(folder / "rough" / "runs" / "cluster" / "ledger")
        before: dict[str, Any] = {}
        driver = _start(folder / "rough", {**STUDY, "resources": resources}, nodes.address)
        while driver.poll() is None and killed < losses:
            if len(ledger.parts()) >= BETWEEN_LOSSES * (killed + 1):
                before |= {r.trial_id: r.started_at for r in ledger.records()}
                nodes.kill(alive.pop(0))
                alive.append(nodes.add())
                killed += 1
            time.sleep(0.1)
        _finish(driver, folder / "rough")
    after = {r.trial_id: r for r in ledger.records()}
    wanted = {r.trial_id for r in Ledger(folder / "quiet" / "runs" / "cluster" / "ledger").records()}
    tables = [load_table(folder / one / "runs" / "cluster").answers() for one in ("quiet", "rough")]
    return {
        "nodes_lost": killed,
        "lost": len(wanted - after.keys()) + sum(i not in after for i in before),
        "repeated": sum(after[i].started_at != at for i, at in before.items() if i in after)
        + sum(n - 1 for n in Counter(r.trial_id for r in ledger.history()).values()),
        "tables_equal": tables[0] == tables[1],
    }


def _packing(folder: Path) -> dict[str, Any]:
    study = {**STUDY, "resources": {"cpus": 1, "gpus": 0.25}, "evaluate": {"seeds": 32}}
    with Raylets() as nodes:
        nodes.add(cpus=8, gpus=2)
        _finish(_start(folder / "packed", study, nodes.address), folder / "packed")
    records = Ledger(folder / "packed" / "runs" / "cluster" / "ledger").records()
    return {
        "trials": len(records),
        "at_once": at_once(records),
        "busy": busy(records, 8),
        "busy_with_starts": busy(records, 8, starts=True),
    }


def at_once(records: Sequence[TrialRecord]) -> int:
    """The most trials whose times overlap."""
    times = [(r.started_at.timestamp(), r.started_at.timestamp() + r.wall_seconds) for r in records]
    return max(sum(began <= moment < ended for began, ended in times) for moment, _ in times)


def busy(records: Sequence[TrialRecord], processes: int, *, starts: bool = False) -> float:
    """Share of the processes' time that trials took, until fewer are left to start than there are processes."""
    times = sorted((r.started_at.timestamp(), r.started_at.timestamp() + r.wall_seconds, r.process) for r in records)
    last = times[-processes][0]
    first: dict[int, float] = {}
    for began, _, process in times:
        first.setdefault(process, times[0][0] if starts else began)
    held = sum(max(min(ended, last) - began, 0.0) for began, ended, _ in times)
    return held / sum(last - began for began in first.values())


def _start(folder: Path, study: dict[str, Any], address: str) -> subprocess.Popen[bytes]:
    folder.mkdir()
    (folder / "cluster.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    code = "from orchestrator.cli.app import main; main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    with (folder / "output.txt").open("wb") as log:
        command = [sys.executable, "-c", code, "run", "cluster.yaml", "--address", address, "--no-mlflow"]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=env)


def _finish(driver: subprocess.Popen[bytes], folder: Path) -> None:
    if driver.wait():
        raise SystemExit((folder / "output.txt").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
