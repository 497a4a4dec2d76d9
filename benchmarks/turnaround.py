"""Time between one trial's end and the next one's first step on the same actor, from a ledger's own times.

python benchmarks/turnaround.py runs/digits [--json]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

from results.ledger.ledger import Ledger
from results.records.trial_record import TrialRecord


def gaps(records: list[TrialRecord]) -> list[tuple[float, TrialRecord]]:
    """Seconds from each trial's last report to the first step of the one that follows it in its process."""
    by_process = defaultdict(list)
    for record in records:
        by_process[record.host, record.process].append(record)
    found = []
    for trials in by_process.values():
        trials.sort(key=lambda r: r.started_at)
        for earlier, later in pairwise(trials):
            end = earlier.started_at + timedelta(seconds=earlier.wall_seconds)
            first_step = later.started_at + timedelta(seconds=later.setup_seconds)
            found.append(((first_step - end).total_seconds(), later))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", default=Path("runs/digits"), help="a study's folder")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    records = Ledger(arguments.study / "ledger").records()
    seconds = [gap for gap, _ in gaps(records)]
    if len(seconds) < 2:
        parser.error(f"{arguments.study}: no actor ran two trials")
    busy = sum(r.seconds for r in records)
    wall = sum(r.wall_seconds for r in records)
    result = {
        "transitions": len(seconds),
        "median_seconds": median(seconds),
        "p95_seconds": quantiles(seconds, n=20)[-1],
        "max_seconds": max(seconds),
        "share_within_0.3": sum(s <= 0.3 for s in seconds) / len(seconds),
        "training_share_of_wall": busy / wall if wall else 0.0,
    }
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value:8.3f}" if isinstance(value, float) else f"{name:24} {value:8d}")


if __name__ == "__main__":
    main()
