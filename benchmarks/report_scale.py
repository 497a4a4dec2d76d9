"""What a report of 10,000 and of 100,000 records takes: time, memory, and the size of its page.

    python benchmarks/report_scale.py [--records 10000 100000] [--json]

A study of 10 arms under 5 conditions, or 50 arms under 10, with 200 trials in each cell: 180 of tuning and 20 evaluation seeds,
each with 8 curves of 8 points. Each report is written by a fresh process, which reads the ledger, computes every table, draws
every figure and writes all files; its peak is the whole process.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ledger_scale import made_up_record
from memory import peak_mib

from results.ledger.parts import encode, to_table
from results.records.manifest import ArmInfo, CellInfo, ConditionInfo, StudyManifest
from results.records.origins import origin_of
from results.records.trial_record import TrialRecord

SHAPES = {1_000: (5, 1), 10_000: (10, 5), 100_000: (50, 10)}
"""Arms and conditions by number of records."""
TUNING, SEEDS = 180, 20
ROWS = 10_000


def made_up_manifest(arms: int, conditions: int) -> StudyManifest:
    """A full method, ablated arms and baselines, all tuned in one generation."""
    origin = origin_of(made_up_record(0))
    names = [("rsmatch", "full"), *((f"rsmatch-without-{i}", "ablated") for i in range(1, arms))]
    return StudyManifest(
        study="scale",
        question="Does the report of a large study stay readable?",
        reference="rsmatch",
        arms=tuple(ArmInfo(name=n, title=n.replace("-", " "), algorithm="rsmatch", role=r) for n, r in names),  # type: ignore[arg-type]
        conditions=tuple(
            ConditionInfo(name=f"c{i}", title=f"condition {i}", fields={"data.labels_per_class": i + 1})
            for i in range(conditions)
        ),
        cells=tuple(
            CellInfo(
                cell=cell_of(name, f"c{i}"),
                arm=name,
                condition=f"c{i}",
                origin=origin,
                search=f"search-{cell_of(name, f'c{i}')}",
                tuning_trials=TUNING,
                generation=TUNING,
                most_trials=TUNING,
                trial_steps=320,
            )
            for name, _ in names
            for i in range(conditions)
        ),
        tuning_trials=TUNING,
        evaluation_seeds=tuple(range(SEEDS)),
        steps=320,
        source="study: scale\n",
    )


def cell_of(arm: str, condition: str) -> str:
    """A cell's identity."""
    return hashlib.sha256(f"{arm} {condition}".encode()).hexdigest()[:16]


def made_up_records(manifest: StudyManifest) -> Iterator[TrialRecord]:
    """Every trial of the study; errors of evaluation scatter around an arm's own, and seeds shift all arms alike."""
    number = 0
    for place, cell in enumerate(manifest.cells):
        best: TrialRecord | None = None
        for trial in range(TUNING + SEEDS):
            number += 1
            tuning = trial < TUNING
            one = made_up_record(number)
            draw = random.Random(number)
            error = draw.gauss(20, 3) if tuning else 20 + (trial * 7919) % 5 + place % 7 * 0.1 + draw.gauss(0, 0.5)
            metrics = {**one.metrics, "val_error": max(0.0, error)} | (
                {} if tuning else {"test_error": max(0.0, error)}
            )
            one = dataclasses.replace(
                one,
                cell=cell.cell,
                arm=cell.arm,
                condition=cell.condition,
                phase="tune" if tuning else "evaluate",
                search=cell.search if tuning else "",
                number=trial if tuning else trial - TUNING,
                seed=0 if tuning else trial - TUNING,
                suggested=one.suggested if tuning or best is None else best.suggested,
                metrics=metrics,
            )
            if tuning and (best is None or metrics["val_error"] < best.metrics["val_error"]):
                best = one
            yield one


def make_study(folder: Path, records: int) -> Path:
    """A study's folder with manifest and merged ledger."""
    manifest = made_up_manifest(*SHAPES[records])
    manifest.save(folder)
    ledger = folder / "ledger"
    ledger.mkdir(parents=True)
    group: list[TrialRecord] = []
    for record in made_up_records(manifest):
        group.append(record)
        if len(group) == ROWS:
            write_group(ledger, group)
            group = []
    if group:
        write_group(ledger, group)
    return folder


def write_group(ledger: Path, group: list[TrialRecord]) -> None:
    """A merged file of the ledger."""
    content = encode(to_table(group))
    (ledger / f"compact-{len(group)}-{hashlib.sha256(content).hexdigest()[:16]}.parquet").write_bytes(content)


def report(folder: Path) -> dict[str, float]:
    """Seconds, peak MiB, and the size of the page in MB, of one report in this process."""
    began, worked = time.perf_counter(), time.process_time()
    from results.report.writing import write_report

    written = write_report(folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mib": peak_mib(),
        "page_mb": written.page.stat().st_size / 1e6,
        "files": len(written.files),
        "counted": sum(row.tuning.planned + row.seeds_completed for c in written.table.conditions for row in c.rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a report of many records takes", allow_abbrev=False)
    parser.add_argument("--records", type=int, nargs="+", choices=sorted(SHAPES), default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.report:
        print(json.dumps(report(arguments.report)))
        return
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ablate-report-") as scratch:
        for records in arguments.records:
            folder = make_study(Path(scratch) / str(records), records)
            command = [sys.executable, __file__, "--report", str(folder)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            if found.pop("counted") != records:
                raise SystemExit(f"the report does not count all of {records} records")
            result |= {f"{name}_{records}": value for name, value in found.items()}
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value:10.2f}")


if __name__ == "__main__":
    main()
