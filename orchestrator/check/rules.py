"""Rules: what a study must fulfil beyond the types and ranges of its values.

Each rule says which parts of the study it reads. Where one of them is already known to be wrong the rule keeps silent,
so that every problem of a file is reported once, and all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.study.type_messages import Finding
from orchestrator.study.yaml_source import KeyPath

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

Check = Callable[["StudySpec"], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A question to a study, and what it reads of it.

    Args:
        check: A finding for everything that is wrong.
        reads: Paths into the study (`evaluate.seeds`). `components.*` reads each entry by itself: one that has the wrong type
            does not silence the rule.
        data: The rule asks what is on this machine's disk.
        derives: The rule works on what follows from these parts (arms, ranges). It comes after the others, and keeps silent
            where one of them found something wrong in these parts.
    """

    check: Check
    reads: tuple[KeyPath, ...]
    data: bool
    derives: bool


def rule(*reads: str, data: bool = False, derives: bool = False) -> Callable[[Check], Rule]:
    """Make a rule of a function. It is asked once it stands in its module's `RULES`."""
    return lambda check: Rule(check, tuple(tuple(part.split(".")) for part in reads), data, derives)


def broken_rules(
    rules: Iterable[Rule], study: StudySpec, bad: Collection[KeyPath] = (), *, need_data: bool = False
) -> list[Finding]:
    """Everything that is wrong with a study whose values are of the right type and in range.

    Args:
        rules: What it must fulfil.
        study: May hold stand-ins at the paths in `bad`.
        bad: Paths already reported.
        need_data: Also ask whether the dataset is on this machine.
    """
    asked, found = tuple(rules), list[Finding]()
    for derives in (False, True):
        wrong = [*bad, *(f.at for f in found)]
        for r in asked:
            silent = (r.data and not need_data) or any(_touches(path, b) for path in r.reads for b in wrong)
            if r.derives == derives and not silent:
                found += r.check(study)
    return found


def unknown(names: Iterable[str], known: Collection[str], at: KeyPath, word: str) -> Iterator[Finding]:
    """A finding for each name that is not known."""
    for i, name in enumerate(names):
        if name not in known:
            yield Finding((*at, i), f"no {word} {quoted(name)}{did_you_mean(name, known)}", at)


def repeated(names: Iterable[str], at: KeyPath) -> Iterator[Finding]:
    """A finding for each name that comes again."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield Finding((*at, i), f"{quoted(name)} is named twice; keep one", at)
        seen.add(name)


def _touches(read: KeyPath, bad: KeyPath) -> bool:
    if read[-1] == "*":
        read = read[:-1]
        return bad == read[: len(bad)]
    n = min(len(read), len(bad))
    return read[:n] == bad[:n]
