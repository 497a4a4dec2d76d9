from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.design.arms import arm_parameters, crossed_parts, derive_arms, parts_of
from orchestrator.design.designs import add_one_in, factorial, leave_one_out, one_at_a_time, pairs
from orchestrator.study.spec import StudySpec
from results.analysis.cumulative_path import arms_of_path
from results.records.manifest import ArmInfo
from tests.unit.results.factories import manifest
from trainables.algorithms import ALGORITHMS, closure


def study(**changes: Any) -> StudySpec:
    return StudySpec(**{"study": "t", "question": "q", "method": "rsmatch", "data": {"dataset": "digits"}, **changes})


def test_the_full_method_then_one_arm_per_component_then_baselines() -> None:
    arms = derive_arms(study(baselines=["supervised", "fixmatch"])).arms
    components = [c.name for c in ALGORITHMS["rsmatch"].components]
    assert [a.name for a in arms] == [
        "rsmatch",
        *(f"rsmatch-without-{c}" for c in components),
        "supervised",
        "fixmatch",
    ]
    assert [a.role for a in arms] == ["full", *["ablated"] * len(components), "baseline", "baseline"]
    assert [a.removed for a in arms] == [(), *((c,) for c in components), (), ()]
    assert len({a.name for a in arms}) == len(arms)


def test_oracles_are_baselines_that_come_last_under_a_role_of_their_own() -> None:
    named = ["oracle-dummy-head", "supervised", "oracle-drop", "fixmatch"]
    for mode in ("retuned", "inherited", "both"):
        arms = derive_arms(study(baselines=named, search={"mode": mode})).arms
        assert [(a.name, a.role, a.tuning) for a in arms[-4:]] == [
            ("supervised", "baseline", "retuned"),
            ("fixmatch", "baseline", "retuned"),
            ("oracle-dummy-head", "oracle", "retuned"),
            ("oracle-drop", "oracle", "retuned"),
        ]


def test_an_arm_says_what_it_lost() -> None:
    arm = {a.name: a for a in derive_arms(study()).arms}["rsmatch-without-queue"]
    assert arm.title == "RSMatch without queue"
    assert arm.off == ("class-wise", "queue")
    assert (
        arm.meaning == "the detector learns from labelled against unlabelled images alone; also off: class-wise queues"
    )


def test_every_arm_is_one_that_the_algorithm_accepts() -> None:
    for arm in derive_arms(study(baselines=["fixmatch"])).arms:
        components = ALGORITHMS[arm.algorithm].components
        assert set(arm.off) == closure(components, arm.off)
        assert arm.off == tuple(sorted(arm.off))


def test_a_component_that_is_off_is_off_in_every_arm_and_not_left_out_again() -> None:
    full, *ablated = derive_arms(study(components={"queue": False, "class-wise": False})).arms
    assert full.off == ("class-wise", "queue")
    assert full.meaning == "off in this study: queue, class-wise queues"
    assert [a.removed for a in ablated] == [
        ("detector",), ("synthetic",), ("dummy-head",), ("score-memory",), ("refill",)
    ]  # fmt: skip
    assert all(set(full.off) < set(a.off) for a in ablated)
    assert "queue" not in ablated[0].meaning.split("also off: ")[1]


def test_only_the_components_that_are_asked_for_in_the_order_that_the_study_gives() -> None:
    arms = derive_arms(study(ablation={"components": ["dummy-head", "queue"]})).arms
    assert [a.removed for a in arms] == [(), ("dummy-head",), ("queue",)]


@pytest.mark.parametrize("method", ["rsmatch", "fixmatch", "supervised"])
def test_without_ablation_the_method_stands_alone(method: str) -> None:
    assert [a.name for a in derive_arms(study(method=method, ablation={"design": "none"})).arms] == [method]


def test_parameters_of_what_is_off_do_not_exist() -> None:
    parameters = {a.name: arm_parameters(a) for a in derive_arms(study(baselines=["supervised"])).arms}
    assert parameters["rsmatch"] == tuple(ALGORITHMS["rsmatch"].Config.model_fields)
    assert parameters["rsmatch-without-detector"] == ("learning_rate", "weight_decay", "threshold", "unlabelled_weight")
    assert "queue_size" not in parameters["rsmatch-without-queue"]
    assert parameters["supervised"] == ("learning_rate", "weight_decay")


