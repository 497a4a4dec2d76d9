"""What a study wants: its cells, and for each what a trial of it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.arms import derive_arms
from orchestrator.stopping import StopLimits
from orchestrator.study import StudySpec
from results.manifest import ArmInfo, CellInfo, ConditionInfo
from search_spaces import Range, space_of
from trainables.configuration import content_hash
from trainables.data import DATASETS
from trainables.data.seed_block import load_dataset
from trainables.source import source_hash
from trainables.specs import DataSpec, Phase, TrainingSpec, TrialSpec


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One column: what data and how trained."""

    data: DataSpec
    training: TrainingSpec

    @cached_property
    def info(self) -> ConditionInfo:
        """Name, title and fields as the report shows them."""
        data = self.data
        percent = f"{100 * data.contamination:g}"
        return ConditionInfo(
            name=f"{data.dataset}-{data.labels_per_class}l-{percent.replace('.', '_')}s",
            title=f"{DATASETS[data.dataset].title}, {data.labels_per_class} labels per class, {percent} % synthetic",
            fields={**data.values(), **self.training.values()},
        )


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Arm × condition: tuned together, one number with an interval."""

    arm: ArmInfo
    condition: Condition
    defaults: Mapping[str, Any]
    """Complete configuration where nothing is searched."""
    space: Mapping[str, Range]
    tuning_trials: int
    generation: int
    sampler: str
    stopping_rule: str
    stopping_after: float
    search_seed: int
    tuning_seed: int
    evaluation_seeds: tuple[int, ...]
    threads: int
    fingerprint: str
    source: str

    @cached_property
    def id(self) -> str:
        """Hash of arm, condition, data and training source."""
        return content_hash(
            {
                "algorithm": self.arm.algorithm,
                "off": list(self.arm.off),
                "defaults": dict(self.defaults),
                "data": self.condition.data.values(),
                "training": self.condition.training.values(),
                "threads": self.threads,
                "fingerprint": self.fingerprint,
                "source": self.source,
            }
        )

    @cached_property
    def search_id(self) -> str:
        """Hash of all that decides which trial is suggested or stopped; not of how many there are."""
        return content_hash(
            {
                "cell": self.id,
                "space": {name: [type(r).__name__, repr(r)] for name, r in self.space.items()},
                "generation": self.generation,
                "sampler": self.sampler,
                "stopping": [self.stopping_rule, self.stopping_after],
                "seeds": [self.search_seed, self.tuning_seed],
            }
        )

    @property
    def name(self) -> str:
        """For people: `rsmatch-without-queue on digits-2l-50s`."""
        return f"{self.arm.name} on {self.condition.info.name}"

    @property
    def info(self) -> CellInfo:
        """As the manifest keeps it."""
        return CellInfo(
            cell=self.id,
            arm=self.arm.name,
            condition=self.condition.info.name,
            search=self.search_id,
            tuning_trials=self.tuning_trials,
        )

    def trial(self, suggested: Mapping[str, Any], seed: int, phase: Phase, stop_above: StopLimits = ()) -> TrialSpec:
        """The trial of this cell with these searched values."""
        return TrialSpec(
            algorithm=self.arm.algorithm,
            off=tuple(sorted(self.arm.off)),
            hyperparameters={**self.defaults, **suggested},
            data=self.condition.data,
            training=self.condition.training,
            seed=seed,
            phase=phase,
            search=self.search_id if phase == "tune" else "",
            threads=self.threads,
            stop_above=stop_above,
            fingerprint=self.fingerprint,
            source=self.source,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All cells of a study, in table order."""

    study: StudySpec
    arms: tuple[ArmInfo, ...]
    cells: tuple[Cell, ...]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions, each once, in order."""
        return tuple({c.condition.info.name: c.condition for c in self.cells}.values())

    @property
    def trials(self) -> int:
        """Tuning and evaluation trials of all cells."""
        return sum(c.tuning_trials + len(c.evaluation_seeds) for c in self.cells)

    @property
    def seed_blocks(self) -> list[tuple[DataSpec, int]]:
        """Every (data condition, seed) that a trial needs, each once, tuning first."""
        seeds = [self.study.tuning_seed] if self.study.search.trials else []
        return [(c.data, s) for c in self.conditions for s in (*seeds, *self.study.seed_list)]


def make_plan(study: StudySpec) -> Plan:
    """Derive arms and cells; reads the dataset once, for its fingerprint.

    Raises DatasetMissing or DatasetDamaged where the images cannot be read.
    """
    arms = derive_arms(study)
    condition = Condition(data=study.data, training=study.training)
    _, _, fingerprint = load_dataset(study.data.dataset)
    cells = []
    for arm in arms:
        fixed = study.hyperparameters.get(arm.algorithm, {})
        space = space_of(arm.algorithm, arm.off, study.search.spaces, fixed)
        cells.append(
            Cell(
                arm=arm,
                condition=condition,
                defaults=study.constants(arm.algorithm),
                space=space,
                tuning_trials=study.search.trials if space else min(1, study.search.trials),
                generation=study.search.generation,
                sampler=study.search.sampler,
                stopping_rule=study.search.early_stopping.rule,
                stopping_after=study.search.early_stopping.after,
                search_seed=study.search.seed,
                tuning_seed=study.tuning_seed,
                evaluation_seeds=study.seed_list,
                threads=study.resources.cpus,
                fingerprint=fingerprint,
                source=source_hash(),
            )
        )
    return Plan(study=study, arms=arms, cells=tuple(cells))
