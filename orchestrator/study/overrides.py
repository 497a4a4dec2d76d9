"""`--set key.path=value`: values that stand in for those of a study file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from orchestrator.common.errors import InputError, Problem
from orchestrator.study.yaml_source import MAX_DEPTH, Document, KeyPath, Location, describe, parse, path_text
from trainables.names import composed

_NAME = re.compile(r"""\s*(?:"([^"]*)"\s*|'([^']*)'\s*|([^.=]*))""")
_OF_DOTTED_NAMES = frozenset({("conditions",), ("resources", "custom")})
"""Mappings of plain values whose names may hold dots: all that follows is one name."""
_BY_ALGORITHM = frozenset({("hyperparameters",), ("resources", "arms")})
"""Mappings whose names may be `package.module:Class`: a name goes on to the part that has the colon."""


def apply_overrides(document: Document, overrides: Iterable[str]) -> None:
    """Change `document` in place; a later override wins over an earlier one. What is wrong joins its problems.

    A key that is not there is added, with the mappings around it; whether a study has such a key, its check will say.
    """
    for override in overrides:
        source = f"--set {override}"
        try:
            _apply(document, override, source)
        except InputError as error:
            document.problems += error.problems


def _apply(document: Document, override: str, source: str) -> None:
    parts, text = _split(override, source)
    value = parse(text, source, numbered=False)
    path = _names(parts, document.data)
    if value.problems:
        raise InputError(Problem(source, None, path_text(path), p.message) for p in value.problems)

    place: Any = document.data
    for depth, name in enumerate(path[:-1]):
        inner = place.get(name)
        if inner is None:
            inner = place[name] = {}
            document.locations[path[: depth + 1]] = Location(source, None)
        elif not isinstance(inner, dict):
            outer = path_text(path[: depth + 1])
            remedy = f"; set it whole, as in {outer}=[a, b]" if isinstance(inner, list) else ""
            raise _error(source, path_text(path), f"'{outer}' is {describe(inner)}, not a mapping{remedy}")
        place = inner
    place[path[-1]] = value.data

    for old in [p for p in document.locations if p[: len(path)] == path]:
        del document.locations[old]
    document.locations[path] = Location(source, None)


def _split(override: str, source: str) -> tuple[list[tuple[str, bool]], str]:
    """The names before the `=`, each with whether it stood in quotes, and the text after it."""
    parts: list[tuple[str, bool]] = []
    at = 0
    while found := _NAME.match(override, at):
        quoted_name, plain = found[1] or found[2], (found[3] or "").strip()
        at = found.end()
        if not (quoted_name or plain) or at == len(override):
            break
        parts.append((composed(quoted_name or plain), bool(quoted_name)))
        if len(parts) > MAX_DEPTH:
            raise _error(source, "", f"the key is more than {MAX_DEPTH} levels deep; no study is")
        if override[at] == "=":
            return parts, override[at + 1 :]
        if override[at] != ".":
            break
        at += 1
    raise _error(
        source, "", "expected key.path=value, as in evaluate.seeds=10; a name that holds '=' or '.' stands in quotes"
    )


def _names(parts: list[tuple[str, bool]], data: Any) -> KeyPath:
    """The path that is meant where names themselves hold dots: `conditions.data.contamination` has two names.

    A name that is there already wins over one that is not, and the longest of these over shorter ones.
    """
    path: tuple[str, ...] = ()
    place = data
    while parts:
        n = 1
        if not parts[0][1]:
            joined = [".".join(name for name, _ in parts[: i + 1]) for i in range(len(parts))]
            there = [i + 1 for i, name in enumerate(joined) if isinstance(place, dict) and name in place]
            module = [i + 1 for i, (name, _) in enumerate(parts) if ":" in name] if path in _BY_ALGORITHM else []
            n = len(parts) if path in _OF_DOTTED_NAMES else max(there, default=min(module, default=1))
        name = ".".join(name for name, _ in parts[:n])
        path, parts = (*path, name), parts[n:]
        place = place.get(name) if isinstance(place, dict) else None
    return path


def _error(source: str, path: str, message: str) -> InputError:
    return InputError([Problem(source, None, path, message)])
