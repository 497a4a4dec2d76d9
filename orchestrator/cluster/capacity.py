"""How many trials fit on a cluster side by side, counted node by node, as nodes come and go."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.common.errors import AblateError
from orchestrator.study.sections import ResourcesSpec

SECONDS_BETWEEN_COUNTS = 2.0
_CLOSE = 1e-9
_STARTED_BY_HAND = re.compile("node_[0-9a-f]{56}")
"""The type that Ray's monitor makes up for a node of a cluster without an autoscaler."""


class DoesNotFit(AblateError):
    """No node of the cluster can run a single trial."""


Node = Mapping[str, float]
"""A node's resources by Ray's names: `CPU`, `GPU`, and custom ones."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one trial holds while it runs."""

    cpus: int
    gpus: float
    custom: Mapping[str, float] = field(default_factory=dict)

    def bundle(self) -> dict[str, float]:
        """By Ray's names."""
        return {"CPU": float(self.cpus), **({"GPU": self.gpus} if self.gpus else {}), **self.custom}

    def __str__(self) -> str:
        """For messages."""
        return _named(self.bundle(), self.custom)


def request(resources: ResourcesSpec, nodes: Iterable[Node]) -> Request:
    """What a trial of an arm holds: what the study says; for `auto` one GPU where any node has one."""
    gpus = resources.gpus
    if gpus == "auto":
        gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
    return Request(cpus=resources.cpus, gpus=float(gpus), custom=dict(resources.custom))


def trials_on(node: Node, wanted: Request) -> int:
    """How many trials this node runs at once. A trial's share of a GPU lies on one GPU."""
    fits = node.get("CPU", 0) / wanted.cpus
    if wanted.gpus:
        there = node.get("GPU", 0)
        fits = min(fits, int(there) * int(1 / wanted.gpus + _CLOSE) if wanted.gpus < 1 else there / wanted.gpus)
    for name, amount in wanted.custom.items():
        fits = min(fits, node.get(name, 0) / amount)
    return int(fits + _CLOSE)


def living_nodes(ray: Any) -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


class Capacity:
    """The number of trials that fit, looked up again every few seconds.

    Args:
        ray: The connected module.
        resources: What the study says of them.
        arms: The names by which each arm's trials go, the most particular one first.

    Raises DoesNotFit where a single trial of some arm does not, and no autoscaler could bring a node.
    """

    def __init__(self, ray: Any, resources: ResourcesSpec, arms: Iterable[tuple[str, ...]] = ((),)) -> None:
        self._ray, self._actors = ray, resources.actors
        nodes = living_nodes(ray)
        self.requests = {names: request(resources.of(*names), nodes) for names in arms}
        """What a trial holds at first, by the names that its arm goes by."""
        self.measured = {n for n, wanted in self.requests.items() if resources.of(*n).gpus == "auto" and wanted.gpus}
        """Of these, those whose share of a GPU is left open: a whole one until their memory was measured."""
        self.grows = _has_autoscaler(ray)
        """Whether nodes may come because trials wait for them."""
        self._trials = self._count(nodes)
        self._counted = time.monotonic()
        if not self.grows:
            for wanted in self.requests.values():
                _check(wanted, nodes)

    @property
    def gpus(self) -> float:
        """The most that any trial holds: for tasks that every trial waits for."""
        return max(wanted.gpus for wanted in self.requests.values())

    def __call__(self) -> int:
        """Trials at once, now."""
        if time.monotonic() - self._counted >= SECONDS_BETWEEN_COUNTS:
            self._trials = self._count(living_nodes(self._ray))
            self._counted = time.monotonic()
        return self._trials

    def bundle(self, names: tuple[str, ...], gpus: float) -> dict[str, float]:
        """What a trial holds by Ray's names, with so much of a GPU; trials at once are counted with that from now on."""
        if gpus != self.requests[names].gpus:
            self.requests[names] = replace(self.requests[names], gpus=gpus)
            self._counted = -SECONDS_BETWEEN_COUNTS
        return self.requests[names].bundle()

    def wanted(self) -> int:
        """Trials at once that processes are asked for: where nodes may come, also those that nothing holds yet."""
        return max(self(), self._actors or 0) if self.grows else self()

    def _count(self, nodes: Collection[Node]) -> int:
        """Of the arm whose trials are the smallest."""
        fits = max(sum(trials_on(node, wanted) for node in nodes) for wanted in self.requests.values())
        return fits if self._actors is None else min(fits, self._actors)


