from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.nodes import NodeAnswer, node_problems
from orchestrator.common.provenance import package_versions

HERE = package_versions()


def problems(folder: Path, **changes: Any) -> list[str]:
    values: dict[str, Any] = {"name": "gpu7 (10.0.0.7)", "versions": HERE, "source": "abc", "sees_folder": True}
    return list(node_problems(NodeAnswer(**{**values, **changes}), HERE, "abc", str(folder)))


def test_a_node_that_has_everything_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"versions": {k: v for k, v in HERE.items() if k != "scipy"}}, "scipy not installed there"),
        ({"versions": {**HERE, "torch": "2.9.0"}}, f"torch 2.9.0 in place of {HERE['torch']}"),
        ({"versions": {**HERE, "python": "3.8.1"}}, f"python 3.8.1 in place of {HERE['python']}"),
        ({"source": "def"}, "training code is def in place of abc"),
        ({"sees_folder": False}, "does not share"),
        ({"refused": "Permission denied"}, "(Permission denied); give it the right to"),
    ],
)
def test_what_is_wrong_is_named_with_the_node(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    (line,) = problems(tmp_path, **changes)
    assert line.startswith("gpu7 (10.0.0.7): ")
    assert said in line


def test_builds_and_patch_levels_may_differ(tmp_path: Path) -> None:
    series = ".".join(HERE["python"].split(".")[:2])
    torch = HERE["torch"].partition("+")[0]
    versions = {**HERE, "torch": f"{torch}+cu128", "python": f"{series}.99", "mlflow": "1.0"}
    assert problems(tmp_path, versions=versions) == []


def test_a_head_that_runs_no_trial_needs_no_folder(tmp_path: Path) -> None:
    assert problems(tmp_path, sees_folder=False, runs_trials=False) == []


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, sees_folder=False, source="def", versions={"python": HERE["python"]})) == 3
