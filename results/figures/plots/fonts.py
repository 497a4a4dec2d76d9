"""The figures' typefaces: matplotlib's own DejaVu Sans with the letters of Latin and Greek alone, and the whole of it for others.

Embedding a font in a PDF takes its few letters out of it, and reading the thousands of others, with the tables that rule how they
are substituted, is most of that work: for the figures of a large report as long as drawing them. Letters and kerning are the same.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from matplotlib.font_manager import fontManager

FAMILY = "DejaVu Sans Plain"
WHOLE = "DejaVu Sans"
"""Which has other letters, such as Cyrillic ones."""
_LETTERS = (
    range(0x20, 0x250),
    range(0x370, 0x400),
    range(0x2000, 0x2070),
    range(0x2080, 0x20A0),
    range(0x2190, 0x2270),
)
"""Latin, Greek, punctuation, lower figures, arrows and signs of mathematics."""
_TABLES = ("GSUB", "GPOS", "GDEF", "MATH", "FFTM")
_FAMILY, _STYLE, _FULL_NAME = 1, 2, 4
"""Entries of a font's name table; the PostScript name, which files show, stays."""


@cache
def typefaces() -> list[str]:
    """Families, the first that has a letter draws it; matplotlib finds them from now on in this process, regular and bold."""
    folder = Path(tempfile.mkdtemp(prefix="ablate-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for source, style in (("DejaVuSans.ttf", "Regular"), ("DejaVuSans-Bold.ttf", "Bold")):
        font = TTFont(Path(get_data_path(), "fonts", "ttf", source), recalcTimestamp=False)
        for table in _TABLES:
            if table in font:
                del font[table]
        subsetter = Subsetter(Options(legacy_kern=True, notdef_outline=True, glyph_names=True, name_IDs=["*"]))
        subsetter.populate(unicodes=[letter for letters in _LETTERS for letter in letters])
        subsetter.subset(font)
        full = f"{FAMILY} {style}"
        names = {_FAMILY: FAMILY, _STYLE: style, _FULL_NAME: full}
        for entry in font["name"].names:
            if entry.nameID in names:
                entry.string = names[entry.nameID]
        file = folder / f"{full}.ttf"
        font.save(file)
        fontManager.addfont(file)
    return [FAMILY, WHOLE]
