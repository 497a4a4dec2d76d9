"""JSON of others: what is within the bounds comes back as it is, everything else is a ValueError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records.documents import MOST_LEVELS, parse, parse_all, read_document
from trainables.numbers import LARGEST_NUMBER

text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-LARGEST_NUMBER, LARGEST_NUMBER) | text
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=12
)


@given(value=values, ascii=st.booleans())
def test_what_is_within_the_bounds_comes_back(value: Any, ascii: bool) -> None:
    written = json.dumps(value, ensure_ascii=ascii)
    assert parse(written) == parse(written.encode()) == value
    assert parse_all([written, "1", written]) == [value, 1, value]


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_as_many_levels_as_that() -> None:
    assert parse(nested(MOST_LEVELS))
    wide = json.dumps([[n] for n in range(1000)])
    assert len(parse(wide)) == 1000
    for levels in (MOST_LEVELS + 1, 900, 200_000):
        for bad in (nested(levels), f'{{"a": {nested(levels)}}}'):
            with pytest.raises(ValueError, match="nested deeper than 64 levels"):
                parse(bad)
            with pytest.raises(ValueError, match="nested deeper than 64 levels"):
                parse_all(["{}", bad])


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "-1e999",
            "1e61",
            "1" + "0" * 60,
            "1" + "0" * 61 + ".5",
            "-" + "9" * 5000,
        ),
        *(r'"\ud800"', r'"\uDFFF"', r'{"\ud800": 1}', r'[["a\udc00"]]', "{", "[1] 2", "\udcff"),
    ],
)
def test_anything_else_is_refused(bad: str) -> None:
    for one in (bad, f'{{"a": [{bad}]}}'):
        with pytest.raises(ValueError, match=r"."):
            parse(one)
        with pytest.raises(ValueError, match=r"."):
            parse_all(["1", one])


def test_rows_are_one_value_each() -> None:
    with pytest.raises(ValueError, match="not one JSON value in each row"):
        parse_all(["1, 2"])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(b'"\xff"')
    with pytest.raises(ValueError, match="utf-8"):
        read_document(path)
    path.write_text('"\u00e9"', encoding="utf-8")
    assert read_document(path) == "\u00e9"
