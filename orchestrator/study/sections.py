"""The sections of a study file and their types: what each key may hold, with its default and description."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator

from orchestrator.common.errors import did_you_mean, quoted
from orchestrator.study.yaml_source import describe
from trainables.configuration import Configuration

FIRST_TUNING_SEED = 1_000_000
"""Seeds from here on belong to tuning; evaluation seeds are below."""
CONFIRMING_SEEDS = 1_000_000_000
"""Distance between a tuning seed and the further ones on which its best configurations are confirmed."""
MAX_SEEDS = 10_000

DesignName = Literal["leave-one-out", "add-one-in", "one-at-a-time", "factorial", "pairs", "custom", "none"]
SamplerName = Literal["tpe", "random", "gp", "cma-es", "qmc", "nsga-ii", "grid"]
DESIGNS: dict[DesignName, str] = {
    "leave-one-out": "each component off, with what needs it",
    "pairs": "each two components off together",
    "add-one-in": "from the bare method up: one more component on at a time",
    "one-at-a-time": "each component off, and each alternative value by itself",
    "factorial": "every combination of components and values, or a fraction of a stated resolution",
    "custom": "only the arms written out under ablation.arms",
    "none": "no further arm",
}
SAMPLERS: dict[SamplerName, str] = {
    "tpe": "tree-structured Parzen estimator; several objectives and constraints",
    "gp": "Gaussian process; few trials, several objectives and constraints",
    "cma-es": "covariance matrix adaptation; many trials, real numbers, one objective",
    "nsga-ii": "genetic algorithm; several objectives",
    "qmc": "quasi-random points that fill the space evenly",
    "random": "independent random points",
    "grid": "every combination of the values in search.grid, the defaults first",
}
RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")
"""Resources that Ray counts by itself."""
OBJECTIVES = ("val_error", "val_loss", "seconds", "steps", "labels")
"""What a search may minimise."""


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"expected a number, text, or on or off, got {describe(value)}")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Value = Annotated[Any, BeforeValidator(_scalar)]
Values = Annotated[tuple[Value, ...], BeforeValidator(_tuple)]


class ArmSpec(Configuration):
    """An arm written out by hand."""

    without: Names = Field((), description="Components that are off; those that need them fall with them")
    set: dict[str, Value] = Field(default_factory=dict, description="Hyperparameters that this arm fixes")
    title: str | None = Field(None, min_length=1, max_length=100, description="As tables show it")


class AblationSpec(Configuration):
    """Which arms the method's own components give."""

    design: tuple[DesignName, ...] = Field(("leave-one-out",), description="One design, or a list of them")
    components: Literal["all"] | tuple[str, ...] = Field("all", description="Components that the designs are about")
    alternatives: dict[str, Values] = Field(
        default_factory=dict, description="Values of hyperparameters to try in one-at-a-time and factorial designs"
    )
    path: Literal["cumulative", "single"] = Field(
        "cumulative", description="add-one-in: components one on top of the other, or each by itself with what it needs"
    )
    resolution: Literal["full", 3, 4, 5] = Field("full", description="Of a factorial design: full, or a fraction's")
    arms: dict[str, ArmSpec] = Field(default_factory=dict, description="Further arms by name")

    @field_validator("design", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        names = get_args(DesignName)
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not values or not all(isinstance(v, str) for v in values):
            raise ValueError(f"expected one of {', '.join(names)}, or a list of them, got {describe(value)}")
        unknown = [v for v in values if v not in names]
        if unknown:
            raise ValueError(f"no design {quoted(unknown[0])}{did_you_mean(unknown[0], names)}")
        if len(set(values)) < len(values):
            raise ValueError("a design is named twice; keep one")
        if "none" in values and len(values) > 1:
            raise ValueError("none excludes every other design; remove it, or the others")
        return tuple(values)

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

    rule: Literal["median", "quantile", "asha", "none"] = Field(
        "median", description="What a trial is measured against"
    )
    after: float = Field(0.3, ge=0, le=1, description="Share of the steps before which nothing is stopped")
    keep: float = Field(
        0.34,
        gt=0,
        le=1,
        description="quantile and asha: share of the earlier trials that a trial must be among to go on",
    )


class ConfirmSpec(Configuration):
    """Second looks at the best configurations, because the best of many noisy trials is an optimist."""

    top: int = Field(0, ge=0, le=1000, description="Configurations that are tried again before one is frozen")
    seeds: int = Field(2, ge=1, le=1000, description="Further tuning seeds that each of them is tried on")


class PopulationSpec(Configuration):
    """Population based training (Jaderberg et al. 2017): hyperparameters that change while a trial trains.

    `search.trials` is the size of the population.
    """

    rounds: int = Field(4, ge=2, le=10_000, description="Times that the worst members copy the best, evenly spaced")
    replaced: float = Field(0.25, gt=0, le=0.5, description="Share of the members that are replaced each time")


class SearchSpec(Configuration):
    """How hyperparameters are tuned: the same effort for every arm."""

    mode: Literal["retuned", "inherited", "both"] = Field(
        "retuned", description="Tune every arm, or take the full method's best configuration over, or both"
    )
    strategy: Literal["generations", "asynchronous", "population"] = Field(
        "generations", description="How trials wait for each other; only generations are independent of timing"
    )
    sampler: SamplerName = Field("tpe", description="Optuna's sampler")
    trials: int = Field(6, ge=0, le=100_000, description="Tuning trials of each arm")
    budget: Literal["steps", "trials"] = Field(
        "steps",
        description="What every arm gets: the steps of so many full trials, or the trials, stopped ones included",
    )
    generation: int = Field(
        2, ge=1, le=100_000, description="Suggestions made together, from complete generations only"
    )
    spaces: Names = Field(("thresholds", "loss-weights"), description="Groups from `ablate list spaces`")
    ranges: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Ranges by hyperparameter: {low, high, log}, or {choices}; over those of the groups",
    )
    grid: dict[str, Values] = Field(default_factory=dict, description="sampler grid: the values of each hyperparameter")
    objectives: Names = Field(
        ("val_error",), description="What is minimised; the first decides, several give a Pareto front"
    )
    constraints: Names = Field((), description="Conditions on metrics, such as pseudo_label_coverage >= 0.2")
    start: tuple[dict[str, Value], ...] = Field((), description="Configurations to try right after the defaults")
    warm_start: str | None = Field(
        None, min_length=1, description="Another study whose tuning trials this one learns from"
    )
    confirm: ConfirmSpec = Field(default_factory=lambda: ConfirmSpec(), description="Second looks at the best")
    early_stopping: EarlyStoppingSpec = Field(
        default_factory=lambda: EarlyStoppingSpec(), description="When trials end early"
    )
    population: PopulationSpec = Field(
        default_factory=lambda: PopulationSpec(), description="Of the strategy population"
    )
    seed: int = Field(0, ge=0, le=999_000_000, description="Of the suggestions and of tuning's seed block")

    @field_validator("start", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return _tuple(value)


class EvaluateSpec(Configuration):
    """The seeds on which frozen configurations are compared, in pairs."""

    seeds: int | tuple[int, ...] = Field(6, description="How many seed blocks, or which")
    allow_underpowered: bool = Field(False, description="Run although so few seeds cannot show significance")
    negligible: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Percentage points; a difference shown to be smaller is called negligible, 0: none",
    )
    keep_models: bool = Field(False, description="Keep the network of each cell's first seed, and log it to MLflow")

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


