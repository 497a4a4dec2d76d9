"""`--set key.path=value`: values that stand in for those of a study file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.errors import InputError, Problem
from orchestrator.yaml_source import Document, KeyPath, Location, describe, parse, path_text


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
    key, equals, text = override.partition("=")
    path: KeyPath = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        raise _error(source, "", "expected key.path=value, as in evaluate.seeds=10")
    value = parse(text, source, numbered=False)
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


def _error(source: str, path: str, message: str) -> InputError:
    return InputError([Problem(source, None, path, message)])
