"""The specification of a study: every key of its file, typed and in range."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import Field, field_validator

from orchestrator.common.errors import quoted
from orchestrator.study.sections import (
    CONFIRMING_SEEDS,
    FIRST_TUNING_SEED,
    AblationSpec,
    EvaluateSpec,
    Names,
    ResourcesSpec,
    SearchSpec,
)
from orchestrator.study.yaml_source import describe
from search_spaces import Range, parse_range, space_of
from trainables.algorithms import ALGORITHMS
from trainables.configuration import Configuration
from trainables.names import composed
from trainables.specs import DataSpec, TrainingSpec

RESERVED_NAMES = frozenset(
    {"mlartifacts", "mlflow-auth", "cache", "con", "prn", "aux", "nul"}
    | {f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)}
)
"""What `runs/` holds besides studies and `mlflow.db`, and what some file systems refuse; with any ending."""


class StudySpec(Configuration):
    """The whole question, typed. Whether its parts fit together is asked by `orchestrator.check.loading`."""

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
