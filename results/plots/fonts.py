"""The figures' typeface: matplotlib's own DejaVu Sans without the tables that rule how letters are substituted.

Embedding a font in a PDF takes its few letters out of it, and reading those tables is most of that work: for the figures of a large
report as long as drawing them. Letters, hints and kerning are the same.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from matplotlib.font_manager import fontManager

FAMILY = "DejaVu Sans Plain"
_TABLES = ("GSUB", "GPOS", "GDEF", "MATH", "FFTM")
_FAMILY, _STYLE, _FULL_NAME = 1, 2, 4
"""Entries of a font's name table; the PostScript name, which files show, stays."""


@cache
def typeface() -> str:
    """The family's name, by which matplotlib finds it from now on in this process: regular and bold."""
    folder = Path(tempfile.mkdtemp(prefix="ablate-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for source, style in (("DejaVuSans.ttf", "Regular"), ("DejaVuSans-Bold.ttf", "Bold")):
        font = TTFont(Path(get_data_path(), "fonts", "ttf", source), recalcTimestamp=False)
        for table in _TABLES:
            if table in font:
                del font[table]
        full = f"{FAMILY} {style}"
        names = {_FAMILY: FAMILY, _STYLE: style, _FULL_NAME: full}
        for entry in font["name"].names:
            if entry.nameID in names:
                entry.string = names[entry.nameID]
        file = folder / f"{full}.ttf"
        font.save(file)
        fontManager.addfont(file)
    return FAMILY
