"""What a shell offers after Tab. Nothing is imported here, so that Tab answers at once."""

from __future__ import annotations

from pathlib import Path

import typer

KINDS = ("algorithms", "components", "datasets", "designs", "generators", "networks", "samplers", "spaces")
"""What `ablate list` lists."""
SUFFIXES = (".yaml", ".yml")


def kinds(incomplete: str) -> list[str]:
    """Kinds of names that begin so."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def study_files(incomplete: str) -> list[str]:
    """YAML files that begin so, and those in folders that do; where there are none, the shell offers files of its own."""
    begun = Path(incomplete)
    folder = begun if incomplete.endswith("/") else begun.parent
    start = "" if incomplete.endswith("/") else begun.name
    found: list[Path] = []
    for path in _children(folder):
        if path.name.startswith(start) and not path.name.startswith("."):
            found += _children(path) if path.is_dir() else [path]
    return sorted(str(path) for path in found if path.suffix in SUFFIXES)


def studies_and_files(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of studies that have run and begin so, and study files; of an object store those that were brought before."""
    runs = ctx.params.get("runs")
    folder = runs if isinstance(runs, Path) else Path("runs")
    names = sorted(path.parent.name for path in folder.glob("*/study.json"))
    return [*(name for name in names if name.startswith(incomplete)), *study_files(incomplete)]


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # not there, or not to be read: nothing to offer
        return []
