"""Hostile inputs by the thousand: study files, manifests, ledgers, files of arrays, and whole folders for the report.

    python benchmarks/hostile.py [--inputs 10000]

Each must end in a result or in an error that is made for it. While it is read, a hook notes every program that is started, every
connection, every class that pickle looks up and every file outside the study's folder that is written. Prints a row for each
kind; exit status 1 if anything was seen. `tests/unit/test_hostile_folders.py` is the short form.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.hostile import CELLS, DAMAGE, EDITS, damaged
from tests.unit import test_hostile_folders as folders
from tests.unit.orchestrator import test_study as studies

SHARES = {"study files": 0.3, "manifests": 0.25, "ledgers": 0.25, "arrays": 0.15, "folders": 0.05}


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=10_000)
    options = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        kinds = _kinds(Path(name))
        print("| kind | inputs | crashes, code run, paths escaped | seconds |\n| --- | --- | --- | --- |")
        for kind, share in SHARES.items():
            began = time.perf_counter()
            strategies, read = kinds[kind]
            tried, faults = _try(strategies, read, round(share * options.inputs))
            total.update(inputs=tried, faults=len(faults))
            print(f"| {kind} | {tried:,} | {len(faults)} | {time.perf_counter() - began:.0f} |", flush=True)
            for fault in list(dict.fromkeys(faults))[:5]:
                print(f"    {fault}", file=sys.stderr)
    print(f"| all | {total['inputs']:,} | {total['faults']} | |")
    return 1 if total["faults"] else 0


def _kinds(folder: Path) -> dict[str, tuple[tuple[st.SearchStrategy[Any], ...], Callable[..., None]]]:
    archives = folders.make_archives(folder)
    study = studies.Study(folder)

    def judge(content: str | bytes) -> None:
        with folders.watch.over(folder):
            studies.judge(study, content)

    return {
        "study files": ((studies.HOSTILE_FILES,), judge),
        "manifests": ((EDITS, DAMAGE), folders.read_manifest),
        "ledgers": ((CELLS, DAMAGE), folders.read_ledger),
        "arrays": ((st.integers(0, 2), DAMAGE), lambda n, damage: folders.read_arrays(damaged(archives[n], damage))),
        "folders": ((EDITS, CELLS), folders.read_folder),
    }


def _try(
    strategies: tuple[st.SearchStrategy[Any], ...], read: Callable[..., None], inputs: int
) -> tuple[int, list[str]]:
    """How many inputs were read, and what went wrong, one line each."""
    tried = 0
    faults: list[str] = []

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def one(values: tuple[Any, ...]) -> None:
        nonlocal tried
        tried += 1
        try:
            read(*values)
        except Exception as problem:
            faults.append(f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}")

    one()
    return tried, faults


if __name__ == "__main__":
    sys.exit(main())
