"""How long `ablate plan`, and `ablate run` until its first trial, take with many records, and what memory the driver needs.

    python benchmarks/resume.py [--records 10000 100000] [--json]

A study of the given size (8 arms, as many conditions as it takes, 10 tuning trials and 40 seeds a cell) is played through
by the study engine itself, with outcomes made up instead of trained; its ledger is written in the form that merging leaves. A few
records are missing, so that there is something to resume. Each figure is from a fresh process, imports included; processor seconds
stand beside wall seconds, for busy machines. Resuming ends where Ray would start: with a trial to hand out.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from memory import peak_mib
from rich.console import Console
from rich.table import Table

from orchestrator.check.loading import load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from results.ledger.ledger import MOST_ROWS, Ledger
from results.ledger.parts import encode, to_table
from results.records.trial_record import TrialRecord

ARMS, TUNING, SEEDS = 8, 10, 40
MISSING = 25
METRICS = (
    "val_error",
    "val_loss",
    "loss_supervised",
    "loss_unlabelled",
    "loss_synthetic",
    "coverage_real",
    "detector_auroc",
)


class KeepingLedger(Ledger):
    """Keeps records in memory instead of writing each."""

    kept: list[TrialRecord]

    def append(self, record: TrialRecord) -> Path:
        """Keep the record."""
        self.kept.append(record)
        return self.folder


def study_file(folder: Path, records: int) -> Path:
    """A study that wants about so many trials."""
    conditions = -(-records // (ARMS * (TUNING + SEEDS)))
    study = {
        "study": f"resume-{records}",
        "question": "How long does a large study take to go on?",
        "method": "rsmatch",
        "baselines": ["fixmatch"],
        "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.5},
        "conditions": [{"training.steps": 400 + i} for i in range(conditions)],
        "training": {"steps": 400, "reports": 8},
        "search": {"trials": TUNING, "budget": "trials", "generation": 5, "sampler": "random"},
        "evaluate": {"seeds": SEEDS},
        "resources": {"gpus": 0, "actors": 2},
    }
    path = folder / f"resume-{records}.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return path


def play(path: Path, runs: Path) -> int:
    """Fill the study's ledger by playing it through; returns the number of records."""
    loaded = load_study(path)
    folders = StudyFolders(runs, loaded.spec.study)
    ledger = KeepingLedger(folders.ledger)
    ledger.kept = []
    driver = StudyDriver(
        StudyState(make_plan(loaded.spec), []), folders, ledger, code={"commit": "0" * 40, "dirty": False}
    )
    draw = random.Random(0)
    while (slot := driver.hand_out("trial")) is not None:
        rows = []
        for step in slot.spec.training.report_steps():
            row = {name: draw.random() for name in METRICS}
            if slot.phase == "evaluate" and step == slot.spec.training.steps:
                row["test_error"] = 100 * draw.random()
            rows.append((step, row))
            if driver.receive("trial", {"rows": rows[-1:], **ABOUT}):
                break
        driver.close("trial")
    kept = ledger.kept[:-MISSING]
    folders.ledger.mkdir(parents=True)
    for place in range(0, len(kept), MOST_ROWS):
        rows_of = kept[place : place + MOST_ROWS]
        (folders.ledger / f"compact-{len(rows_of)}-{place:016x}.parquet").write_bytes(encode(to_table(rows_of)))
    return len(kept)


ABOUT: dict[str, Any] = {
    "seconds": 12.5,
    "setup_seconds": 0.2,
    "wall_seconds": 12.8,
    "started_at": "2026-01-01T00:00:00+00:00",
    "host": "node-1",
    "process": 4711,
    "device": "cpu (x86_64)",
    "versions": {"python": "3.11.2", "torch": "2.14.1", "ray": "2.60.0", "optuna": "5.0.0", "mlflow": "3.17.2"},
    "data": {"dataset": "digits", "fingerprint": "ac2213023a1dd19f8222", "labelled": 20, "validation": 20},
}


def resume(path: Path, runs: Path) -> dict[str, float]:
    """What a driver does before Ray starts, in this process."""
    loaded = load_study(path)
    folders = StudyFolders(runs, loaded.spec.study)
    ledger = Ledger(folders.ledger)
    ledger.set_aside_damaged()
    records = ledger.records()
    state = StudyState(make_plan(loaded.spec), records)
    if state.take() is None or state.remaining != MISSING:
        raise SystemExit(f"the study should want {MISSING} trials, it wants {state.remaining}")
    return {"records": len(records)}


def measured(verb: str, path: Path, runs: Path) -> dict[str, float]:
    """Wall and processor seconds and peak MiB of a fresh process."""
    command = [sys.executable, __file__, "--child", verb, str(path), str(runs)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": json.loads(printed)["peak_mib"]}


def child(verb: str, path: Path, runs: Path) -> None:
    """Do one of the two in this process and print its peak memory."""
    if verb == "plan":
        from orchestrator.running.plan_summary import summarise_plan

        summarise_plan(load_study(path), runs)
    else:
        import ray.tune  # noqa: F401  the driver's memory has Ray in it

        resume(path, runs)
    print(json.dumps({"peak_mib": peak_mib()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        verb, path, runs = arguments.child
        child(verb, Path(path), Path(runs))
        return
    result: dict[str, float] = {}
    table = Table("records", "verb", "seconds", "processor seconds", "peak MiB")
    with tempfile.TemporaryDirectory(prefix="ablate-resume-") as scratch:
        for size in arguments.records:
            path = study_file(Path(scratch), size)
            records = play(path, Path(scratch))
            for verb in ("plan", "resume"):
                found = measured(verb, path, Path(scratch))
                result |= {f"{verb}_{name}_{size}": value for name, value in found.items()}
                table.add_row(
                    f"{records:,}",
                    verb,
                    f"{found['seconds']:.1f}",
                    f"{found['cpu_seconds']:.1f}",
                    f"{found['peak_mib']:.0f}",
                )
    if arguments.json:
        print(json.dumps(result))
    else:
        Console().print(table)


if __name__ == "__main__":
    main()
