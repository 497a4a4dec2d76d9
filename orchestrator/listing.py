"""`ablate list`: what studies can name."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from orchestrator.sections import DESIGNS, SAMPLERS
from search_spaces import GROUPS, Choice
from trainables.algorithms import ALGORITHMS
from trainables.data import DATASETS, GENERATORS
from trainables.data.datasets import FOLDER_NAME
from trainables.data.made_elsewhere import FolderGenerator
from trainables.specs import NETWORKS


def listing(kind: str) -> Table:
    """The names of one kind, with what a user must know of each, for a terminal."""
    columns, rows = _LISTINGS[kind]()
    table = Table(title=kind, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def entries(kind: str) -> list[dict[str, str]]:
    """The same for a program: of each name its columns, by their headings."""
    columns, rows = _LISTINGS[kind]()
    return [dict(zip(columns, row, strict=True)) for row in rows]


Listing = tuple[tuple[str, ...], Iterable[tuple[str, ...]]]


def _algorithms() -> Listing:
    return ("name", "title", "kind", "components", "paper"), [
        (
            a.name,
            a.title,
            "oracle, a baseline only" if a.reads_origin else "method",
            ", ".join(c.name for c in a.components) or "none",
            a.paper,
        )
        for a in ALGORITHMS.values()
    ]


def _components() -> Listing:
    return ("algorithm", "name", "what off means", "needs", "parameters"), [
        (a.name, c.name, c.off, ", ".join(c.needs), ", ".join(c.parameters))
        for a in ALGORITHMS.values()
        for c in a.components
    ]


def _datasets() -> Listing:
    return ("name", "classes", "image", "train + test", "on this machine"), [
        (
            d.name,
            str(d.num_classes),
            "×".join(map(str, d.image_shape)),
            f"{d.size} + {d.test_size}" if d.official_test else f"{d.size} (test cut off: {d.test_size})",
            d.missing() or "yes",
        )
        for d in DATASETS.values()
    ] + [
        (
            FOLDER_NAME,
            "sub-folders",
            "as found",
            "PATH/train/CLASS/*.png + PATH/test",
            "your own images: docs/studies.md",
        )
    ]


def _generators() -> Listing:
    return ("name", "title", "paper"), [
        *((g.name, g.title, g.paper) for g in GENERATORS.values()),
        (FOLDER_NAME, f"{FolderGenerator.title}: PATH/CLASS/*.png", "docs/studies.md"),
    ]


def _designs() -> Listing:
    return ("name", "arms besides the full method and the baselines"), DESIGNS.items()


def _networks() -> Listing:
    return ("name", "what it is"), NETWORKS.items()


def _samplers() -> Listing:
    return ("name", "what it does"), SAMPLERS.items()


def _spaces() -> Listing:
    rows = []
    for group, fields in GROUPS.items():
        for field, r in fields.items():
            if isinstance(r, Choice):
                text = ", ".join(map(str, r.values))
            else:
                text = f"{r.low:g} to {r.high:g}{', logarithmic' if r.log else ''}"
            users = ", ".join(a.name for a in ALGORITHMS.values() if field in a.Config.model_fields)
            rows.append((group, field, text, users))
    return ("group", "field", "range", "algorithms"), rows


_LISTINGS = {
    "algorithms": _algorithms,
    "components": _components,
    "datasets": _datasets,
    "designs": _designs,
    "generators": _generators,
    "networks": _networks,
    "samplers": _samplers,
    "spaces": _spaces,
}
