"""The engine against a world without training: the answer must not depend on order, on the number of actors, or on being killed."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from orchestrator.design.plan import Plan
from orchestrator.engine.state import StudyState
from results.analysis.main_table import main_table, select_records
from results.records.selection import charge
from tests.unit.orchestrator.worlds import World, choices, facts, manifest_of, plan_of, run

law = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)

QUICK = ("random", "tpe", "qmc")
SLOW = ("cma-es", "nsga-ii", "gp")
GRID = {"threshold": [0.75, 0.9, 0.95], "unlabelled_weight": [0.5, 1.0]}


def early_stopping() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "rule": st.sampled_from(["median", "quantile", "none"]),
            "after": st.sampled_from([0.0, 0.3, 0.9]),
            "keep": st.sampled_from([0.2, 0.5, 1.0]),
        }
    )


def searches(samplers: tuple[str, ...] = QUICK) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "sampler": st.sampled_from(samplers),
            "trials": st.integers(0, 7),
            "generation": st.integers(1, 4),
            "budget": st.sampled_from(["steps", "trials"]),
            "mode": st.sampled_from(["retuned", "inherited", "both"]),
            "early_stopping": early_stopping(),
            "confirm": st.sampled_from([{"top": 0}, {"top": 2, "seeds": 2}, {"top": 9, "seeds": 1}]),
            "seed": st.integers(0, 3),
            "ranges": st.sampled_from([{}, {"threshold": {"choices": [0.9, 0.95]}}]),
            "constraints": st.sampled_from([[], ["pseudo_label_coverage >= 0.4"]]),
        }
    ).map(lambda s: {**s, "spaces": ["thresholds"] if s["ranges"] else ["thresholds", "loss-weights"]})


def studies(samplers: tuple[str, ...] = QUICK) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "search": searches(samplers),
            "ablation": st.sampled_from([{"components": ["queue"]}, {"design": "none"}, {"components": ["detector"]}]),
            "conditions": st.sampled_from([(), {"data.contamination": [0.0, 0.5]}]),
            "training": st.sampled_from([{"steps": 24, "reports": 6}, {"steps": 5, "reports": 3}]),
        }
    )


worlds = st.builds(World, failing=st.sampled_from([0.0, 0.2, 0.9]), salt=st.integers(0, 5))


def end_of(plan: Plan, **options: Any) -> dict[str, Any]:
    """All that a run may not let depend on timing."""
    done = run(plan, **options)
    assert done.state.done
    assert done.state.remaining == 0
    return answer(plan, done)


def answer(plan: Plan, done: Any) -> dict[str, Any]:
    return {
        "records": facts(done.state.records().values()),
        "choices": choices(done.state),
        "table": main_table(manifest_of(plan), done.records).answers(),
    }


def in_pieces(plan: Plan, world: World, seed: int) -> Any:
    """Run with some actors in some order, killed again and again, only records kept."""
    chance = random.Random(seed)
    records: list[Any] = []
    began: Counter[str] = Counter()
    for _ in range(chance.randrange(4)):
        done = run(plan, records, world=world, actors=chance.randint(1, 5), order=chance, events=chance.randrange(40))
        records = done.records
        began.update(r.trial_id for r in done.new)
    done = run(plan, records, world=world, actors=chance.randint(1, 5), order=chance)
    began.update(r.trial_id for r in done.new)
    assert max(began.values(), default=1) == 1  # no trial is recorded twice
    ids = Counter(r.trial_id for r in done.records)
    assert max(ids.values(), default=1) == 1
    return done


@law
@given(studies(), worlds, st.integers(0, 2**32))
def test_order_actors_and_kills_change_nothing(changes: dict[str, Any], world: World, seed: int) -> None:
    plan = plan_of(**changes)
    done = in_pieces(plan, world, seed)
    assert answer(plan, done) == end_of(plan, world=world)


@settings(law, max_examples=6)
@given(studies(SLOW), worlds, st.integers(0, 2**32))
def test_slow_samplers_too(changes: dict[str, Any], world: World, seed: int) -> None:
    plan = plan_of(**changes)
    done = in_pieces(plan, world, seed)
    assert answer(plan, done) == end_of(plan, world=world)


@settings(law, max_examples=8)
@given(worlds, st.integers(0, 2**32), st.sampled_from(["tpe", "nsga-ii", "random", "qmc"]))
def test_several_objectives_too(world: World, seed: int, sampler: str) -> None:
    search = {
        "sampler": sampler,
        "objectives": ["val_error", "seconds"],
        "early_stopping": {"rule": "none"},
        "trials": 6,
    }
    plan = plan_of(search=search)
    done = in_pieces(plan, world, seed)
    assert answer(plan, done) == end_of(plan, world=world)


@settings(law, max_examples=8)
@given(worlds, st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 4))
def test_a_grid_too(world: World, seed: int, trials: int, generation: int) -> None:
    space = {"spaces": [], "ranges": {n: {"choices": v} for n, v in GRID.items()}, "grid": GRID, "sampler": "grid"}
    plan = plan_of(search={**space, "trials": trials, "generation": generation})
    done = in_pieces(plan, world, seed)
    assert answer(plan, done) == end_of(plan, world=world)
    for cell in done.state.cells:
        assert len({str(r.suggested) for r in cell.tuning}) == len(cell.tuning)


@law
@given(studies(), worlds)
def test_the_tables_read_the_ledger_as_the_driver_does(changes: dict[str, Any], world: World) -> None:
    plan = plan_of(**changes)
    ended = run(plan, world=world)
    for events in (0, 7, 19, None):
        done = run(plan, world=world, actors=3, order=random.Random(1), events=events)
        selected = select_records(manifest_of(plan), done.records)
        for state in done.state.cells:
            cell = selected[state.cell.key]
            assert [r.trial_id for r in cell.tuning] == [r.trial_id for r in state.tuning]
            if state.stage in ("evaluating", "done"):
                assert facts(cell.evaluation) == facts(state.evaluation)
                assert (cell.choice is None) == (state.choice is None)
                if cell.choice is not None and state.choice is not None:
                    assert cell.choice.best.trial_id == state.choice.best.trial_id
                    assert cell.choice.val_error == state.choice.val_error
    assert (
        main_table(manifest_of(plan), ended.records).answers() == main_table(manifest_of(plan), done.records).answers()
    )


@law
@given(studies(), worlds, st.integers(0, 2**32))
def test_no_cell_spends_more_than_its_budget_or_leaves_a_full_trial(
    changes: dict[str, Any], world: World, seed: int
) -> None:
    plan = plan_of(**changes)
    done = run(plan, world=world, actors=3, order=random.Random(seed))
    for state in done.state.cells:
        info = state.cell.info
        spent = sum(charge(info, r) for r in state.tuning)
        assert len(state.tuning) <= info.most_trials
        if info.unit == "trials":
            assert len(state.tuning) == info.tuning_trials
        else:
            assert spent <= info.tuning_trials * info.trial_steps
            left = info.tuning_trials * info.trial_steps - spent
            assert left < info.trial_steps or len(state.tuning) == info.most_trials
        assert [r.number for r in state.tuning] == list(range(len(state.tuning)))


@law
@given(studies(), worlds, st.integers(0, 2**32))
def test_what_remains_falls_to_nothing_exactly_at_the_end(changes: dict[str, Any], world: World, seed: int) -> None:
    def check(done: Any) -> None:
        assert (done.state.remaining == 0) == done.state.done
        assert done.state.remaining >= len(done.driver.running)

    plan = plan_of(**changes)
    done = run(plan, world=world, actors=3, order=random.Random(seed), check=check)
    assert done.state.done
    assert all(c.stage in ("done", "blocked") for c in done.state.cells)


def test_equal_suggestions_take_the_outcome_over_and_are_not_run() -> None:
    search = {"spaces": [], "ranges": {"threshold": {"choices": [0.9, 0.95]}}, "sampler": "random", "trials": 6}
    plan = plan_of(search={**search, "budget": "trials", "early_stopping": {"rule": "none"}})
    done = run(plan, actors=3)
    for state in done.state.cells:
        originals = [r for r in state.tuning if r.same_as is None]
        assert len(originals) == 2
        assert len(state.tuning) == 6
        for copy in (r for r in state.tuning if r.same_as):
            original = next(r for r in originals if r.trial_id == copy.same_as)
            assert (copy.metrics, copy.suggested, copy.status) == (
                original.metrics,
                original.suggested,
                original.status,
            )
            assert (copy.steps, copy.seconds) == (0, 0)
    assert len(done.started) == 3 * (2 + 2)


EXTENSIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"search": {"trials": 3}}, {"search": {"trials": 8}}),
    ({"search": {"trials": 3, "budget": "trials"}}, {"search": {"trials": 7, "budget": "trials"}}),
    ({"evaluate": {"seeds": 2}}, {"evaluate": {"seeds": 5}}),
    (
        {"ablation": {"components": ["queue"]}},
        {"ablation": {"design": ["leave-one-out", "pairs"], "components": "all"}},
    ),
    ({"baselines": []}, {"baselines": ["fixmatch", "supervised"]}),
    (
        {"conditions": [{"data.contamination": 0.5}]},
        {"conditions": [{"data.contamination": 0.5}, {"data.contamination": 0.0}]},
    ),
    ({}, {"search": {"confirm": {"top": 2, "seeds": 2}}}),
    ({}, {"search": {"mode": "both"}}),
    ({"search": {"trials": 0}}, {"search": {"trials": 1, "budget": "trials"}, "evaluate": {"seeds": 3}}),
    (
        {"search": {"trials": 1, "spaces": ["thresholds"], "confirm": {"top": 1}}},
        {"search": {"trials": 1, "spaces": ["thresholds", "optimiser"], "confirm": {"top": 1}}},
    ),
]


@pytest.mark.parametrize(("small", "large"), EXTENSIONS)
@pytest.mark.parametrize("failing", [0.0, 0.3])
def test_an_extension_runs_what_is_new_and_is_the_study_that_was_that_large_from_the_start(
    small: dict[str, Any], large: dict[str, Any], failing: float
) -> None:
    world = World(failing=failing)
    first, second = plan_of(**small), plan_of(**large)
    before = run(first, world=world).records
    extended = run(second, before, world=world, actors=4, order=random.Random(5))
    assert not {r.trial_id for r in extended.new} & {r.trial_id for r in before}
    assert extended.started
    assert answer(second, extended) == end_of(second, world=world)
    shrunk = run(first, extended.records, world=world)
    assert not shrunk.started
    assert len(shrunk.records) == len(extended.records)
    assert answer(first, shrunk) == end_of(first, world=world)


def test_failed_trials_run_again_only_on_request() -> None:
    plan = plan_of(search={"budget": "trials"})
    world = World(failing=0.3, mended=True, salt=2)
    first = run(plan, world=world)
    failed = {r.trial_id for r in first.state.records().values() if r.status == "failed"}
    assert failed
    assert not run(plan, first.records, world=world).started
    again = run(plan, first.records, world=world, retry_failed=True, actors=3, order=random.Random(0))
    retried = [r for r in again.records[len(first.records) :] if r.attempt == 1]
    assert {r.trial_id for r in retried} <= failed
    assert all(r.status == "completed" or r.status == "pruned" for r in retried)
    assert not [r for r in again.state.records().values() if r.status == "failed" and r.attempt]
    after = run(plan, again.records, world=world)
    assert not after.started
    assert facts(after.state.records().values()) == facts(again.state.records().values())


def test_a_cell_where_everything_fails_holds_nobody_up() -> None:
    class Broken(World):
        def fails_at(self, slot: Any) -> int | None:
            return 1 if slot.cell.arm.name == "rsmatch-without-queue" else None

    done = run(plan_of(search={"confirm": {"top": 1, "seeds": 1}}), world=Broken(), actors=2)
    assert {s.cell.arm.name: s.stage for s in done.state.cells} == {
        "rsmatch": "done",
        "rsmatch-without-queue": "blocked",
        "fixmatch": "done",
    }
    assert done.state.done


populations = st.fixed_dictionaries(
    {
        "strategy": st.just("population"),
        "trials": st.integers(2, 6),
        "population": st.fixed_dictionaries({"rounds": st.integers(2, 3), "replaced": st.sampled_from([0.2, 0.5])}),
        "sampler": st.sampled_from(["tpe", "random"]),
        "confirm": st.sampled_from([{"top": 0}, {"top": 2, "seeds": 1}]),
        "seed": st.integers(0, 3),
        "ranges": st.sampled_from(
            [{}, {"threshold": {"choices": [0.9, 0.95]}}, {"unlabelled_weight": {"low": 0.5, "high": 2.0, "log": True}}]
        ),
    }
).map(lambda s: {**s, "spaces": [] if s["ranges"] else ["thresholds", "optimiser"]})


@law
@example(  # a member fails before the step that it was copied at
    search={
        "trials": 5,
        "ranges": {"threshold": {"choices": [0.9, 0.95]}},
        "strategy": "population",
        "population": {"rounds": 3, "replaced": 0.5},
        "confirm": {"top": 0},
        "seed": 1,
        "sampler": "random",
        "spaces": [],
    },
    world=World(failing=0.2, salt=2),
    seed=379127,
)
@given(populations, worlds, st.integers(0, 2**32))
def test_a_population_too(search: dict[str, Any], world: World, seed: int) -> None:
    plan = plan_of(search=search)
    done = in_pieces(plan, world, seed)
    assert answer(plan, done) == end_of(plan, world=world)
    for state in done.state.cells:
        assert [r.number for r in state.tuning] == list(range(search["trials"] * search["population"]["rounds"]))


def test_copies_that_were_lost_are_made_again_and_nothing_runs() -> None:
    search = {"spaces": [], "ranges": {"threshold": {"choices": [0.9, 0.95]}}, "sampler": "random", "trials": 6}
    plan = plan_of(search={**search, "budget": "trials", "early_stopping": {"rule": "none"}})
    whole = run(plan)
    kept = [r for r in whole.records if r.same_as is None and r.phase == "tune"]
    evaluated = [r for r in whole.records if r.phase == "evaluate"]
    again = run(plan, kept + evaluated)
    assert not again.started
    assert answer(plan, again) == answer(plan, whole)


def test_looking_at_a_half_tuned_study_asks_no_sampler() -> None:
    def no_search(cell: Any) -> Any:
        raise AssertionError("asked")

    plan = plan_of()
    half = run(plan, events=8).records
    state = StudyState(plan, half, search=no_search)
    assert state.remaining == StudyState(plan, half).remaining > 0
    assert len(state.records()) == len(half)
    with pytest.raises(AssertionError, match="asked"):
        state.take()
