import warnings

import pytest
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager

from results.figures.plots.canvas import Drawing, drawing
from results.figures.plots.fonts import FAMILY, WHOLE, typefaces


def drawn(text):
    with drawing():
        figure = Figure(figsize=(3, 1))
        figure.text(0.1, 0.5, text)
    return Drawing(figure)


@pytest.mark.parametrize("text", ["RSMatch τ ≥ 0.9 → −1 ± 2 × 10₁ é ß Ž …", "Метод без очереди", "mixed: очередь τ"])
def test_every_letter_of_dejavu_sans_is_drawn(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = drawn(text)
        assert figure.svg.count(b"<use ") >= len(text.replace(" ", ""))
        assert figure.pdf.startswith(b"%PDF")


def test_what_no_face_has_is_a_box_and_no_error():
    assert b"<use " in drawn("方法").svg


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_common_letters_come_from_a_small_font_with_kerning_and_the_same_outlines(weight):
    assert typefaces() == [FAMILY, WHOLE]
    small, whole = (
        TTFont(fontManager.findfont(FontProperties(family=family, weight=weight), fallback_to_default=False))
        for family in (FAMILY, WHOLE)
    )
    assert len(small.getGlyphOrder()) < len(whole.getGlyphOrder()) / 3
    assert "kern" in small
    for letter in "Aé−τ≥":
        name, other = small.getBestCmap()[ord(letter)], whole.getBestCmap()[ord(letter)]
        assert small["glyf"][name].getCoordinates(small["glyf"]) == whole["glyf"][other].getCoordinates(whole["glyf"])
        assert small["hmtx"][name] == whole["hmtx"][other]
