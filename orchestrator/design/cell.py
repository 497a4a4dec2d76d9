"""A cell: arm × condition, with all that decides what its trials are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.design.arms import arm_parameters
from orchestrator.design.conditions import Condition
from orchestrator.study.sections import SearchSpec
from results.records.manifest import ArmInfo, CellInfo, RangeInfo
from results.records.origins import Origin
from search_spaces import Choice, Range, data_fields
from trainables.configuration import content_hash
from trainables.specs import DataSpec, Phase, Stage, TrialSpec

StopLimits = tuple[tuple[int, float], ...]
"""(step, score): a trial that is worse than that there stops."""

MOST_TRIALS = 4
"""Trials that may start for each that is granted, however early the stopped ones ended."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Arm × condition: tuned together, one number with an interval."""

    arm: ArmInfo
    condition: Condition
    defaults: Mapping[str, Any]
    """Complete configuration where nothing is searched; the arm's own values are in it."""
    space: Mapping[str, Range]
    """Empty where nothing is searched or the configuration is taken over."""
    search: SearchSpec
    start: tuple[Mapping[str, Any], ...] = ()
    """Configurations to try before the sampler is asked: the defaults, then the study's own, then an earlier study's best."""
    warm: tuple[tuple[Mapping[str, Any], tuple[float, ...]], ...] = ()
    """(configuration, objectives) of another study's trials that the sampler knows from the start."""
    tuning_seed: int
    confirming_seeds: tuple[int, ...] = ()
    evaluation_seeds: tuple[int, ...]
    threads: int
    origin: Origin
    inherits: str = ""
    """The arm whose chosen configuration is taken over; empty where the cell is tuned itself."""
    takes: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Hash of arm and condition; not of the training source and data, which records carry beside it."""
        return content_hash(
            {
                "algorithm": self.arm.algorithm,
                "off": list(self.arm.off),
                "defaults": dict(self.defaults),
                "data": self.condition.data.identity(),
                "training": self.condition.training.values(),
                "threads": self.threads,
            }
        )

    @property
    def key(self) -> tuple[str, str]:
        """(arm, condition): what tables find a cell by; two cells of one identity differ in how they are tuned."""
        return self.arm.name, self.condition.info.name

    @cached_property
    def search_id(self) -> str:
        """Hash of all that decides which trial is suggested or stopped; not of how many there are."""
        search = self.search
        return content_hash(
            {
                "cell": self.id,
                "space": {name: [type(r).__name__, repr(r)] for name, r in self.space.items()},
                "strategy": search.strategy,
                "population": search.population.values() if search.strategy == "population" else None,
                "generation": self.generation,
                "sampler": search.sampler,
                "stopping": search.early_stopping.values(),
                "objectives": list(search.objectives),
                "constraints": list(search.constraints),
                "start": [dict(s) for s in self.start],
                "warm": [[dict(values), list(found)] for values, found in self.warm],
                "seeds": [search.seed, self.tuning_seed],
            }
        )

    @cached_property
    def confirm_id(self) -> str:
        """What the records of the confirmation carry: its trials depend on configuration and seed alone."""
        return content_hash({"cell": self.id, "confirm": True})

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Configuration fields that mean something in the arm."""
        return arm_parameters(self.arm)

    @property
    def generation(self) -> int:
        """Suggestions in a generation; 0 where the search is asynchronous."""
        match self.search.strategy:
            case "generations":
                return self.search.generation
            case "population":
                return self.search.trials
            case _:
                return 0

    @property
    def name(self) -> str:
        """For people: `rsmatch-without-queue on digits-2l-50s`."""
        return f"{self.arm.name} on {self.condition.info.name}"

    @cached_property
    def tuning_trials(self) -> int:
        """Full trials that tuning may cost."""
        if self.inherits or not self.search.trials:
            return 0
        return self._limit(self.search.trials)

    @cached_property
    def most_trials(self) -> int:
        """Trials that may start at most."""
        return self._limit(MOST_TRIALS * self.search.trials)

    def _limit(self, trials: int) -> int:
        if not self.space:
            return min(1, trials)
        return min(trials, len(self.start)) if self.search.sampler == "grid" else trials

    @cached_property
    def info(self) -> CellInfo:
        """As the manifest keeps it."""
        tuned = self.tuning_trials > 0
        population = self.search.strategy == "population" and bool(self.space)
        rounds = self.search.population.rounds if population else 1
        return CellInfo(
            cell=self.id,
            arm=self.arm.name,
            condition=self.condition.info.name,
            origin=self.origin,
            defaults=self.defaults,
            space={name: _range_info(found) for name, found in self.space.items()} if tuned else {},
            search=self.search_id if tuned else "",
            confirm=self.confirm_id if tuned else "",
            tuning_seed=self.tuning_seed,
            tuning_trials=self.tuning_trials * rounds,
            generation=self.generation,
            most_trials=self.most_trials * rounds,
            trial_steps=self.condition.training.steps,
            unit="trials" if population else self.search.budget,
            objectives=self.search.objectives,
            constraints=self.search.constraints,
            confirm_top=self.search.confirm.top if self.space else 0,
            confirm_seeds=self.confirming_seeds if self.space else (),
            inherits=self.inherits,
            takes=self.takes,
        )

    def _data(self, changes: Mapping[str, Any]) -> DataSpec:
        """The condition's data; where the search chose the number of labels, validated on as many images as without."""
        data = self.condition.data
        if not changes:
            return data
        return DataSpec(**{**dict(data), "validation_per_class": data.validation_size, **changes})

    def trial(
        self,
        suggested: Mapping[str, Any],
        seed: int,
        phase: Phase,
        *,
        search: str = "",
        stop_above: StopLimits = (),
    ) -> TrialSpec:
        """The trial of this cell with these searched values; `search` is what a tuning trial's record carries.

        `suggested` may have `stages`, the hyperparameters over time that a population arrived at.
        """
        values, data = data_fields({name: value for name, value in suggested.items() if name != "stages"})
        return TrialSpec(
            algorithm=self.arm.algorithm,
            off=self.arm.off,
            hyperparameters={**self.defaults, **values},
            data=self._data(data),
            training=self.condition.training,
            seed=seed,
            phase=phase,
            search=search,
            threads=self.threads,
            stop_above=stop_above,
            fingerprint=self.origin.fingerprint,
            environment=self.origin.environment,
            source=self.origin.source,
            stages=tuple(Stage(**stage) for stage in suggested.get("stages", ())),
        )


def _range_info(found: Range) -> RangeInfo:
    if isinstance(found, Choice):
        return RangeInfo(choices=found.values)
    return RangeInfo(low=found.low, high=found.high, log=found.log)
