"""What a YAML parser says of broken syntax, in plain words: what is wrong on which line, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

_INDENT = "this line is indented differently from its neighbours; what belongs together begins in the same column"
_BLOCK = {
    "?": "a key stands between the items of a list; begin it further left, or with '- ' as an item",
    "-": "a list item ('- ') stands between the keys of a mapping; indent it below the key that it belongs to",
    "<scalar>": "text follows a value that has ended; put the whole of it in quotes",
    **{c: f"'{c}' stands where no bracket is open; remove it, or put text that has one in quotes" for c in "]},"},
}
"""By what was found where a block should have gone on or ended."""

_RULES: tuple[tuple[str, Callable[[re.Match[str], str], str]], ...] = (
    (r"'\\t'", lambda m, at: "a tab stands where only spaces may; indent with spaces, never with tabs"),
    (
        r"mapping values are not allowed|could not find expected ':'",
        lambda m, at: (
            "no key can stand here; look for a missing ':', a wrong indent, or text with ': ' in it that needs quotes"
        ),
    ),
    (r"expected <block end>, but found '(.+)'", lambda m, at: _BLOCK.get(m[1], _INDENT)),
    (
        r"expected ',' or '([\]}])'",
        lambda m, at: f"the '{'[' if m[1] == ']' else '{'}'{at} is not closed, or a ',' is missing after an entry",
    ),
    (
        r"while scanning a (?:double-)?quoted scalar.* (?:end of stream|document separator)",
        lambda m, at: f"the quotation mark{at} is not closed",
    ),
    (
        r"unknown escape character '(.+)'",
        lambda m, at: f"'\\{m[1]}' means nothing in double quotes; use single quotes, or write \\\\ for a backslash",
    ),
    (r"found character '(.+)' that cannot start", lambda m, at: f"text cannot begin with {m[1]}; put it in quotes"),
    (r"expected the node content, but found '<stream end>'", lambda m, at: "a value is missing at the end"),
    (r"expected the node content, but found '(.+)'", lambda m, at: f"a value is missing before '{m[1]}'"),
)


def in_plain_words(context: str | None, problem: str | None, began: int | None) -> str:
    """One sentence for the user.

    Args:
        context: What was being read, as the parser says it.
        problem: What it found.
        began: The line on which that began, from 1; None where lines mean nothing.
    """
    said = " ".join(filter(None, (context, problem)))
    at = "" if began is None else f" of line {began}"
    for pattern, sentence in _RULES:
        if found := re.search(pattern, said):
            return sentence(found, at)
    return said
