"""What the documentation site takes from outside `docs/`: the shipped studies, and CONTRIBUTING.md as a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(((?:\.\./)+)(studies/|CONTRIBUTING\.md)")


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    for path in sorted((ROOT / "studies").glob("*.yaml")):
        files.append(File.generated(config, f"studies/{path.name}", content=path.read_text(encoding="utf-8")))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "contributing.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links that leave `docs/` for one of them stay inside the site."""
    depth = page.file.src_uri.count("/")

    def inside(match: re.Match[str]) -> str:
        if match[1].count("../") != depth + 1:
            return match[0]
        return f"]({'../' * depth}{match[2].lower()}"

    return OUTSIDE.sub(inside, markdown)
