"""What the report's statistics say of tables in which no arm differs: false positives, and how often intervals hold the truth.

    python benchmarks/statistics.py [--tables 2000] [--json]

Prints three tables, or one object with `tables`, `familywise_error`, `false_positive_rate`, `coverage_difference`, `coverage_mean`
and everything behind them. `tests/reference/test_null_tables.py` is the short form; the simulation is in `null_tables.py`.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from sysconfig import get_path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # in place of this folder, where `statistics` is this file

    from benchmarks.null_tables import main

    sys.exit(main())
else:  # another script of this folder, or a library, asked for the standard library's module of this name
    found = PathFinder.find_spec(__name__, [get_path("stdlib")])
    if found is None or found.loader is None:
        raise ImportError(f"no module {__name__} in the standard library")
    sys.modules[__name__] = module_from_spec(found)
    found.loader.exec_module(sys.modules[__name__])
