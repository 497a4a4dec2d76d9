"""What one cell's sampler is told, and that the same history gives the same suggestion however it came to be known."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.trial import TrialState

from orchestrator.design.cell import Cell
from orchestrator.engine.search import CellSearch
from results.records.manifest import RangeInfo
from results.records.trial_record import TrialRecord
from tests.unit.orchestrator.worlds import World, plan_of, run

SAMPLERS = ("tpe", "random", "qmc", "cma-es", "nsga-ii", "gp")


def searched(failing: float = 0.2, **search: Any) -> tuple[Cell, list[TrialRecord]]:
    """The full method's cell and its tuning trials."""
    settings = {
        "trials": 9,
        "generation": 3,
        "budget": "trials",
        "early_stopping": {"rule": "median", "after": 0.0},
        **search,
    }
    plan = plan_of(ablation={"design": "none"}, baselines=[], search=settings)
    done = run(plan, world=World(failing=failing, salt=2))
    return plan.cells[0], done.state.cells[0].tuning


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_is_rebuilt_goes_on_as_the_one_that_ran(sampler: str) -> None:
    cell, records = searched(sampler=sampler)
    for known in (0, 3, 6):
        rebuilt = CellSearch(cell)
        for record in records[known : known + 3]:
            assert rebuilt.suggest(records[:known], record.number) == record.suggested


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_suggestions_lie_in_their_ranges_and_differ_by_seed(sampler: str) -> None:
    found = []
    for seed in (0, 1):
        cell, records = searched(sampler=sampler, seed=seed)
        found.append([dict(r.suggested) for r in records])
        for record in records:
            for name, value in record.suggested.items():
                assert cell.space[name].low <= value <= cell.space[name].high  # type: ignore[union-attr]
    assert found[0][0] == found[1][0] == {n: cell.defaults[n] for n in cell.space}
    assert found[0][1:] != found[1][1:]


def test_a_stopped_trial_is_told_as_pruned_with_its_values_and_a_failed_one_as_failed() -> None:
    cell, records = searched(0.45)
    assert {r.status for r in records} == {"completed", "pruned", "failed"}
    search = CellSearch(cell)
    search.suggest(records, len(records))
    states = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for record, trial in zip(records, search._study.trials, strict=False):
        assert trial.state == states[record.status]
        assert trial.params == dict(record.suggested)
        assert trial.intermediate_values == dict(record.curves.get("val_error", ()))
        if record.status == "completed":
            assert trial.values == [record.metrics["val_error"]]


def test_constraints_and_several_objectives_are_told() -> None:
    settings = {"objectives": ["val_error", "seconds"], "early_stopping": {"rule": "none"}}
    cell, records = searched(0.0, constraints=["pseudo_label_coverage >= 0.4"], **settings)
    search = CellSearch(cell)
    search.suggest(records, len(records))
    for record, trial in zip(records, search._study.trials, strict=False):
        assert trial.values == [record.metrics["val_error"], record.seconds]
        assert trial.constraints == {
            "pseudo_label_coverage": pytest.approx(0.4 - record.metrics["pseudo_label_coverage"])
        }


def test_within_a_generation_every_suggestion_differs() -> None:
    _, records = searched(sampler="tpe", generation=4, trials=8)
    assert len({str(r.suggested) for r in records}) == len(records)


def test_an_off_components_parameters_are_not_suggested() -> None:
    plan = plan_of(ablation={"components": ["detector"]}, search={"spaces": ["thresholds", "loss-weights", "detector"]})
    spaces = {c.arm.name: set(c.space) for c in plan.cells}
    assert spaces["rsmatch-without-detector"] == spaces["fixmatch"] == {"threshold", "unlabelled_weight"}
    assert spaces["rsmatch"] > spaces["fixmatch"]


def test_the_report_learns_what_was_searched() -> None:
    ranges = {"threshold": {"low": 0.5, "high": 0.9}, "queue_size": {"low": 4, "high": 8, "log": True}}
    cell, records = searched(spaces=["thresholds", "detector"], ranges=ranges)
    known = cell.info.space
    assert set(known) == set(cell.space) == set(records[0].suggested)
    assert known["threshold"] == RangeInfo(low=0.5, high=0.9)
    assert known["queue_size"] == RangeInfo(low=4, high=8, log=True)
    assert known["queue_size"].whole
    assert all(known[name].holds(value) for r in records for name, value in r.suggested.items())
    assert not any(known[name].holds(value) for name, value in {"threshold": 0.95, "queue_size": True}.items())
    choices, _ = searched(ranges={"threshold": {"choices": [0.5, 0.9]}})
    assert choices.info.space["threshold"] == RangeInfo(choices=(0.5, 0.9))
    assert plan_of(search={"trials": 0}).cells[0].info.space == {}
