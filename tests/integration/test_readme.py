"""The README's first commands and its study; that all of its commands run is in `test_pages.py`."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.check.loading import load_study
from orchestrator.design.arms import derive_arms
from tests.docs.pages import README, ROOT, blocks, shell_lines

pytestmark = pytest.mark.filterwarnings("ignore")


def test_make_targets_exist_and_ci_runs_the_first_commands():
    targets = [line.removeprefix("make ") for line in shell_lines(README) if line.startswith("make ")]
    assert targets == ["study", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
        assert f"make {target}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_study_loads(tmp_path):
    (text,) = blocks(README, "yaml")
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    arms = derive_arms(load_study(path).spec).arms
    assert [a.name for a in arms] == ["rsmatch", "rsmatch-without-queue", "fixmatch"]
