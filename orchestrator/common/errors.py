"""The errors that a user may meet, each a sentence that says the rule, the value and what to do.

- `AblateError`
    - `InputError`: a study file, an option or an override is wrong; holds every problem that was found (exit status 2)
    - `StudyNotFound`: a study has not been run, or its folder is gone
    - `StudyBusy`: another driver is at work on the study
    - `MachineFailed`: the input is right, and the machine or the cluster did not do its part (exit status 1)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LISTED_NAMES = 12
SHOWN_CHARACTERS = 60


class AblateError(Exception):
    """Something the user can mend; shown as its message alone, never as a traceback."""

    exit_status = 2
    """Of a command that ends by it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input, and where.

    Args:
        source: The file as the user named it, or the override: `--set search.trials=x`.
        line: Counted from 1; None where the source has no lines.
        path: The place in the study: `evaluate.seeds`; empty for the whole of it.
        message: The rule, the value, and the remedy.
    """

    source: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return on_one_line(": ".join(part for part in (place, self.path, self.message) if part))


class InputError(AblateError):
    """The input is wrong. `str()` is one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        if not self.problems:
            raise ValueError("problems: an input error needs at least one")
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[Problem, ...]]]:
        return InputError, (self.problems,)


class StudyNotFound(AblateError):
    """A study has no ledger where one was looked for."""


class StudyBusy(AblateError):
    """Another driver is at work on the study's folder."""


class MachineFailed(AblateError):
    """The input is right, but this machine or the cluster did not do its part; some trials are not done."""

    exit_status = 1


class MirrorError(AblateError):
    """MLflow and the ledger could not be brought together; the message is one line for the user."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that an unknown name was probably meant to be; None where none is near."""
    near = difflib.get_close_matches(name.lower()[:100], list(names), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest of `names`, or where none is near, the first of them."""
    known = list(names)
    near = nearest(name, known)
    if near is not None:
        return f"; did you mean '{near}'?"
    if not known:
        return "; there are none here"
    more = ", …" if len(known) > LISTED_NAMES else ""
    return f"; there are {', '.join(known[:LISTED_NAMES])}{more}"


def quoted(value: Any) -> str:
    """A value as it stands in a message: on one line and short."""
    text = repr(value[: SHOWN_CHARACTERS + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS + 2 else f"{text[:SHOWN_CHARACTERS]}…"


def on_one_line(text: str) -> str:
    """`text` with everything that could move a terminal's cursor, or not be printed at all, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
