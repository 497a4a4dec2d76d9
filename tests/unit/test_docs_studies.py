"""Every study fragment on the page about studies is one that a study may hold."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from orchestrator.study import load_study
from orchestrator.study_plan import make_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
FRAGMENTS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
BASE = {
    "study": "fragment",
    "question": "Does it load?",
    "method": "rsmatch",
    "data": {"dataset": "digits", "labels_per_class": 4, "contamination": 0.5},
}


@pytest.mark.parametrize(
    "fragment", FRAGMENTS, ids=[f.strip().splitlines()[0] + str(i) for i, f in enumerate(FRAGMENTS)]
)
def test_a_fragment_makes_a_plan(tmp_path, fragment):
    shutil.copy(ROOT / "docs" / "examples" / "my_match.py", tmp_path)
    path = tmp_path / "fragment.yaml"
    path.write_text(yaml.safe_dump({**BASE, **yaml.safe_load(fragment)}), encoding="utf-8")
    plan = make_plan(load_study(path).spec)
    assert len(plan.cells) == len(plan.arms) * len(plan.conditions) >= 1


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_the_readmes_lines_are_lines_of_a_study(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = list(re.findall(r"\| `([a-z]+: \{.*?\})`", readme))
    assert len(lines) >= 6
    for line in lines:
        path = tmp_path / "line.yaml"
        path.write_text(yaml.safe_dump({**BASE, **yaml.safe_load(line)}), encoding="utf-8")
        assert make_plan(load_study(path).spec).cells
