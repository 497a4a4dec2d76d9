"""The reference pages are what the code says today."""

from __future__ import annotations

import subprocess
import sys

import typer

from orchestrator.cli.app import app
from orchestrator.study.spec import StudySpec
from tests.docs.pages import DOCS, ROOT
from tests.integration.studies import environment


def test_reference_pages_are_current(tmp_path):
    """Otherwise: `scripts/reference`, and read the difference."""
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", tmp_path], check=True, cwd=tmp_path, env=environment()
    )
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "reference").iterdir()}


def test_every_command_and_key_has_its_place():
    commands = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"\n## {name}\n" in commands
        for parameter in command.params:
            assert all(f"`{option}`" in commands for option in parameter.opts if option.startswith("-"))
    keys = (DOCS / "reference" / "study.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | " in keys for name in StudySpec.model_fields)
