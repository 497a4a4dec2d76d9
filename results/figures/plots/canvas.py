"""What every drawing shares: size, fonts, colours, and the way to SVG and PDF.

Colours are Okabe and Ito's (2008) and a few of Tol's, told apart by colour-blind readers. Lines in one picture also differ in dash
or marker, and panels have their arm's name, so that print without colour is enough. A colour of an arm's role or of an image's
origin is the same in every figure. Those that would be lost on dark paper have a lighter one in `results.report.page_svg`; black
cannot, since an SVG does not write it out. The same data gives the same bytes.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from results.figures.plots.fonts import typefaces
from results.records.manifest import Role

WIDTH = 9.0
"""Inches: text stays readable at the width of a page of paper, and of a laptop."""

LETTER = 0.076
"""Inches: a letter of a title, on average and a little more."""

INK, MUTED, FAINT, PAPER = "#1c2733", "#5b6773", "#d9dee3", "#ffffff"
GREY = "#8b96a1"
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9"
BROWN, WINE = "#8C6D1F", "#882255"

REAL, SYNTHETIC = INK, VERMILLION
"""Images by origin."""
ROLE_LOOKS: Mapping[Role, Mapping[str, Any]] = {
    "full": {"color": BLUE, "marker": "o"},
    "ablated": {"color": BLUE, "marker": "o"},
    "baseline": {"color": PURPLE, "marker": "D"},
    "oracle": {"color": GREEN, "marker": "^"},
}
"""Of arms: the method and what is left of it, what it is compared to, and what knows more than a method may."""
_ONE_OF_MANY: Mapping[Role, Sequence[str]] = {
    "full": (BLUE, SKY),
    "ablated": (ORANGE, SKY, INK, BROWN, WINE),
    "baseline": (PURPLE, VERMILLION, WINE, ORANGE, INK, SKY),
    "oracle": (GREEN, BROWN, INK),
}
_DASHES = (
    "-",
    (0, (4, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.6, 1.2, 1.6)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P")

_STYLE = {
    "svg.hashsalt": "ablate",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


@dataclass(frozen=True)
class Drawing:
    """A finished drawing, in either format."""

    figure: Figure

    def __post_init__(self) -> None:
        """Lay it out once: each further pass would move things by fractions of a point, and takes as long as drawing."""
        engine = self.figure.get_layout_engine()
        if engine is not None:
            with drawing():
                engine.execute(self.figure)
                self.figure.set_layout_engine("none")

    @cached_property
    def svg(self) -> bytes:
        """Letters are outlines, so that it looks the same everywhere."""
        buffer = io.BytesIO()
        with drawing():
            FigureCanvasSVG(self.figure).print_svg(buffer, metadata={"Date": None, "Creator": "ablate"})
        return buffer.getvalue()

    @cached_property
    def pdf(self) -> bytes:
        """Letters are embedded as TrueType, as journals ask for."""
        buffer = io.BytesIO()
        with drawing():
            FigureCanvasPdf(self.figure).print_pdf(
                buffer, metadata={"CreationDate": None, "Creator": "ablate", "Producer": None}
            )
        return buffer.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """The style, while axes are made and filled."""
    with mpl.rc_context({**_STYLE, "font.family": typefaces()}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def line_looks(roles: Sequence[Role]) -> list[dict[str, Any]]:
    """Of as many arms in one picture: the first of a role has its colour; dash and marker differ for all of up to six."""
    seen: Counter[Role] = Counter()
    looks = []
    for place, role in enumerate(roles):
        colours = _ONE_OF_MANY[role]
        dash, marker = _DASHES[place % len(_DASHES)], _MARKERS[place % len(_MARKERS)]
        looks.append({"color": colours[seen[role] % len(colours)], "linestyle": dash, "marker": marker})
        seen[role] += 1
    return looks


def columns_of(panels: int, most: int = 4) -> int:
    """Panels in a row: as few rows as possible, then as even ones as possible; 4 are 4, 5 are 3 + 2, 9 are 3 + 3 + 3."""
    return math.ceil(panels / math.ceil(panels / most)) if panels else 1


def letters(inches: float) -> int:
    """How many letters of a title find room there."""
    return max(8, int(inches / LETTER))


def wrap(text: str, width: int) -> str:
    """Two lines at most."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    return "\n".join([*lines[:2], *(["…"] if len(lines) > 2 else [])])


def signed_tick(value: float, _: int) -> str:
    """`+1`, `−0.5`, `0`."""
    text = f"{value:+.10g}" if abs(value) > 1e-9 else "0"
    return text.replace("-", "−")