def _check(wanted: Request, nodes: Collection[Node]) -> None:
    if not _fits(wanted, nodes):
        raise DoesNotFit(
            f"resources: a trial wants {wanted}, but no node of the cluster has that; they have {_there(wanted, nodes)}; ask for "
            "less, or add a node; --address names another cluster"
        )


def connected() -> Any:
    """Ray's module where this process is connected to a cluster, which a run then uses; else None. Imports nothing."""
    ray = sys.modules.get("ray")
    return ray if ray is not None and ray.is_initialized() else None


def refusals(resources: ResourcesSpec, arms: Iterable[tuple[str, ...]]) -> list[str] | None:
    """Why a run without `--address` would refuse these trials, one sentence for each that fits nowhere; starts nothing.

    Args:
        resources: What the study says of them.
        arms: As for `Capacity`.

    Returns:
        None where that cannot be told: RAY_ADDRESS names a cluster, or nodes may come by themselves.
    """
    nodes: list[Node] | None
    if ray := connected():
        nodes = None if _has_autoscaler(ray) else [*living_nodes(ray)]
        place = "the nodes of this cluster have"
    elif os.environ.get("RAY_ADDRESS"):
        return None
    else:
        nodes, place = this_machine(), "this machine has"
    if nodes is None:
        return None
    wants = {str(w): w for w in (request(resources.of(*names), nodes) for names in arms) if not _fits(w, nodes)}
    return [
        f"resources: a trial wants {wanted}, but {place} {_there(wanted, nodes)}, and `ablate run` refuses that here; ask for "
        "less, or name a cluster that has it with --address"
        for wanted in wants.values()
    ]


def this_machine() -> list[Node] | None:
    """This machine as the only node of a local cluster, counted by Ray's own rules; None where Ray finds fault with it."""
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    logging.disable(logging.WARNING)  # of its ways of counting, which a run has in Ray's log
    try:
        return [ResourceAndLabelSpec().resolve(is_head=True, node_ip_address="127.0.0.1").to_resource_dict()]
    except (ValueError, TypeError, AssertionError):  # such as RAY_OVERRIDE_RESOURCES; a run says it
        return None
    finally:
        logging.disable(logging.NOTSET)


def _fits(wanted: Request, nodes: Iterable[Node]) -> bool:
    return any(trials_on(node, wanted) for node in nodes)


def _there(wanted: Request, nodes: Iterable[Node]) -> str:
    return "; ".join(sorted({_named(node, wanted.custom) for node in nodes}))


def _has_autoscaler(ray: Any) -> bool:
    """Whether nodes can come by themselves: the head's monitor knows types of nodes other than those that were started."""
    from ray import _raylet
    from ray.experimental.internal_kv import _internal_kv_get

    names: Any = _raylet  # compiled
    key, space = names.GCS_AUTOSCALER_V2_ENABLED_KEY, names.GCS_AUTOSCALER_STATE_NAMESPACE
    if _internal_kv_get(key, namespace=space) == b"1":
        return True
    try:
        status = json.loads(_internal_kv_get("__autoscaling_status") or b"{}")
        report = status["autoscaler_report"]
        types = {*report["active_nodes"], *(report.get("node_type_mapping") or {}).values()}
        return not all(map(_STARTED_BY_HAND.fullmatch, types))
    except (ValueError, KeyError, TypeError):
        return False


def _named(amounts: Node, custom: Iterable[str]) -> str:
    named = [f"{amounts.get('CPU', 0):g} CPUs", f"{amounts.get('GPU', 0):g} GPUs"]
    named += [f"{amounts.get(name, 0):g} of {name}" for name in custom]
    return f"{', '.join(named[:-1])} and {named[-1]}"
