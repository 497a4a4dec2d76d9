"""Small studies on real data for tests that run the whole machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

SMALL: dict[str, Any] = {
    "study": "small",
    "question": "Does the whole machine work?",
    "method": "rsmatch",
    "ablation": {"components": ["queue"]},
    "baselines": ["fixmatch"],
    "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.3, "generators": ["vae"]},
    "training": {"steps": 24, "reports": 6, "batch_size": 8, "unlabelled_ratio": 2, "average_decay": 0.5},
    "search": {
        "trials": 5,
        "budget": "trials",
        "generation": 2,
        "spaces": ["thresholds", "optimiser"],
        "early_stopping": {"rule": "median", "after": 0.0},
    },
    "evaluate": {"seeds": 2, "allow_underpowered": True},
    "resources": {"cpus": 1, "gpus": 0, "actors": 2},
}
SMALL_TRIALS = 3 * (5 + 2)


def write_study(folder: Path, **changes: Any) -> Path:
    """A study file with some top-level keys replaced; mappings are merged."""
    study = {k: dict(v) if isinstance(v, dict) else v for k, v in SMALL.items()}
    for key, value in changes.items():
        study[key] = {**study[key], **value} if isinstance(value, dict) and key in study else value
    path = folder / f"{study['study']}.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    return path


def with_pools(runs: Path, pools: Path) -> Path:
    """A folder of runs that has the synthetic pools in `pools`."""
    shutil.copytree(pools, runs / "cache" / "synthetic")
    return runs


def keep_pools(runs: Path, pools: Path) -> None:
    """Add to `pools` what was made in a folder of runs."""
    for path in (runs / "cache" / "synthetic").glob("[!.]*.npz"):
        if not (pools / path.name).exists():
            shutil.copy(path, pools / path.name)


def ablate(*arguments: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would and return when it ended."""
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, env=environment(), **options)


def start_ablate(*arguments: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start the command and return at once."""
    log = (cwd / "output.txt").open("ab")
    return subprocess.Popen(
        command(*arguments), cwd=cwd, stdout=log, stderr=log, env=environment(), start_new_session=True
    )


def command(*arguments: str | Path) -> list[str]:
    code = "from orchestrator.cli.app import main; main()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**{k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}, "PYTHONPATH": root}
