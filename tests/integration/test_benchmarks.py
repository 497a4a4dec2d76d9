"""Scripts in `benchmarks/`, in a small form, with every option that a page names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if "ArgumentParser" in path.read_text(encoding="utf-8"))


def measured(script: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *options, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_it_takes(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


def test_the_parts_of_a_training_step_are_measured() -> None:
    found = measured("train_step.py", "--size", "8", "--repeats", "1", "--parts")
    parts = {name: value for name, value in found["sizes"]["8"].items() if name.startswith("part_")}
    assert len(parts) >= 9
    assert all(value > 0 for name, value in parts.items() if name != "part_rest_ms"), parts