RSMATCH = tuple(c.name for c in ALGORITHMS["rsmatch"].components)
VALUES = {"threshold": (0.8, 0.95), "queue_size": (16, 32, 64), "memory_decay": (0.0, 0.5)}
DESIGNS = ("leave-one-out", "add-one-in", "one-at-a-time", "factorial", "pairs")


def closed_off() -> st.SearchStrategy[dict[str, bool]]:
    components = ALGORITHMS["rsmatch"].components
    return st.sets(st.sampled_from(RSMATCH), max_size=2).map(lambda off: dict.fromkeys(closure(components, off), False))


@st.composite
def ablated(draw: st.DrawFn) -> StudySpec:
    off = draw(closed_off())
    on = [n for n in RSMATCH if n not in off]
    designs = draw(st.lists(st.sampled_from(DESIGNS), min_size=1, unique=True))
    takes = {"one-at-a-time", "factorial"} & set(designs)
    values = draw(st.dictionaries(st.sampled_from(list(VALUES)), st.none(), max_size=2)) if takes else {}
    arms = draw(st.dictionaries(st.sampled_from(["mine", "other"]), st.sampled_from(
        [{"without": ["queue"]}, {"set": {"threshold": 0.8}}, {"without": ["synthetic"], "set": {"queue_size": 16}},
         {"set": {"queue_size": 32}}, {"without": ["class-wise", "queue"]}]
    )))  # fmt: skip
    ablation = {
        "design": designs,
        "components": draw(st.lists(st.sampled_from(on), min_size=2, unique=True)) if len(on) > 2 else "all",
        "alternatives": {name: VALUES[name] for name in values},
        "path": draw(st.sampled_from(["cumulative", "single"])),
        "arms": arms,
    }
    assume("pairs" not in designs or len(on) > 1)
    assume(on)
    return study(
        components=off,
        ablation=ablation,
        search={
            "mode": draw(st.sampled_from(["retuned", "inherited", "both"])),
            "trials": draw(st.sampled_from([0, 3])),
        },
        baselines=draw(st.sampled_from([[], ["fixmatch"]])),
    )


def effect(spec: StudySpec, arm: ArmInfo) -> tuple[Any, ...]:
    """What an arm does: what is off, and the values of what is not searched."""
    searched = spec.searched(arm.algorithm, arm.off, arm.values)
    constants = {**spec.constants(arm.algorithm), **arm.values}
    fixed = {n: constants[n] for n in arm_parameters(arm) if n not in searched}
    return (arm.algorithm, arm.off, sorted(fixed.items()), sorted(searched), arm.tuning)


@settings(deadline=None)
@given(ablated())
def test_whatever_the_study_no_two_arms_are_the_same_and_nothing_is_lost(spec: StudySpec) -> None:
    derived = derive_arms(spec)
    names = [a.name for a in derived.arms]
    assert len(set(names)) == len(names)
    effects = [effect(spec, a) for a in derived.arms]
    assert all(effects.count(e) == 1 for e in effects)
    full = derived.arms[0]
    for arm in derived.arms:
        if arm.algorithm == "rsmatch":
            assert frozenset(arm.off) == closure(ALGORITHMS["rsmatch"].components, arm.off)
            assert set(arm.off) >= set(full.off)
    assert {left.name for left in derived.left_out}.isdisjoint(names)
    assert len({left.name for left in derived.left_out}) == len(derived.left_out)
    for left in derived.left_out:
        assert left.reason
        assert left.same_as is None or left.same_as in names or f"{left.same_as}-inherited" in names


@settings(deadline=None)
@given(ablated())
def test_every_arm_that_a_design_names_is_run_or_left_out_with_a_reason(spec: StudySpec) -> None:
    derived, parts = derive_arms(spec), parts_of(spec)
    known = {a.name for a in derived.arms} | {left.name for left in derived.left_out}
    drafts = []
    for design in spec.ablation.design:
        drafts += {
            "leave-one-out": lambda: leave_one_out(parts),
            "add-one-in": lambda: add_one_in(parts, cumulative=spec.ablation.path == "cumulative"),
            "one-at-a-time": lambda: one_at_a_time(parts),
            "factorial": lambda: [d for _, d in factorial(crossed_parts(spec)).runs if d.name],
            "pairs": lambda: pairs(parts),
        }[design]()
    assert {f"rsmatch-{d.name}" for d in drafts} <= known
    assert set(spec.ablation.arms) <= known


