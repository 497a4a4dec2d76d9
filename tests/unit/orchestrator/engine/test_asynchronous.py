from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from results.analysis.main_table import main_table, select_records
from results.records.selection import charge
from tests.unit.orchestrator.worlds import World, manifest_of, plan_of, run

law = settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
searches = st.fixed_dictionaries(
    {
        "strategy": st.just("asynchronous"),
        "sampler": st.sampled_from(["tpe", "random", "qmc"]),
        "trials": st.integers(1, 8),
        "budget": st.sampled_from(["steps", "trials"]),
        "early_stopping": st.fixed_dictionaries(
            {
                "rule": st.sampled_from(["asha", "median", "none"]),
                "after": st.just(0.0),
                "keep": st.sampled_from([0.25, 0.5]),
            }
        ),
        "ranges": st.sampled_from([{}, {"threshold": {"choices": [0.9, 0.95]}}]),
        "confirm": st.sampled_from([{"top": 0}, {"top": 2, "seeds": 1}]),
        "mode": st.sampled_from(["retuned", "inherited"]),
    }
).map(lambda s: {**s, "spaces": [] if s["ranges"] else ["thresholds", "loss-weights"]})
worlds = st.builds(World, failing=st.sampled_from([0.0, 0.2]), salt=st.integers(0, 3))


@law
@given(searches, worlds, st.integers(0, 2**32))
def test_budgets_hold_and_nothing_runs_twice_however_often_it_is_killed(
    search: dict[str, Any], world: World, seed: int
) -> None:
    plan, chance, records = plan_of(search=search), random.Random(seed), []
    for _ in range(chance.randrange(4)):
        records = run(
            plan, records, world=world, actors=chance.randint(1, 5), order=chance, events=chance.randrange(40)
        ).records
    done = run(plan, records, world=world, actors=chance.randint(1, 5), order=chance)
    assert done.state.done
    assert done.state.remaining == 0
    assert max(Counter(r.trial_id for r in done.records).values()) == 1
    for state in done.state.cells:
        info = state.cell.info
        assert len(state.tuning) <= info.most_trials
        spent = sum(charge(info, r) for r in state.tuning)
        if info.unit == "steps":
            assert spent <= info.tuning_trials * info.trial_steps
        else:
            assert len(state.tuning) <= info.tuning_trials
        if not search["ranges"] and info.unit == "steps":
            left = info.tuning_trials * info.trial_steps - spent
            assert left < info.trial_steps or len(state.tuning) == info.most_trials
        suggestions = [str(sorted(r.suggested.items())) for r in state.tuning]
        assert len(set(suggestions)) == len(suggestions)
    assert not run(plan, done.records, world=world).started


@law
@given(searches, worlds, st.integers(0, 2**32))
def test_tables_read_the_ledger_as_the_driver_does(search: dict[str, Any], world: World, seed: int) -> None:
    plan = plan_of(search=search)
    done = run(plan, world=world, actors=3, order=random.Random(seed))
    selected = select_records(manifest_of(plan), done.records)
    for state in done.state.cells:
        cell = selected[state.cell.key]
        assert {r.trial_id for r in cell.tuning} == {r.trial_id for r in state.tuning}
        assert {r.trial_id for r in cell.evaluation} == {r.trial_id for r in state.evaluation}
        assert (cell.choice and cell.choice.best.trial_id) == (state.choice and state.choice.best.trial_id)
    rows = main_table(manifest_of(plan), done.records).conditions[0].rows
    assert all("asynchronous search" in r.marks for r in rows if r.tuning.planned)


def test_asha_stops_the_weak_and_lets_more_start() -> None:
    search = {
        "strategy": "asynchronous",
        "sampler": "random",
        "trials": 12,
        "early_stopping": {"rule": "asha", "keep": 0.34, "after": 0.0},
    }
    plan = plan_of(search=search, ablation={"design": "none"}, baselines=[])
    done = run(plan, actors=4, order=random.Random(1))
    [state] = done.state.cells
    by_status = Counter(r.status for r in state.tuning)
    assert by_status["pruned"] > by_status["completed"] > 0
    assert len(state.tuning) > 12
    stopped = [r for r in state.tuning if r.status == "pruned"]
    best = min(r.metrics["val_error"] for r in state.tuning if r.status == "completed")
    assert all(r.metrics["val_error"] > best for r in stopped)


def test_a_space_that_is_used_up_ends_the_search() -> None:
    search = {"strategy": "asynchronous", "sampler": "random", "trials": 9, "spaces": []}
    plan = plan_of(search={**search, "ranges": {"threshold": {"choices": [0.8, 0.9, 0.95]}}})
    done = run(plan, actors=4, order=random.Random(1))
    assert done.state.done
    assert all(len(s.tuning) == 3 for s in done.state.cells)
