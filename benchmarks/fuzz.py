"""Hostile inputs by the thousand: study files, manifests, ledgers, files of arrays, folders for the report and for every command.

    python benchmarks/fuzz.py [--inputs 10000] [--json]

Each must end in a result or in an error that is made for it, and a command in a sentence. While it is read, a hook notes every
program that is started, every connection, every class that pickle looks up and every file outside the study's folder that is
written; a secret beside the folder must not get into it. Prints a row for each
kind, or one object with `inputs`, `crashes` and `escapes`; exit status 1 if anything was seen.
`tests/unit/test_hostile_folders.py` is the short form.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.hostile import CELLS, DAMAGE, EDITS, Escaped, damaged
from tests.hostile_commands import EXAMPLES, Commands
from tests.unit import test_hostile_folders as folders
from tests.unit.orchestrator.check import test_loading as studies

SHARES = {"study files": 0.2, "manifests": 0.2, "ledgers": 0.2, "arrays": 0.15, "folders": 0.05, "commands": 0.2}


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Hostile inputs by the thousand", allow_abbrev=False)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    total: Counter[str] = Counter(inputs=0, crashes=0, escapes=0)
    rows = ["| kind | inputs | crashes | escapes | seconds |", "| --- | --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as name:
        kinds = _kinds(Path(name))
        for kind, share in SHARES.items():
            began = time.perf_counter()
            strategies, read = kinds[kind]
            found = _try(strategies, read, round(share * options.inputs))
            crashes, escapes = (
                [f for f in found.faults if isinstance(f, Escaped) is escaped] for escaped in (False, True)
            )
            counts = {"inputs": found.tried, "crashes": len(crashes), "escapes": len(escapes)}
            total.update(counts)
            rows.append(
                f"| {kind} | {' | '.join(f'{n:,}' for n in counts.values())} | {time.perf_counter() - began:.0f} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
            for line in list(dict.fromkeys(map(_line, found.faults)))[:5]:
                print(f"    {line}", file=sys.stderr)
    if options.json:
        print(json.dumps(dict(total)))
    else:
        print("\n".join([*rows, f"| all | {' | '.join(f'{n:,}' for n in total.values())} | |"]))
    return 1 if total["crashes"] or total["escapes"] else 0


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
        "commands": (EXAMPLES, Commands(_made(folder / "commands"), folders.watch).judge),
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@dataclass
class Found:
    """What came of the inputs of one kind."""

    tried: int = 0
    faults: list[Exception] = field(default_factory=list)


def _try(strategies: tuple[st.SearchStrategy[Any], ...], read: Callable[..., None], inputs: int) -> Found:
    found = Found()

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def one(values: tuple[Any, ...]) -> None:
        found.tried += 1
        try:
            read(*values)
        except Exception as problem:
            found.faults.append(problem)

    one()
    return found


def _line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}"


if __name__ == "__main__":
    sys.exit(main())
