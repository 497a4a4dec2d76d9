"""Study files: a question, written down once, checked in whole before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.check import design_rules, search_rules, study_rules
from orchestrator.check.rules import Rule, broken_rules
from orchestrator.check.study_rules import power_warnings
from orchestrator.common.errors import InputError, Problem
from orchestrator.common.secrecy import secrets_in
from orchestrator.common.task import task_additions
from orchestrator.study.overrides import apply_overrides
from orchestrator.study.spec import StudySpec
from orchestrator.study.type_messages import Finding, findings, without
from orchestrator.study.yaml_source import Document, KeyPath, as_text, parse, path_text, read_text
from trainables.algorithms.registry import AlgorithmNotFound, resolve


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study that passed every check, with what it was read from."""

    spec: StudySpec
    path: Path
    text: str
    """The file as it was read."""
    overrides: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences on what the study is allowed to do but should know."""


def load_study(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = (), *, need_data: bool = True
) -> LoadedStudy:
    """Read and check a study. Imports neither torch nor Ray, unless the study names an algorithm of the user's own that does.

    Args:
        source: The YAML file, or its content.
        overrides: `key.path=value`, each in place of the file's value.
        need_data: False where the dataset itself is not going to be read, as for a report of what has run.

    Raises:
        InputError: With every problem of the file and the overrides, each with its line.
    """
    if isinstance(source, Mapping):
        name, folder, text = "study", Path(), as_text(_plain(source))
    else:
        name, folder, text = str(source), source.parent, read_text(source)
    document = _document(name, text, overrides)
    if isinstance(document.data, dict):
        apply_overrides(document, overrides)
        task_additions().place_data(document.data, folder)
    problems = list(document.problems)
    unresolved = _resolve_algorithms(document.data, folder)
    spec, found = _check(document, need_data=need_data)
    told = {f.at for f in unresolved}
    found = [*unresolved, *(f for f in found if f.at not in told)]
    problems += (_problem(document, f) for f in found if not _spoiled(f.at, document.spoiled))
    if problems or spec is None:
        order = {place: i for i, place in enumerate([name, *(f"--set {o}" for o in overrides)])}
        raise InputError(sorted(dict.fromkeys(problems), key=lambda p: (order[p.source], p.line or 0)))
    return LoadedStudy(
        spec=spec, path=Path(name), text=text, overrides=tuple(overrides), warnings=tuple(power_warnings(spec))
    )


def name_in(path: Path) -> str:
    """The name that a study file gives its study, for what a study left behind: nothing else in the file has to be right, and no
    algorithm that it names is imported.

    Raises InputError where it is no study file or its name is none.
    """
    document = _document(str(path), read_text(path))
    found: list[Finding] = []
    try:
        StudySpec.model_validate(document.data)
    except ValidationError as error:
        found = [f for f in findings(error, StudySpec) if _NAME in (f.at, f.meant) or not f.at]
    misspelt = [f for f in found if f.meant == _NAME]
    if problems := [*document.problems, *(_problem(document, f) for f in misspelt or found)]:
        raise InputError(problems)
    return str(document.data["study"])


_NAME: KeyPath = ("study",)


def _document(name: str, text: str, overrides: Iterable[str] = ()) -> Document:
    """What a study file holds. Raises InputError where that is nothing or a secret: before any message quotes a value."""
    if secrets := secrets_in([(name, text), *((f"--set {o.partition('=')[0]}", o) for o in overrides)]):
        raise InputError(secrets)
    document = parse(text, name)
    if document.data is None and not document.problems:
        raise InputError([Problem(name, None, "", "is empty; studies/digits.yaml shows what a study file holds")])
    return document


def _plain(value: Any) -> Any:
    """Tuples as lists and mappings as dicts, as YAML has them."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _resolve_algorithms(data: Any, folder: Path) -> list[Finding]:
    """Import the algorithms that the study names as `my_module:MyMatch`; a finding for each that is not there or not whole."""
    if not isinstance(data, dict):
        return []
    baselines = data.get("baselines")
    named: list[tuple[KeyPath, Any, KeyPath]] = [(("method",), data.get("method"), ("method",))]
    if isinstance(baselines, list):
        named += [(("baselines", i), name, ("baselines",)) for i, name in enumerate(baselines)]
    found = []
    for at, name, shown in named:
        if isinstance(name, str) and ":" in name:
            try:
                resolve(name, folder)
            except AlgorithmNotFound as problem:
                found.append(Finding(at, str(problem), shown))
    return found


def all_rules() -> tuple[Rule, ...]:
    """Everything that a study must fulfil beyond the types and ranges of its values."""
    return (*design_rules.RULES, *search_rules.RULES, *task_additions().rules(), *study_rules.RULES)


_STAND_INS: dict[KeyPath, Any] = {
    ("study",): "unnamed",
    ("question",): "none",
    ("method",): "unnamed",
    ("data",): {"dataset": "unnamed"},
    ("data", "dataset"): "unnamed",
}
"""For required values that are wrong, so that the rest can still be checked."""


def _check(document: Document, *, need_data: bool) -> tuple[StudySpec | None, list[Finding]]:
    """Types and ranges first; then the rules, over all that has the right type."""
    try:
        spec = StudySpec.model_validate(document.data)
        return spec, broken_rules(all_rules(), spec, document.spoiled, need_data=need_data)
    except ValidationError as error:
        found = findings(error, StudySpec)
        unknown = {tuple(e["loc"]) for e in error.errors() if e["type"] == "extra_forbidden"}
    if not isinstance(document.data, dict):
        return None, found
    meant = {f.meant for f in found if f.meant is not None and f.meant not in document.locations}
    bad = {f.at for f in found} - unknown | meant  # what follows from a misspelt key would only hide its one mistake
    data = without(document.data, {f.at for f in found})
    for place in sorted(bad & _STAND_INS.keys(), key=len):
        outer = data if len(place) == 1 else data[str(place[0])]
        outer[str(place[-1])] = _STAND_INS[place]
    try:
        rest = StudySpec.model_validate(data)
    except ValidationError:
        return None, found
    told = [f for f in found if f.at not in meant]  # that it is missing follows too
    return None, told + broken_rules(all_rules(), rest, bad | document.spoiled, need_data=need_data)


def _problem(document: Document, finding: Finding) -> Problem:
    location = document.locate(finding.at)
    return Problem(location.source, location.line, path_text(_shown(finding)), finding.message)


def _shown(finding: Finding) -> KeyPath:
    return finding.at if finding.shown is None else finding.shown


def _spoiled(at: KeyPath, spoiled: Iterable[KeyPath]) -> bool:
    return any(at[: len(place)] == place for place in spoiled)
