"""What every drawing shares: size, fonts, colours, and the way to SVG and PDF.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; lines also differ in dash or marker, so that print without
colour is enough. The same data gives the same bytes.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from results.plots.fonts import typeface

WIDTH = 9.0
"""Inches: text stays readable at the width of a page of paper, and of a laptop."""

INK, MUTED, FAINT, PAPER = "#1c2733", "#5b6773", "#d9dee3", "#ffffff"
GREY = "#8b96a1"
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9"
LINE_LOOKS: tuple[Mapping[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": VERMILLION, "linestyle": (0, (4, 1.6)), "marker": "s"},
    {"color": GREEN, "linestyle": (0, (1.2, 1.2)), "marker": "^"},
    {"color": PURPLE, "linestyle": (0, (6, 1.6, 1.2, 1.6)), "marker": "D"},
    {"color": ORANGE, "linestyle": (0, (8, 2)), "marker": "v"},
    {"color": INK, "linestyle": (0, (3, 1, 1, 1, 1, 1)), "marker": "P"},
    {"color": SKY, "linestyle": "-", "marker": "X"},
    {"color": "#882255", "linestyle": (0, (4, 1.6)), "marker": "<"},
    {"color": "#8C6D1F", "linestyle": (0, (1.2, 1.2)), "marker": ">"},
)
"""For lines that stand for arms: colour, dash and marker all differ."""

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
    with mpl.rc_context({**_STYLE, "font.family": [typeface()]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def wrap(text: str, width: int) -> str:
    """Two lines at most."""
    lines = textwrap.wrap(text, width) or [""]
    return "\n".join([*lines[:2], *(["…"] if len(lines) > 2 else [])])


def signed_tick(value: float, _: int) -> str:
    """`+1`, `−0.5`, `0`."""
    text = f"{value:+.10g}" if abs(value) > 1e-9 else "0"
    return text.replace("-", "−")
