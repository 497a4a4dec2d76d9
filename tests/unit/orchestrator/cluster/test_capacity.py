from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.experimental import internal_kv

from orchestrator.cluster import capacity as module
from orchestrator.cluster.capacity import Capacity, DoesNotFit, Request, refusals, request, this_machine, trials_on
from orchestrator.study.sections import ResourcesSpec

HAS_AUTOSCALER = module._has_autoscaler
BY_HAND = {"node_" + "ab" * 28: 1}


class Ray:
    """What a `Capacity` asks of Ray."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.there = list(nodes)

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": n} for n in self.there] + [{"Alive": False, "Resources": {"CPU": 99.0}}]


@pytest.fixture(autouse=True)
def autoscaler(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    there = SimpleNamespace(there=False)
    monkeypatch.setattr(module, "_has_autoscaler", lambda ray: there.there)
    monkeypatch.setattr(module, "SECONDS_BETWEEN_COUNTS", 0.0)
    return there


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "fits"),
    [
        ({"CPU": 8}, 1, 0, 8),
        ({"CPU": 8}, 3, 0, 2),
        ({}, 1, 0, 0),
        ({"CPU": 8, "GPU": 2}, 1, 1, 2),
        ({"CPU": 8, "GPU": 2}, 1, 0.25, 8),
        ({"CPU": 16, "GPU": 2}, 1, 0.4, 4),
        ({"CPU": 16, "GPU": 1}, 1, 0.1, 10),
        ({"CPU": 16, "GPU": 3}, 1, 2, 1),
        ({"CPU": 1, "GPU": 8}, 1, 0.5, 1),
        ({"CPU": 8}, 1, 0.5, 0),
    ],
)
def test_a_share_of_a_gpu_lies_on_one_gpu(node: dict[str, float], cpus: int, gpus: float, fits: int) -> None:
    assert trials_on(node, Request(cpus=cpus, gpus=gpus)) == fits


def test_nodes_are_counted_one_by_one() -> None:
    capacity = Capacity(Ray({"CPU": 3}, {"CPU": 3}, {}), ResourcesSpec(cpus=2, gpus=0))
    assert capacity() == 2, "six CPUs in all, but no node holds two trials"


def test_a_gpu_anywhere_means_that_trials_use_one() -> None:
    resources = ResourcesSpec(cpus=1)
    assert request(resources, [{"CPU": 8.0}, {"CPU": 8.0, "GPU": 1.0}]).gpus == 1
    assert request(resources, [{"CPU": 8.0}]).gpus == 0
    assert request(ResourcesSpec(cpus=1, gpus=0.5), []).gpus == 0.5


def test_nodes_that_come_and_go_are_noticed() -> None:
    ray = Ray({"CPU": 2})
    capacity = Capacity(ray, ResourcesSpec(cpus=1, gpus=0))
    assert capacity() == 2
    ray.there.append({"CPU": 4})
    assert capacity() == 6
    ray.there.clear()
    assert capacity() == 0


def test_looks_are_some_seconds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_COUNTS", 1000.0)
    ray = Ray({"CPU": 2})
    capacity = Capacity(ray, ResourcesSpec(cpus=1, gpus=0))
    ray.there.append({"CPU": 4})
    assert capacity() == 2
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 1001)
    assert capacity() == 6


def test_actors_are_a_limit() -> None:
    assert Capacity(Ray({"CPU": 9}), ResourcesSpec(cpus=1, gpus=0, actors=4))() == 4


def test_what_fits_nowhere_is_refused_with_what_there_is() -> None:
    with pytest.raises(DoesNotFit) as refused:
        Capacity(Ray({"CPU": 3, "GPU": 1}, {"CPU": 4}), ResourcesSpec(cpus=4, gpus=1))
    assert str(refused.value) == (
        "resources: a trial wants 4 CPUs and 1 GPUs, but no node of the cluster has that; they have "
        "3 CPUs and 1 GPUs; 4 CPUs and 0 GPUs; ask for less, or add a node; --address names another cluster"
    )


def test_with_an_autoscaler_processes_are_asked_for_that_do_not_fit_yet(autoscaler: SimpleNamespace) -> None:
    autoscaler.there = True
    capacity = Capacity(Ray({}), ResourcesSpec(cpus=1, gpus=0, actors=5))
    assert (capacity(), capacity.wanted()) == (0, 5)
    autoscaler.there = False
    capacity = Capacity(Ray({"CPU": 2}), ResourcesSpec(cpus=1, gpus=0, actors=5))
    assert (capacity(), capacity.wanted()) == (2, 2)


ARMS = ResourcesSpec.model_validate(
    {
        "cpus": 2,
        "gpus": 0,
        "arms": {"rsmatch": {"gpus": 0.5}, "rsmatch-without-queue": {"cpus": 1, "custom": {"a100": 1}}},
    }
)


@pytest.mark.parametrize(
    ("names", "bundle"),
    [
        (("fixmatch", "fixmatch"), {"CPU": 2}),
        (("rsmatch", "rsmatch"), {"CPU": 2, "GPU": 0.5}),
        (("rsmatch-without-dummy-head", "rsmatch"), {"CPU": 2, "GPU": 0.5}),
        (("rsmatch-without-queue", "rsmatch"), {"CPU": 1, "GPU": 0.5, "a100": 1}),
    ],
)
def test_an_arm_may_have_amounts_of_its_own(names: tuple[str, ...], bundle: dict[str, float]) -> None:
    assert request(ARMS.of(*names), []).bundle() == bundle


def test_every_arms_trials_must_fit_somewhere() -> None:
    arms = [("fixmatch", "fixmatch"), ("rsmatch-without-queue", "rsmatch")]
    there = Ray({"CPU": 8}, {"CPU": 4, "GPU": 2, "a100": 2})
    capacity = Capacity(there, ARMS, arms)
    assert capacity() == 6, "as many as of the smaller ones"
    assert capacity.gpus == 0.5
    there.there.pop()
    with pytest.raises(
        DoesNotFit, match=r"wants 1 CPUs, 0\.5 GPUs and 1 of a100, but .* they have 8 CPUs, 0 GPUs and 0 of a100"
    ):
        Capacity(there, ARMS, arms)


def test_trials_are_counted_with_what_they_turned_out_to_take() -> None:
    resources = ResourcesSpec(cpus=1, arms={"fixed": {"gpus": 0.5}})
    capacity = Capacity(Ray({"CPU": 16, "GPU": 2}), resources, [("open",), ("fixed",)])
    assert capacity.measured == {("open",)}
    assert (capacity(), capacity.gpus) == (4, 1.0)
    assert capacity.bundle(("open",), 0.25) == {"CPU": 1.0, "GPU": 0.25}
    assert capacity() == 8


def test_without_gpus_nothing_is_measured() -> None:
    assert Capacity(Ray({"CPU": 16}), ResourcesSpec(cpus=1)).measured == set()


@pytest.mark.parametrize(
    ("report", "there"),
    [
        ({"active_nodes": BY_HAND}, False),
        ({"active_nodes": BY_HAND, "node_type_mapping": dict.fromkeys(BY_HAND, *BY_HAND)}, False),
        ({"active_nodes": {"head": 1, "worker": 2}}, True),
        ({"active_nodes": {}, "node_type_mapping": {"ff00": "ray.head.default"}}, True),  # before the first worker
        ({}, False),
        (None, False),
    ],
)
def test_an_autoscaler_is_known_by_its_types_of_nodes(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, Any] | None, there: bool
) -> None:
    status = b"{}" if report is None else json.dumps({"autoscaler_report": report}).encode()
    kept = {"__autoscaling_status": status}
    monkeypatch.setattr(internal_kv, "_internal_kv_get", lambda key, namespace=None: kept.get(key))
    assert HAS_AUTOSCALER(None) == there


BIG = ResourcesSpec.model_validate(
    {"cpus": 1, "gpus": 0, "arms": {"big": {"cpus": 99_999}, "far": {"custom": {"a100": 1}}}}
)
ALL = [("small",), ("big",), ("big", "x"), ("far",)]


def test_what_a_run_on_this_machine_would_refuse_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (node,) = this_machine() or ()
    assert refusals(BIG, ALL[:1]) == []
    there = f"{node['CPU']:g} CPUs and {node.get('GPU', 0):g} GPUs"
    far, big = sorted(refusals(BIG, ALL) or ())
    assert far.startswith("resources: a trial wants 1 CPUs, 0 GPUs and 1 of a100, but this machine has ")
    assert big == (
        f"resources: a trial wants 99999 CPUs and 0 GPUs, but this machine has {there}, and `ablate run` refuses that here; ask "
        "for less, or name a cluster that has it with --address"
    )
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 99999, "a100": 1}')
    assert refusals(BIG, ALL) == [], "as a run's own Ray counts"
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", "{")
    assert refusals(BIG, ALL) is None


def test_nothing_is_said_of_a_cluster_that_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, autoscaler: SimpleNamespace
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert refusals(BIG, ALL) is None
    connected = Ray({"CPU": 99_999.0}, {"CPU": 1.0, "a100": 2.0})
    connected.is_initialized = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", connected)  # type: ignore[arg-type]
    assert refusals(BIG, ALL) == [], "it is the one that a run of this process would use"
    connected.there.pop()
    (said,) = refusals(BIG, ALL) or ()
    assert (
        "wants 1 CPUs, 0 GPUs and 1 of a100, but the nodes of this cluster have 99999 CPUs, 0 GPUs and 0 of a100"
        in said
    )
    autoscaler.there = True
    assert refusals(BIG, ALL) is None
