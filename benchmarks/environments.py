"""Commands on machines that are set up unusually: no home, other locales, closed outputs, shadowing files, odd and moved folders.

    python benchmarks/environments.py [--json]

Each must answer as usual, or say in a sentence what it cannot do. Prints each pair that does not; exit status 1 if there is any.
`tests/integration/test_environments.py` is the short form.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.environments import CASES, COMMANDS, Environments
from tests.hostile_commands import Commands
from tests.unit.test_hostile_folders import watch


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Commands on machines that are set up unusually", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--case", choices=CASES, help="only this one")
    options = parser.parse_args()
    wrong: dict[str, list[str]] = {case: [] for case in CASES if options.case in (None, case)}
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name) / "shared"
        shared.mkdir()
        environments = Environments(Path(name) / "cases", Commands(shared, watch))
        for case, faults in wrong.items():
            for command in COMMANDS:
                try:
                    environments.judge(case, command)
                except AssertionError as problem:
                    faults.append(command)
                    print(f"{case}: {' '.join(str(problem).split())[:600]}", file=sys.stderr, flush=True)
    right = sum(len(COMMANDS) - len(faults) for faults in wrong.values())
    if options.json:
        print(
            json.dumps(
                {"pairs": len(wrong) * len(COMMANDS), "right": right, "wrong": {k: v for k, v in wrong.items() if v}}
            )
        )
    else:
        print("| case | answered rightly |\n| --- | --- |")
        for case, faults in wrong.items():
            print(f"| {case} | {len(COMMANDS) - len(faults)} of {len(COMMANDS)} |")
    return 0 if right == len(wrong) * len(COMMANDS) else 1


if __name__ == "__main__":
    sys.exit(main())