def _gpus(value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected auto or a number, got {describe(value)}")
    if not 0 <= value <= 1024:
        raise ValueError(f"must be from 0 to 1024, got {quoted(value)}")
    if value > 1 and value != int(value):
        raise ValueError(f"a share of a GPU is below 1, and above 1 they are whole; got {value}")
    return float(value)


def _custom(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"expected amounts by name, got {describe(value)}")
    for name, amount in value.items():
        if name in RAYS_OWN or not str(name).strip():
            raise ValueError(f"{quoted(name)} is no custom resource; cpus and gpus have keys of their own")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount <= 1_000_000:
            raise ValueError(f"{name}: expected a number above 0, got {describe(amount)}")
    return {str(name): float(amount) for name, amount in value.items()}


Gpus = Annotated[Literal["auto"] | float, BeforeValidator(_gpus)]
Custom = Annotated[dict[str, float], BeforeValidator(_custom)]


class ArmResourcesSpec(Configuration):
    """What a trial of some arms gets; what is not said is as for the others."""

    cpus: int | None = Field(None, ge=1, le=100_000, description="CPUs of a trial, and its torch threads")
    gpus: Gpus | None = Field(None, description="GPUs of a trial: auto, a share below 1, or whole ones")
    custom: Custom | None = Field(None, description="Custom resources of the cluster, such as {a100: 1}")


class ResourcesSpec(Configuration):
    """What one trial gets, and how many run at once."""

    cpus: int = Field(1, ge=1, le=100_000, description="CPUs of a trial, and its torch threads")
    gpus: Gpus = Field("auto", description="GPUs of a trial: auto, a share below 1, or whole ones")
    custom: Custom = Field(default_factory=dict, description="Custom resources of the cluster, such as {a100: 1}")
    actors: int | None = Field(None, ge=1, le=100_000, description="Trials at once; as many as fit unless given")
    arms: dict[str, ArmResourcesSpec] = Field(
        default_factory=dict, description="Other amounts for an arm, or for all arms of an algorithm, by its name"
    )

    def of(self, *names: str) -> ResourcesSpec:
        """What a trial gets that goes by these names, the most particular one first; `arms` of the result is empty."""
        said = [self.arms[name] for name in names if name in self.arms]
        changes: dict[str, Any] = {"arms": {}}
        for key in ("cpus", "gpus", "custom"):
            value = next((v for one in said if (v := getattr(one, key)) is not None), None)
            if value is not None:
                changes[key] = value
        return self.model_copy(update=changes)
