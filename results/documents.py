"""JSON that may be somebody else's: read strictly, within bounds that nothing written by a run comes near.

A value that is nested thousands deep, a number whose square overflows, or half of a surrogate pair is valid JSON, and
trips whatever computes with it, prints it or passes it on. It is refused here once, and nowhere else needs to think of it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from trainables.files import read_ordinary

MOST_LEVELS = 64
"""Of lists and objects inside one another."""
LARGEST_NUMBER = 1e60
"""In magnitude: far beyond what single precision holds, and its fourth power is still a finite number."""
LARGEST_WHOLE = 2**63
_SUSPECT = re.compile(r"\\u[dD][89a-fA-F]|[0-9]{18}|[0-9][eE]\+?0*[1-9][0-9]")
"""Texts without any of these hold no number that is too large and no half of a surrogate pair."""


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for one that is none, or beyond the bounds."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels") from None
    if text.count("[") + text.count("{") > MOST_LEVELS or _SUSPECT.search(text):
        _check(value)
    return value


def read_document(path: Path) -> Any:
    """The value in a JSON file. Raises FileNotFoundError, OSError, and ValueError as `parse` does."""
    return parse(read_ordinary(path))


def _check(value: Any) -> None:
    """Raise ValueError where `value` is beyond the bounds; without recursion."""
    level = [value]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                for name in one:
                    _check_text(name)
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str):
                _check_text(one)
            elif isinstance(one, int):
                if abs(one) > LARGEST_WHOLE:
                    raise ValueError(f"a whole number of more than {LARGEST_WHOLE:.0e}")
            elif isinstance(one, float) and not abs(one) <= LARGEST_NUMBER:
                raise ValueError(f"the number {one:g} is beyond {LARGEST_NUMBER:g}")
        if not below:
            return
        level = below
    raise ValueError(f"nested deeper than {MOST_LEVELS} levels")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half of a surrogate pair in it, which is no Unicode") from None
