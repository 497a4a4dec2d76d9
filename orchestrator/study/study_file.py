"""Study files: a question, written down once, checked in whole before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from orchestrator.check.rules import broken_rules
from orchestrator.check.study_rules import power_warnings
from orchestrator.common.errors import InputError, Problem, quoted
from orchestrator.common.secrecy import secrets_in
from orchestrator.design.conditions import Condition, changes_of, make_condition
from orchestrator.ssl.image_folders import place_image_folders
from orchestrator.study.overrides import apply_overrides
from orchestrator.study.sections import (
    CONFIRMING_SEEDS,
    FIRST_TUNING_SEED,
    AblationSpec,
    EvaluateSpec,
    Names,
    ResourcesSpec,
    SearchSpec,
)
from orchestrator.study.type_messages import Finding, findings, without
from orchestrator.study.yaml_source import Document, KeyPath, as_text, describe, parse, path_text, read_text
from search_spaces import Range, parse_range, space_of
from trainables.algorithms import ALGORITHMS
from trainables.algorithms.registry import AlgorithmNotFound, resolve
from trainables.configuration import Configuration
from trainables.names import composed
from trainables.specs import DataSpec, TrainingSpec

RESERVED_NAMES = frozenset(
    {"mlartifacts", "mlflow-auth", "cache", "con", "prn", "aux", "nul"}
    | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}
)
"""What `runs/` holds besides studies and `mlflow.db`, and what some file systems refuse; with any ending."""


class StudySpec(Configuration):
    """The whole question. Raises ValueError for parts that do not fit together, whoever builds it."""

    study: str = Field(description="The study's name, and its folder's under runs/")
    question: str = Field(min_length=1, max_length=500, description="What the study asks, as a sentence for its report")
    method: str = Field(description="The algorithm under study, from `ablate list algorithms`")
    components: dict[str, bool] = Field(
        default_factory=dict, description="Switches of the full method; on unless given"
    )
    ablation: AblationSpec = Field(default_factory=AblationSpec, description="Which components are left out")
    baselines: Names = Field(
        (), description="Other algorithms to compare with; oracles among them are shown as bounds, and not tested"
    )
    data: DataSpec = Field(description="The data condition")
    training: TrainingSpec = Field(
        default_factory=lambda: TrainingSpec(), description="The training loop, the same for every arm"
    )
    conditions: dict[str, tuple[Any, ...]] | tuple[dict[str, Any], ...] = Field(
        (),
        description="Several conditions: a grid of values by field (data.contamination: [0, 0.5]), or a list of such changes",
    )
    hyperparameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Constants by algorithm, in place of its defaults"
    )
    search: SearchSpec = Field(default_factory=lambda: SearchSpec(), description="How every arm is tuned")
    evaluate: EvaluateSpec = Field(default_factory=lambda: EvaluateSpec(), description="Seeds of the comparison")
    resources: ResourcesSpec = Field(default_factory=lambda: ResourcesSpec(), description="What a trial gets")

    @field_validator("conditions", mode="before")
    @classmethod
    def _grid_or_list(cls, value: Any) -> Any:
        if isinstance(value, dict):
            wrong = [k for k, v in value.items() if not isinstance(v, list | tuple) or not v]
            if wrong:
                raise ValueError(f"a grid has a list of values for each field; {quoted(wrong[0])} has none")
            return {str(k): tuple(v) for k, v in value.items()}
        if not isinstance(value, list | tuple) or not all(isinstance(v, dict) and v for v in value):
            raise ValueError(
                "expected a grid (data.contamination: [0, 0.5]) or a list of changes (- data.contamination: 0), "
                f"got {describe(value)}"
            )
        return tuple({str(k): v for k, v in entry.items()} for entry in value)

    @field_validator("method", "baselines", "hyperparameters", mode="after")
    @classmethod
    def _composed(cls, value: Any) -> Any:
        """Names of algorithms in the form that Python gives to the names of modules and classes."""
        if isinstance(value, str):
            return composed(value)
        return {composed(k): v for k, v in value.items()} if isinstance(value, dict) else tuple(map(composed, value))

    @field_validator("study")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        rule = "names a folder: a letter or digit, then up to 63 of a-z 0-9 . _ -"
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", value):
            raise ValueError(f"{rule}; got {describe(value)}")
        if ".." in value or value.endswith("."):
            raise ValueError(f"{rule}, without '..' and without a dot at its end; got {describe(value)}")
        if value.split(".")[0] in RESERVED_NAMES or value.startswith("mlflow.db"):
            raise ValueError(f"'{value}' is reserved; choose another name")
        return value

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> StudySpec:
        if not (info.context or {}).get("types_only"):
            broken = broken_rules(self)
            if broken:
                raise ValueError("; ".join(f"{path_text(_shown(f))}: {f.message}" for f in broken))
        return self

    @property
    def off(self) -> tuple[str, ...]:
        """Components that are off in the full method, sorted."""
        return tuple(sorted(name for name, on in self.components.items() if not on))

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The evaluation's seed blocks."""
        seeds = self.evaluate.seeds
        return tuple(range(seeds)) if isinstance(seeds, int) else seeds

    @property
    def tuning_seed(self) -> int:
        """The seed block that tuning uses; never one of the evaluation's."""
        return FIRST_TUNING_SEED + self.search.seed

    @property
    def confirming_seeds(self) -> tuple[int, ...]:
        """Further tuning seeds on which the best configurations are confirmed."""
        confirm = self.search.confirm
        return tuple(self.tuning_seed + CONFIRMING_SEEDS * (i + 1) for i in range(confirm.seeds if confirm.top else 0))

    def constants(self, algorithm: str) -> dict[str, Any]:
        """The algorithm's complete configuration before any search: defaults, and this study's constants over them."""
        return ALGORITHMS[algorithm].Config(**self.hyperparameters.get(algorithm, {})).values()

    def searched(self, algorithm: str, off: Iterable[str] = (), fixed: Iterable[str] = ()) -> dict[str, Range]:
        """What an arm of the algorithm searches, by field; values that the study or the arm fixes are not searched."""
        if self.search.trials == 0:
            return {}
        constants = self.hyperparameters.get(algorithm, {})
        own = {name: parse_range(value) for name, value in self.search.ranges.items()}
        return space_of(algorithm, off, self.search.spaces, {*constants, *fixed}, own)

    def condition_list(self) -> tuple[Condition, ...]:
        """Every condition of the study, in order; its own `data` and `training` where it names none."""
        changes = list(changes_of(self.conditions)) or [{}]
        return tuple(make_condition(self.data, self.training, c) for c in changes)


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
        place_image_folders(document.data, folder)
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
        StudySpec.model_validate(document.data, context=_TYPES_ONLY)
    except ValidationError as error:
        found = [f for f in findings(error, StudySpec) if _NAME in (f.at, f.meant) or not f.at]
    misspelt = [f for f in found if f.meant == _NAME]
    if problems := [*document.problems, *(_problem(document, f) for f in misspelt or found)]:
        raise InputError(problems)
    return str(document.data["study"])


_NAME: KeyPath = ("study",)
_TYPES_ONLY = {"types_only": True}


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
        spec = StudySpec.model_validate(document.data, context=_TYPES_ONLY)
        return spec, broken_rules(spec, document.spoiled, need_data=need_data)
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
        rest = StudySpec.model_validate(data, context=_TYPES_ONLY)
    except ValidationError:
        return None, found
    told = [f for f in found if f.at not in meant]  # that it is missing follows too
    return None, told + broken_rules(rest, bad | document.spoiled, need_data=need_data)


def _problem(document: Document, finding: Finding) -> Problem:
    location = document.locate(finding.at)
    return Problem(location.source, location.line, path_text(_shown(finding)), finding.message)


def _shown(finding: Finding) -> KeyPath:
    return finding.at if finding.shown is None else finding.shown


def _spoiled(at: KeyPath, spoiled: Iterable[KeyPath]) -> bool:
    return any(at[: len(place)] == place for place in spoiled)
