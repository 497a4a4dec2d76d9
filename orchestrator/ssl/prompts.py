"""What a text-to-image pipeline is asked for: a template with {class}, or a file with prompts for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.common.errors import AblateError, InputError, Problem, did_you_mean, quoted
from orchestrator.study.yaml_source import Document, KeyPath, describe, parse, path_text, read_text

PLACE = "{class}"
FILE_SUFFIXES = (".yaml", ".yml")

Prompts = dict[str, tuple[str, ...]]
"""By class; several take turns."""


def read_prompts(text: str, classes: Sequence[str]) -> Prompts:
    """Prompts for every class.

    Args:
        text: A template in which {class} stands for a class's name (`_` as a space), or the path of a YAML file with one
            prompt or a list of prompts for each class.
        classes: Names that the dataset has.

    Raises:
        AblateError: The template names no class.
        InputError: With every problem of the file, each with its line.
    """
    if text.lower().endswith(FILE_SUFFIXES):
        return _from_file(Path(text), classes)
    if PLACE not in text:
        raise AblateError(
            f"--prompt: {quoted(text)} has no {PLACE}, and so would ask for the same in every class; write it where the "
            f"class's name belongs ('a photo of {PLACE}'), or name a YAML file"
        )
    return {name: (text.replace(PLACE, name.replace("_", " ")),) for name in classes}


def _from_file(path: Path, classes: Sequence[str]) -> Prompts:
    document = parse(read_text(path), str(path))
    found: Prompts = {}
    problems = list(document.problems)
    by_name = {name.casefold(): name for name in classes} | {name: name for name in classes}

    def complain(at: KeyPath, message: str) -> None:
        place = document.locate(at)
        problems.append(Problem(place.source, place.line, path_text(at), message))

    entries: dict[str, Any] = document.data if isinstance(document.data, dict) else {}
    if not isinstance(document.data, dict) and not problems:
        complain((), f"expected a prompt, or a list of them, for each class; got {describe(document.data)}")
    for key, value in entries.items():
        name = by_name.get(key, by_name.get(key.casefold()))
        if (key,) in document.spoiled:
            continue
        if name is None:
            complain((key,), f"no class {quoted(key)}{did_you_mean(key, classes)}")
            continue
        prompts = value if isinstance(value, list) else [value]
        wrong = [p for p in prompts if not isinstance(p, str) or not p.strip()]
        if wrong or not prompts:
            complain((key,), f"expected text, or a list of texts; got {describe(wrong[0] if wrong else value)}")
        elif name in found:
            complain((key,), f"class {quoted(name)} has prompts twice; keep one")
        else:
            found[name] = tuple(prompts)
    _check_all_are_there(document, entries, classes, problems)
    if problems:
        raise InputError(sorted(problems, key=lambda p: p.line or 0))
    return {name: found[name] for name in classes}


def _check_all_are_there(
    document: Document, entries: dict[str, Any], classes: Sequence[str], problems: list[Problem]
) -> None:
    named = {key.casefold() for key in entries}
    absent = [name for name in classes if name.casefold() not in named]
    if absent and isinstance(document.data, dict):
        place = document.locate(())
        names = ", ".join(f"'{name}'" for name in absent)
        problems.append(Problem(place.source, None, "", f"no prompt for class {names}; every class wants one"))
