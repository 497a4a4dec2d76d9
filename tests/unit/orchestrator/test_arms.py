from __future__ import annotations

from typing import Any

import pytest

from orchestrator.arms import arm_parameters, derive_arms
from orchestrator.study import StudySpec
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


def test_an_arm_says_what_it_lost() -> None:
    arm = {a.name: a for a in derive_arms(study()).arms}["rsmatch-without-queue"]
    assert arm.title == "RSMatch without queue"
    assert arm.off == ("class-wise", "queue")
    assert arm.meaning == "the detector stays with the positive-unlabelled risk; also off: class-wise queues"


def test_every_arm_is_one_that_the_algorithm_accepts() -> None:
    for arm in derive_arms(study(baselines=["fixmatch"])).arms:
        components = ALGORITHMS[arm.algorithm].components
        assert set(arm.off) == closure(components, arm.off)
        assert arm.off == tuple(sorted(arm.off))


def test_a_component_that_is_off_is_off_in_every_arm_and_not_left_out_again() -> None:
    full, *ablated = derive_arms(study(components={"queue": False, "class-wise": False})).arms
    assert full.off == ("class-wise", "queue")
    assert full.meaning == "off in this study: queue, class-wise queues"
    assert [a.removed for a in ablated] == [("detector",), ("synthetic",), ("dummy-head",), ("score-memory",)]
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
