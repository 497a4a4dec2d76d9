"""Output whose encoding lacks characters that the program writes: they are written in letters that it has."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

PLAIN = {
    "−": "-",
    "–": "-",
    "—": "-",
    "─": "-",
    "━": "-",
    "│": "|",
    "·": "-",
    "•": "*",
    "×": "x",
    "±": "+/-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "→": "->",
    "…": "...",
    "§": "S",
    "†": "+",
    "‡": "++",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "√": "sqrt",
}
"""A minus that became a question mark would turn a table's numbers around."""
_HANDLER = "orchestrator.plain"


def _plain(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    return "".join(map(_one, problem.object[problem.start : problem.end])), problem.end


def _one(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return letters or f"\\u{ord(character):04x}"


def write_what_fits() -> None:
    """From now on no character that standard output or the messages cannot hold ends a command."""
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed, and anything at all in a notebook
            stream.reconfigure(errors=_HANDLER)