@settings(deadline=None)
@given(ablated().filter(lambda s: "add-one-in" in s.ablation.design and s.ablation.path == "cumulative"))
def test_the_report_finds_the_path_of_a_cumulative_design(spec: StudySpec) -> None:
    derived = derive_arms(spec)
    plain = manifest()
    found = arms_of_path(replace(plain, arms=derived.arms, left_out=derived.left_out, reference=derived.arms[0].name))
    steps = [d.off for d in add_one_in(parts_of(spec), cumulative=True) if d.nonsense is None]
    assert [frozenset(a.off) for a in found] == steps


@settings(deadline=None)
@given(ablated().filter(lambda s: "factorial" in s.ablation.design))
def test_every_sensible_combination_of_a_factorial_stands_for_an_arm(spec: StudySpec) -> None:
    derived = derive_arms(spec)
    assert derived.factorial is not None
    arms = {a.name: a for a in derived.arms}
    sizes = [len(f.levels) for f in derived.factorial.factors]
    seen = [levels for levels, _ in derived.factorial.runs]
    assert len(set(seen)) == len(seen) <= math.prod(sizes)
    assert seen[0] == (0,) * len(sizes)
    for levels, name in derived.factorial.runs:
        arm = arms[name]
        for factor, level in zip(derived.factorial.factors, levels, strict=True):
            if factor.name in RSMATCH:
                assert (factor.name in arm.off) == bool(level)


def test_values_that_components_declare_are_tried_one_at_a_time_and_not_crossed() -> None:
    spec = study(ablation={"design": ["one-at-a-time", "factorial"], "components": ["queue", "dummy-head"]})
    derived = derive_arms(spec)
    assert derived.factorial is not None
    assert [f.name for f in derived.factorial.factors] == ["queue", "dummy-head"]
    assert any(a.values for a in derived.arms)


def test_a_fraction_says_what_it_cannot_tell_apart() -> None:
    spec = study(
        ablation={"design": "factorial", "resolution": 3, "components": ["class-wise", "dummy-head", "score-memory"]}
    )
    derived = derive_arms(spec)
    assert derived.factorial is not None
    assert derived.factorial.resolution == 3
    assert len(derived.factorial.runs) == 4
    assert len(derived.factorial.aliases) == 3
    assert "class-wise + dummy-head:score-memory" in derived.factorial.aliases


def test_identical_arms_of_several_designs_run_once_and_the_plan_says_which() -> None:
    spec = study(
        ablation={
            "design": ["leave-one-out", "pairs", "one-at-a-time"],
            "components": ["queue", "class-wise"],
            "alternatives": {"queue_size": [32, 64]},
            "arms": {"mine": {"without": ["class-wise", "queue"]}, "no-op": {"set": {"queue_weight": 0.5}}},
        }
    )
    derived = derive_arms(spec)
    assert [a.name for a in derived.arms] == [
        "rsmatch",
        "rsmatch-without-queue",
        "rsmatch-without-class-wise",
        "rsmatch-with-queue_size=64",
    ]
    assert [(left.name, left.same_as) for left in derived.left_out] == [
        ("rsmatch-without-queue+class-wise", "rsmatch-without-queue"),
        ("rsmatch-with-queue_size=32", "rsmatch"),
        ("mine", "rsmatch-without-queue"),
        ("no-op", "rsmatch"),
    ]


def test_a_value_that_is_searched_is_an_arm_of_its_own_where_it_is_fixed() -> None:
    derived = derive_arms(study(ablation={"design": "one-at-a-time", "alternatives": {"threshold": [0.95]}}))
    arm = derived.arms[-1]
    assert (arm.name, arm.values) == ("rsmatch-with-threshold=0.95", {"threshold": 0.95})


def test_both_ways_of_tuning_stand_side_by_side() -> None:
    arms = derive_arms(study(ablation={"components": ["queue"]}, search={"mode": "both"}, baselines=["fixmatch"])).arms
    assert [(a.name, a.tuning, a.twin) for a in arms] == [
        ("rsmatch", "retuned", None),
        ("rsmatch-without-queue", "retuned", "rsmatch-without-queue-inherited"),
        ("rsmatch-without-queue-inherited", "inherited", "rsmatch-without-queue"),
        ("fixmatch", "retuned", None),
    ]
