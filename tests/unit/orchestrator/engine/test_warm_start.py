from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.common.errors import AblateError
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.search import CellSearch
from orchestrator.engine.warm_start import FILE_NAME, NoWarmStart, warm_start
from results.ledger.ledger import Ledger
from tests.unit.orchestrator.worlds import World, manifest_of, run, study

WORLD = World(salt=1)


def has_run(runs: Path, name: str = "other", **changes: Any) -> Plan:
    """A study that has run in this folder."""
    plan = make_plan(study(study=name, **changes))
    ledger = Ledger(runs / name / "ledger")
    for record in run(plan, world=WORLD).records:
        ledger.append(record)
    manifest_of(plan).save(runs / name)
    return plan


def warmed(runs: Path, *, write: bool = False, **changes: Any) -> Plan:
    search = {"warm_start": "other", **changes.pop("search", {})}
    spec = study(search=search, **changes)
    return make_plan(spec, warm_start(spec, runs, write=write))


def test_under_the_same_condition_the_sampler_knows_the_other_trials(tmp_path: Path) -> None:
    has_run(tmp_path, search={"trials": 6})
    plan = warmed(tmp_path)
    completed = [
        r for r in Ledger(tmp_path / "other/ledger").records() if r.phase == "tune" and r.status == "completed"
    ]
    for cell in plan.cells:
        mine = [r for r in completed if r.arm == cell.arm.name]
        assert {json.dumps(dict(v), sort_keys=True) for v, _ in cell.warm} == {
            json.dumps(dict(r.config), sort_keys=True) for r in mine
        }
        assert sorted(found for _, (found,) in cell.warm) == sorted(r.metrics["val_error"] for r in mine)
        assert len(cell.start) == 1  # the defaults, as ever
        assert len(CellSearch(cell)._study.trials) == len(mine)
    cold = make_plan(study())
    assert [c.id for c in cold.cells] == [c.id for c in plan.cells]
    assert all(a.search_id != b.search_id for a, b in zip(cold.cells, plan.cells, strict=True))
    done = run(plan, world=WORLD)
    assert done.state.done
    assert not run(plan, done.records, world=WORLD).started


def test_under_another_condition_the_best_are_tried_first(tmp_path: Path) -> None:
    has_run(tmp_path, data={"contamination": 0.0}, search={"trials": 6, "early_stopping": {"rule": "none"}})
    plan = warmed(tmp_path)
    records = [r for r in Ledger(tmp_path / "other/ledger").records() if r.phase == "tune" and r.status == "completed"]
    for cell in plan.cells:
        ranked = sorted((r for r in records if r.arm == cell.arm.name), key=lambda r: r.metrics["val_error"])
        best = [dict(r.suggested) for r in ranked[:3]]
        assert not cell.warm
        assert [s for s in cell.start[1:] if s not in best] == []
        assert all(b in cell.start for b in best)
    done = run(plan, world=WORLD)
    for state in done.state.cells:
        tried = [dict(r.suggested) for r in state.tuning[: len(state.cell.start)]]
        assert tried == [dict(s) for s in state.cell.start]


def test_what_was_learnt_stays_when_the_other_study_grows(tmp_path: Path) -> None:
    has_run(tmp_path, search={"trials": 3})
    first = warmed(tmp_path, write=True)
    has_run(tmp_path, search={"trials": 8})
    assert [c.search_id for c in warmed(tmp_path).cells] == [c.search_id for c in first.cells]
    (tmp_path / "world" / FILE_NAME).unlink()
    assert [c.search_id for c in warmed(tmp_path).cells] != [c.search_id for c in first.cells]


def test_planning_leaves_nothing_behind(tmp_path: Path) -> None:
    has_run(tmp_path)
    warmed(tmp_path)
    assert not (tmp_path / "world").exists()


def test_an_arm_learns_from_the_same_arm_alone(tmp_path: Path) -> None:
    has_run(tmp_path, ablation={"design": "none"}, baselines=[])
    plan = warmed(tmp_path)
    assert [bool(c.warm) for c in plan.cells] == [True, False, False]


def test_values_outside_this_studys_ranges_are_not_told(tmp_path: Path) -> None:
    has_run(tmp_path, search={"trials": 6, "early_stopping": {"rule": "none"}})
    plan = warmed(tmp_path, search={"ranges": {"threshold": {"low": 0.9, "high": 0.99}}})
    told = [len(CellSearch(c)._study.trials) for c in plan.cells]
    within = [sum(0.9 <= v["threshold"] <= 0.99 for v, _ in c.warm) for c in plan.cells]
    assert told == within
    assert sum(told) < sum(len(c.warm) for c in plan.cells)
    assert run(plan, world=WORLD).state.done


def test_a_study_that_has_not_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoWarmStart, match=r"no study 'other' has run in .*; run it first, or remove the key"):
        warmed(tmp_path)


def test_a_damaged_manifest_is_a_sentence(tmp_path: Path) -> None:
    has_run(tmp_path)
    (tmp_path / "other" / "study.json").write_text("{")
    with pytest.raises(AblateError, match=r"study\.json"):
        warmed(tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"study": "other"}', '{"study": "other", "cells": 3}', '{"study": "other", "cells": [3]}']
)
def test_a_damaged_note_is_a_sentence(tmp_path: Path, content: str) -> None:
    has_run(tmp_path)
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / FILE_NAME).write_text(content)
    with pytest.raises(AblateError, match=r"warm_start\.json: not what a run writes .*; remove it, and run again"):
        warmed(tmp_path)


def test_without_the_key_nothing_is_read(tmp_path: Path) -> None:
    assert warm_start(study(), tmp_path) is None
