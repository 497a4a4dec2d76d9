"""What a study wants: its arms, its conditions, and a cell for each pair of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from orchestrator.design.arms import arm_parameters, derive_arms, names_of
from orchestrator.design.cell import Cell
from orchestrator.design.conditions import Condition, conditions_of
from orchestrator.study.spec import StudySpec
from results.records.manifest import ArmInfo, Factorial, LeftOut
from results.records.origins import Origin
from search_spaces import DATA_PREFIX, Range, nearest
from trainables.algorithms import ALGORITHMS
from trainables.data.seed_block import data_fingerprint
from trainables.environment import environment
from trainables.source import source_of
from trainables.specs import DataSpec

WarmStart = Mapping[
    tuple[str, str], tuple[tuple[Mapping[str, Any], ...], tuple[tuple[Mapping[str, Any], tuple[float, ...]], ...]]
]
"""By (arm, condition): configurations to try first, and trials that the sampler knows."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All cells of a study, in table order."""

    study: StudySpec
    arms: tuple[ArmInfo, ...]
    conditions: tuple[Condition, ...]
    cells: tuple[Cell, ...]
    left_out: tuple[LeftOut, ...] = ()
    factorial: Factorial | None = None

    @cached_property
    def trials(self) -> int:
        """Tuning, confirming and evaluation trials of all cells, if no trial is stopped early."""
        total = 0
        for cell in self.cells:
            info = cell.info
            total += info.tuning_trials + info.confirm_top * len(info.confirm_seeds) + len(cell.evaluation_seeds)
        return total

    @property
    def seed_blocks(self) -> list[tuple[DataSpec, int]]:
        """Every (data condition, seed) that a trial needs, each once, tuning first."""
        study = self.study
        tuning = [study.tuning_seed, *study.confirming_seeds] if study.search.trials else []
        blocks = [(c.data, s) for c in self.conditions for s in (*tuning, *study.seed_list)]
        return list({(d.model_dump_json(), s): (d, s) for d, s in blocks}.values())


def make_plan(study: StudySpec, warm: WarmStart | None = None) -> Plan:
    """Derive arms, conditions and cells; reads all images once, for their fingerprints.

    Args:
        study: A checked study.
        warm: What another study's ledger tells, see `warm_start.py`.

    Raises DatasetMissing or DatasetDamaged where the images cannot be read.
    """
    derived = derive_arms(study)
    conditions = conditions_of(study)
    prints = {data: data_fingerprint(data) for data in {c.data for c in conditions}}
    sources = {name: source_of(name) for name in {a.algorithm for a in derived.arms}}
    computing = environment()
    cells = [
        _cell(study, arm, condition, Origin(sources[arm.algorithm], computing, prints[condition.data]), warm or {})
        for condition, arm in product(conditions, derived.arms)
    ]
    return Plan(
        study=study,
        arms=derived.arms,
        conditions=conditions,
        cells=tuple(cells),
        left_out=derived.left_out,
        factorial=derived.factorial,
    )


def _cell(study: StudySpec, arm: ArmInfo, condition: Condition, origin: Origin, warm: WarmStart) -> Cell:
    defaults = {**study.constants(arm.algorithm), **arm.values}
    space = study.searched(arm.algorithm, arm.off, arm.values)
    inherits = arm.tuning == "inherited" and bool(study.search.trials)
    earlier, known = warm.get((arm.name, condition.info.name), ((), ()))
    return Cell(
        arm=arm,
        condition=condition,
        defaults=defaults,
        space={} if inherits else space,
        search=study.search,
        start=() if inherits else _start(study, {**_data_values(condition), **defaults}, space, earlier),
        warm=() if inherits else known,
        tuning_seed=study.tuning_seed,
        confirming_seeds=study.confirming_seeds,
        evaluation_seeds=study.seed_list,
        threads=study.resources.of(*names_of(arm)).cpus,
        origin=origin,
        inherits=ALGORITHMS[study.method].name if inherits else "",
        takes=_takes(study, arm) if inherits else (),
    )


def _takes(study: StudySpec, arm: ArmInfo) -> tuple[str, ...]:
    """Fields of the full method's search that mean something in the arm and that it does not fix itself."""
    exists = set(arm_parameters(arm)) - set(arm.values)
    return tuple(name for name in study.searched(study.method, study.off) if name in exists)


def _data_values(condition: Condition) -> dict[str, Any]:
    return {f"{DATA_PREFIX}{name}": value for name, value in dict(condition.data).items()}


def _start(
    study: StudySpec, defaults: Mapping[str, Any], space: Mapping[str, Range], earlier: tuple[Mapping[str, Any], ...]
) -> tuple[Mapping[str, Any], ...]:
    """The first suggestions: every point of a grid, or the defaults, the study's own starts, and an earlier study's best.

    A default that the study's range leaves out stands at the nearest value that it has.
    """
    if not space:
        return ()
    own = {name: defaults[name] for name in space}
    if study.search.sampler == "grid":
        values = [study.search.grid[name] for name in space]
        points = [dict(zip(space, point, strict=True)) for point in product(*values)]
        return tuple(sorted(points, key=lambda point: point != own))
    own = {name: nearest(space[name], value) for name, value in own.items()}
    starts = [own]
    for point in (*study.search.start, *earlier):
        known = {name: nearest(space[name], value) for name, value in point.items() if name in space}
        if known:
            starts.append({**own, **known})
    distinct = {repr(sorted(s.items())): s for s in reversed(starts)}
    return tuple(s for s in starts if distinct.get(repr(sorted(s.items()))) is s)
