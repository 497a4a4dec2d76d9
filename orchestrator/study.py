"""Study files: a question, written down once, checked in whole before anything runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from orchestrator.errors import InputError, Problem, quoted
from orchestrator.overrides import apply_overrides
from orchestrator.study_problems import Finding, findings, without
from orchestrator.study_rules import broken_rules, power_warnings
from orchestrator.yaml_source import Document, KeyPath, describe, parse, path_text, read_text
from trainables.algorithms import ALGORITHMS
from trainables.configuration import Configuration
from trainables.specs import DataSpec, TrainingSpec

FIRST_TUNING_SEED = 1_000_000
"""Seeds from here on belong to tuning; evaluation seeds are below."""
MAX_SEEDS = 10_000
RESERVED_NAMES = frozenset(
    {"mlflow.db", "mlartifacts", "con", "prn", "aux", "nul"} | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}
)
"""What `runs/` holds besides studies, and what some file systems refuse."""

Names = Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]


class AblationSpec(Configuration):
    """Which arms the method's own components give."""

    design: Literal["leave-one-out", "none"] = Field("leave-one-out", description="How components are left out")
    components: Literal["all"] | tuple[str, ...] = Field("all", description="Components to leave out, one at a time")

    @field_validator("components", mode="before")
    @classmethod
    def _all_or_names(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if value != "all":
            raise ValueError(f"expected all, or a list of component names, got {describe(value)}")
        return value


class EarlyStoppingSpec(Configuration):
    """When a tuning trial that does worse than its own cell's past is ended."""

    rule: Literal["median", "none"] = Field("median", description="What a trial is measured against")
    after: float = Field(0.3, ge=0, le=1, description="Share of the steps before which nothing is stopped")


class SearchSpec(Configuration):
    """How hyperparameters are tuned: the same effort for every arm."""

    sampler: Literal["tpe", "random"] = Field("tpe", description="Optuna's sampler")
    trials: int = Field(6, ge=0, le=100_000, description="Tuning trials of each arm")
    generation: int = Field(
        2, ge=1, le=100_000, description="Suggestions made together, from complete generations only"
    )
    spaces: Names = Field(("thresholds", "loss-weights"), description="Groups from `ablate list spaces`")
    early_stopping: EarlyStoppingSpec = Field(default_factory=EarlyStoppingSpec, description="When trials end early")
    seed: int = Field(0, ge=0, le=1_000_000_000, description="Of the suggestions and of tuning's seed block")


class EvaluateSpec(Configuration):
    """The seeds on which frozen configurations are compared, in pairs."""

    seeds: int | tuple[int, ...] = Field(6, description="How many seed blocks, or which")
    allow_underpowered: bool = Field(False, description="Run although so few seeds cannot show significance")

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_or_list(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= MAX_SEEDS:
                raise ValueError(f"must be from 1 to {MAX_SEEDS:,} seeds, got {quoted(value)}")
            return value
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a whole number or a list of seeds, got {describe(value)}")
        for seed in value:
            if not isinstance(seed, int) or isinstance(seed, bool):
                raise ValueError(f"a seed is a whole number, got {describe(seed)}")
            if seed < 0:
                raise ValueError(f"a seed is 0 or more, got {seed}")
            if seed >= FIRST_TUNING_SEED:
                raise ValueError(f"a seed is below {FIRST_TUNING_SEED:,}, from there on they are tuning's; got {seed}")
        if not 1 <= len(value) <= MAX_SEEDS:
            raise ValueError(f"must be from 1 to {MAX_SEEDS:,} seeds, got {len(value)}")
        if len(set(value)) < len(value):
            repeated = min(seed for seed, times in Counter(value).items() if times > 1)
            raise ValueError(f"seed {repeated} is named twice; each pair counts once")
        return tuple(value)


class ResourcesSpec(Configuration):
    """What one trial gets, and how many run at once."""

    cpus: int = Field(1, ge=1, le=100_000, description="CPUs of a trial, and its torch threads")
    gpus: Literal["auto"] | float = Field("auto", description="GPUs of a trial: auto, a share below 1, or whole ones")
    actors: int | None = Field(None, ge=1, le=100_000, description="Trials at once; as many as fit unless given")

    @field_validator("gpus", mode="before")
    @classmethod
    def _auto_or_number(cls, value: Any) -> Any:
        if value == "auto":
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected auto or a number, got {describe(value)}")
        if not 0 <= value <= 1024:
            raise ValueError(f"must be from 0 to 1024, got {quoted(value)}")
        if value > 1 and value != int(value):
            raise ValueError(f"a share of a GPU is below 1, and above 1 they are whole; got {value}")
        return float(value)


class StudySpec(Configuration):
    """The whole question. Raises ValueError for parts that do not fit together, whoever builds it."""

    study: str = Field(description="The study's name, and its folder's under runs/")
    question: str = Field(min_length=1, max_length=500, description="What the study asks, as a sentence for its report")
    method: str = Field(description="The algorithm under study, from `ablate list algorithms`")
    components: dict[str, bool] = Field(
        default_factory=dict, description="Switches of the full method; on unless given"
    )
    ablation: AblationSpec = Field(default_factory=AblationSpec, description="Which components are left out")
    baselines: Names = Field((), description="Other algorithms to compare with")
    data: DataSpec = Field(description="The data condition")
    training: TrainingSpec = Field(
        default_factory=lambda: TrainingSpec(), description="The training loop, the same for every arm"
    )
    hyperparameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Constants by algorithm, in place of its defaults"
    )
    search: SearchSpec = Field(default_factory=lambda: SearchSpec(), description="How every arm is tuned")
    evaluate: EvaluateSpec = Field(default_factory=lambda: EvaluateSpec(), description="Seeds of the comparison")
    resources: ResourcesSpec = Field(default_factory=lambda: ResourcesSpec(), description="What a trial gets")

    @field_validator("study")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        rule = "names a folder: a letter or digit, then up to 63 of a-z 0-9 . _ -"
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", value):
            raise ValueError(f"{rule}; got {describe(value)}")
        if ".." in value or value.endswith("."):
            raise ValueError(f"{rule}, without '..' and without a dot at its end; got {describe(value)}")
        if value.split(".")[0] in RESERVED_NAMES or value in RESERVED_NAMES or value.startswith("mlflow.db"):
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
    def left_out(self) -> tuple[str, ...]:
        """Components that the ablation leaves out, one at a time, in the order of their declaration."""
        if self.ablation.design == "none":
            return ()
        asked = self.ablation.components
        names = (c.name for c in ALGORITHMS[self.method].components)
        return tuple(n for n in names if n not in self.off and (asked == "all" or n in asked))

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The evaluation's seed blocks."""
        seeds = self.evaluate.seeds
        return tuple(range(seeds)) if isinstance(seeds, int) else seeds

    @property
    def tuning_seed(self) -> int:
        """The seed block that tuning uses; never one of the evaluation's."""
        return FIRST_TUNING_SEED + self.search.seed

    def constants(self, algorithm: str) -> dict[str, Any]:
        """The algorithm's complete configuration before any search: defaults, and this study's constants over them."""
        return ALGORITHMS[algorithm].Config(**self.hyperparameters.get(algorithm, {})).values()


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


def load_study(path: Path, overrides: Sequence[str] = (), *, need_data: bool = True) -> LoadedStudy:
    """Read and check a study file. Imports neither torch nor Ray.

    Args:
        path: The YAML file.
        overrides: `key.path=value`, each in place of the file's value.
        need_data: False where the dataset itself is not going to be read, as for a report of what has run.

    Raises:
        InputError: With every problem of the file and the overrides, each with its line.
    """
    text = read_text(path)
    document = parse(text, str(path))
    if document.data is None and not document.problems:
        raise InputError([Problem(str(path), None, "", "is empty; studies/digits.yaml shows what a study file holds")])
    if isinstance(document.data, dict):
        apply_overrides(document, overrides)
    problems = list(document.problems)
    spec, found = _check(document, need_data=need_data)
    problems += (_problem(document, f) for f in found if not _spoiled(f.at, document.spoiled))
    if problems or spec is None:
        order = {source: i for i, source in enumerate([str(path), *(f"--set {o}" for o in overrides)])}
        raise InputError(sorted(dict.fromkeys(problems), key=lambda p: (order[p.source], p.line or 0)))
    return LoadedStudy(
        spec=spec, path=path, text=text, overrides=tuple(overrides), warnings=tuple(power_warnings(spec))
    )


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
    types_only = {"types_only": True}
    try:
        spec = StudySpec.model_validate(document.data, context=types_only)
        return spec, broken_rules(spec, document.spoiled, need_data=need_data)
    except ValidationError as error:
        found = findings(error, StudySpec)
        unknown = {tuple(e["loc"]) for e in error.errors() if e["type"] == "extra_forbidden"}
    if not isinstance(document.data, dict):
        return None, found
    bad = {f.at for f in found} - unknown
    data = without(document.data, {f.at for f in found})
    for place in sorted(bad & _STAND_INS.keys(), key=len):
        outer = data if len(place) == 1 else data[str(place[0])]
        outer[str(place[-1])] = _STAND_INS[place]
    try:
        rest = StudySpec.model_validate(data, context=types_only)
    except ValidationError:
        return None, found
    return None, found + broken_rules(rest, bad | document.spoiled, need_data=need_data)


def _problem(document: Document, finding: Finding) -> Problem:
    location = document.locate(finding.at)
    return Problem(location.source, location.line, path_text(_shown(finding)), finding.message)


def _shown(finding: Finding) -> KeyPath:
    return finding.at if finding.shown is None else finding.shown


def _spoiled(at: KeyPath, spoiled: Iterable[KeyPath]) -> bool:
    return any(at[: len(place)] == place for place in spoiled)
