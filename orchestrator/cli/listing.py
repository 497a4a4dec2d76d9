"""`ablate list`: what studies can name."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.common.fitted_table import FittedTable
from orchestrator.study.sections import DESIGNS, SAMPLERS
from search_spaces import GROUPS, Choice
from trainables.algorithms import ALGORITHMS
from trainables.data import DATASETS, GENERATORS
from trainables.data.datasets import FOLDER_NAME
from trainables.data.made_elsewhere import FolderGenerator
from trainables.specs import NETWORKS

PROSE = ("title", "kind", "paper", "what off means", "train + test", "what it is", "what it does", "range")
"""Headings of columns that hold no names."""
HERE = "on this machine"
"""Heading of a column that says `yes`, or why not and what to do: too long for a table."""


def listing(kind: str) -> FittedTable:
    """The names of one kind, with what a user must know of each, for a terminal; `remarks` has what is too long for it."""
    columns, rows = _LISTINGS[kind]()
    absent = _absent() if kind == "datasets" else {}
    shown = [
        ["no, see below" if c == HERE and row[0] in absent else v for c, v in zip(columns, row, strict=True)]
        for row in rows
    ]
    return FittedTable(title=kind, headings=columns, rows=shown, prose=PROSE, spare=("needs",))


def remarks(kind: str) -> list[str]:
    """Lines below the table: of each dataset that is not here why, and the command that fetches it."""
    return [f"{name}: {reason}" for name, reason in _absent().items()] if kind == "datasets" else []


def _absent() -> dict[str, str]:
    return {d.name: reason for d in DATASETS.values() if (reason := d.missing())}


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
    return ("name", "classes", "image", "train + test", HERE), [
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
