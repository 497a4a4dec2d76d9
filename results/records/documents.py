"""JSON that may be somebody else's: read strictly, within bounds that nothing written by a run comes near.

A value that is nested thousands deep, a number whose square overflows, or half of a surrogate pair is valid JSON, and
trips whatever computes with it, prints it or passes it on. It is refused here once, and nowhere else needs to think of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from trainables.files import read_ordinary
from trainables.numbers import LARGEST_NUMBER

MOST_LEVELS = 64
"""Of lists and objects inside one another."""
_MOST_DIGITS = 19


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise ValueError(f"the number {text[:40]} is beyond {LARGEST_NUMBER:g}")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the whole number {text[:40]} has more than {_MOST_DIGITS} digits")
    return int(text)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_float, parse_int=_whole)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for one that is none, or beyond the bounds."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    value = decode(_DECODER, text)
    _check(text, value)
    return value


def parse_all(texts: Collection[str]) -> list[Any]:
    """The values of many small JSON texts, which share the strings of their keys. Raises ValueError as `parse` does."""
    values: list[Any] = decode(_DECODER, f"[{','.join(texts)}]")  # one call, for the parser shares keys within a call
    if len(values) != len(texts):
        raise ValueError("not one JSON value in each row")
    for text, value in zip(texts, values, strict=True):
        _check(text, value)
    return values


def decode(decoder: json.JSONDecoder, text: str) -> Any:
    """What a decoder makes of a text. Raises ValueError."""
    try:
        return decoder.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels") from None


def read_document(path: Path) -> Any:
    """The value in a JSON file. Raises FileNotFoundError, OSError, and ValueError as `parse` does."""
    return parse(read_ordinary(path))


def _check(text: str, value: Any) -> None:
    """Raise ValueError where the value of `text` is nested too deep, or holds half of a surrogate pair; without recursion."""
    if text.count("[") + text.count("{") <= MOST_LEVELS and "\\u" not in text:
        return
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                for name in one:
                    check_text(name)
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                check_text(one)
        if not below:
            return
        level = below
    raise ValueError(f"nested deeper than {MOST_LEVELS} levels")


def check_text(text: str) -> None:
    """Raise ValueError for a text that UTF-8 has no bytes for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half of a surrogate pair in it, which is no Unicode") from None
