"""Ledgers of 10,000 and 100,000 records as a killed run leaves them: time to load, memory, files, and what an append costs.

python benchmarks/ledger_scale.py [--records 10000 100000] [--json]

Each load is a fresh process that holds all records at the end; its peak is the whole process, pyarrow included. The ledger
has full merged files, merged files on their way to that, and loose parts, as many of each as the merging leaves.
`append_ms` is the median of 1,000 appends, fsync included, while merges go on in the background.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from memory import peak_mib

from results.ledger.ledger import FILES_MERGED, MOST_ROWS, PARTS_MERGED, Ledger
from results.ledger.parts import encode, to_table
from results.records.trial_record import TrialRecord

ARMS = 10
APPENDS = 1000
CURVES = (
    "loss",
    "loss_unlabelled",
    "loss_detector",
    "mask",
    "pseudo_label_accuracy",
    "detector_auroc",
    "val_error",
    "val_loss",
)
SEARCHED = ("learning_rate", "weight_decay", "threshold", "synthetic_threshold", "lambda_u", "lambda_s")
FIXED = {"queue_size": 64, "warm_up": 0.2, "prior": 0.5, "ema_decay": 0.999}
VERSIONS = {
    "python": "3.12.3",
    "torch": "2.9.0",
    "torchvision": "0.24.0",
    "ray": "2.60.0",
    "optuna": "5.0.0",
    "mlflow": "3.17.2",
}
START = datetime(2025, 6, 1, tzinfo=UTC)


def made_up_record(number: int) -> TrialRecord:
    """A tuning trial with 8 curves of 8 points, 10 hyperparameters and 12 metrics; the same for the same number."""
    draw = random.Random(number)
    arm = number % ARMS
    suggested = {name: draw.random() for name in SEARCHED}
    curves = {name: [(40 * (i + 1), draw.random()) for i in range(8)] for name in CURVES}
    metrics = {name: curve[-1][1] for name, curve in curves.items()}
    return TrialRecord(
        trial_id=hashlib.sha256(str(number).encode()).hexdigest()[:20],
        study="scale",
        cell=f"cell{arm:016d}",
        arm=f"rsmatch-without-{arm}",
        condition="digits-2l-50s",
        algorithm="rsmatch",
        phase="tune",
        search="5d41402abc4b2a76b971",
        number=number // ARMS,
        seed=number % 7,
        status="completed",
        config={**suggested, **FIXED},
        suggested=suggested,
        metrics={**metrics, **{f"diagnostic_{i}": draw.random() for i in range(4)}},
        curves=curves,
        steps=320,
        seconds=draw.random(),
        setup_seconds=draw.random(),
        wall_seconds=draw.random(),
        started_at=START + timedelta(seconds=number),
        host="node-1",
        process=3000 + number % 16,
        device="cpu (x86_64)",
        versions=VERSIONS,
        code={"commit": "ef9ea87292c90f17d876c878b5ac05b5720388cc", "dirty": False, "source": "99aeed6a8b94"},
        data={"dataset": "digits", "fingerprint": "ac2213023a1dd19f8222", "labelled": 20, "seed": number % 7},
    )


def make_ledger(folder: Path, records: int) -> Ledger:
    """A ledger of so many records that was merged as `Ledger.append` merges, and never compacted."""
    sizes = []
    left = records
    for rows, most in ((MOST_ROWS, records), (PARTS_MERGED, FILES_MERGED - 1)):
        files = min(left // rows, most)
        sizes += [rows] * files
        left -= rows * files
    folder.mkdir(parents=True)
    first = 0
    for place, rows in enumerate(sizes):
        content = encode(to_table(made_up_record(n) for n in range(first, first + rows)))
        (folder / f"compact-{rows}-{place:016x}.parquet").write_bytes(content)
        first += rows
    for n in range(first, records):
        record = made_up_record(n)
        (folder / f"part-{record.trial_id}.parquet").write_bytes(encode(to_table([record])))
    return Ledger(folder)


def load(folder: Path) -> dict[str, float]:
    """Seconds (also those of the processor alone, for busy machines) and peak MiB of loading the ledger in this process."""
    began, worked = time.perf_counter(), time.process_time()
    records = Ledger(folder).records()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    peak = peak_mib()
    return {"records": len(records), "seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak}


def measure_load(folder: Path) -> dict[str, float]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--load", str(folder)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def measure_append(folder: Path) -> dict[str, float]:
    """Milliseconds that an append takes the writer, while merges go on."""
    ledger = Ledger(folder)
    taken = []
    for n in range(APPENDS):
        record = made_up_record(n)
        began = time.perf_counter()
        ledger.append(record)
        taken.append(1000 * (time.perf_counter() - began))
    ledger.close()
    return {
        "append_ms": median(taken),
        "append_ms_p99": sorted(taken)[int(0.99 * APPENDS)],
        "append_ms_max": max(taken),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(load(arguments.load)))
        return
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ablate-ledger-") as scratch:
        for records in arguments.records:
            ledger = make_ledger(Path(scratch) / str(records), records)
            loaded = measure_load(ledger.folder)
            if loaded["records"] != records:
                raise SystemExit(f"{records} records were written, {loaded['records']} came back")
            result[f"seconds_{records}"] = loaded["seconds"]
            result[f"cpu_seconds_{records}"] = loaded["cpu_seconds"]
            result[f"peak_mib_{records}"] = loaded["peak_mib"]
            result[f"files_{records}"] = len(ledger.parts())
            result[f"mib_on_disk_{records}"] = sum(p.stat().st_size for p in ledger.parts()) / 2**20
        result |= measure_append(Path(scratch) / "append")
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value:10.2f}" if isinstance(value, float) else f"{name:24} {value:10d}")


if __name__ == "__main__":
    main()
