"""The tutorial's commands write, plan and refuse what its page shows."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.testing import CliRunner

from orchestrator.check.loading import load_study
from orchestrator.cli.app import app
from orchestrator.common.errors import InputError
from orchestrator.design.arms import derive_arms
from orchestrator.study.yaml_source import parse
from tests.docs.pages import DOCS, blocks, shell_lines
from tests.tools import needs_fashion_mnist

PAGE = DOCS / "tutorial.md"
LINES = [shlex.split(line)[1:] for line in shell_lines(PAGE) if line.startswith("ablate ")]
SHOWN = blocks(PAGE, "text")


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (init,) = (line for line in LINES if line[0] == "init")
    assert CliRunner().invoke(app, init, catch_exceptions=False).exit_code == 0
    return tmp_path / "first.yaml"


def test_the_study_on_the_page_is_the_one_that_is_written(written):
    (block,) = blocks(PAGE, "yaml")
    assert parse(block, "page").data == parse(written.read_text(encoding="utf-8"), "file").data
    rows = re.findall(r"^ (\S.*?)  +\d/\d ", SHOWN[2], flags=re.MULTILINE)
    assert rows == [arm.title for arm in derive_arms(load_study(written, need_data=False).spec).arms]


@needs_fashion_mnist
def test_the_plan_says_what_the_page_says(written):
    plain, wrong = (line for line in LINES if line[0] == "plan")
    result = CliRunner().invoke(app, plain, catch_exceptions=False)
    said = [*result.stdout.splitlines(), *result.stderr.splitlines()]
    counted, _, *rest = SHOWN[0].splitlines()  # how many run at a time, and so the disk, depends on the machine
    assert len(rest) == 2
    assert set(rest) <= set(said)
    assert [line for line in said if line.startswith(counted.partition(" to run")[0])]
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(app, wrong, catch_exceptions=False)
    assert f"{caught.value}\n" == SHOWN[1]
