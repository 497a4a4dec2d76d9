"""The project's pages, and what stands in their code blocks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(
    [README, ROOT / "CONTRIBUTING.md", *(p for p in DOCS.rglob("*.md") if p.name != "table.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
"""All but the tables, which runs wrote."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page that are marked as of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def shell_lines(page: Path) -> list[str]:
    """The commands of a page, each on one line and without comments."""
    whole = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    lines = [shlex.join(shlex.split(line, comments=True)) for line in whole]
    return [line for line in lines if line]
