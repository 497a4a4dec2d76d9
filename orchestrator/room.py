"""How many trials fit on a cluster side by side, counted node by node, as nodes come and go."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.errors import AblateError
from orchestrator.sections import ResourcesSpec

SECONDS_BETWEEN_COUNTS = 2.0
_CLOSE = 1e-9
_STARTED_BY_HAND = re.compile("node_[0-9a-f]{56}")
"""The type that Ray's monitor makes up for a node of a cluster without an autoscaler."""


class DoesNotFit(AblateError):
    """No node of the cluster can run a single trial."""


Node = Mapping[str, float]
"""A node's resources by Ray's names: `CPU`, `GPU`, and custom ones."""


def gpus_per_trial(resources: ResourcesSpec, nodes: Iterable[Node]) -> float:
    """GPUs of one trial: what the study says, or one where any node has one."""
    if resources.gpus == "auto":
        return 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
    return float(resources.gpus)


def trials_on(node: Node, resources: ResourcesSpec, gpus: float) -> int:
    """How many trials this node runs at once. A trial's share of a GPU lies on one GPU."""
    fits = node.get("CPU", 0) / resources.cpus
    if gpus:
        there = node.get("GPU", 0)
        fits = min(fits, int(there) * int(1 / gpus + _CLOSE) if gpus < 1 else there / gpus)
    return int(fits + _CLOSE)


def living_nodes(ray: Any) -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


class Room:
    """The number of trials that fit, looked up again every few seconds.

    Args:
        ray: The connected module.
        resources: What a trial wants.

    Raises DoesNotFit where a single trial does not, and no autoscaler could bring a node.
    """

    def __init__(self, ray: Any, resources: ResourcesSpec) -> None:
        self._ray, self._resources = ray, resources
        nodes = living_nodes(ray)
        self.gpus = gpus_per_trial(resources, nodes)
        self.grows = _has_autoscaler(ray)
        """Whether nodes may come because trials wait for them."""
        self._trials = self._count(nodes)
        self._counted = time.monotonic()
        if not self._trials and not self.grows:
            raise DoesNotFit(
                f"resources: a trial wants {_named(resources.cpus, self.gpus)}, but no node of the cluster has that; they have "
                f"{'; '.join(sorted({_named(n.get('CPU', 0), n.get('GPU', 0)) for n in nodes}))}; ask for less, or add a node"
            )

    def __call__(self) -> int:
        """Trials at once, now."""
        if time.monotonic() - self._counted >= SECONDS_BETWEEN_COUNTS:
            self._trials = self._count(living_nodes(self._ray))
            self._counted = time.monotonic()
        return self._trials

    def wanted(self) -> int:
        """Trials at once that processes are asked for: where nodes may come, also those for which there is no room yet."""
        return max(self(), self._resources.actors or 0) if self.grows else self()

    def _count(self, nodes: Iterable[Node]) -> int:
        fits = sum(trials_on(node, self._resources, self.gpus) for node in nodes)
        return fits if self._resources.actors is None else min(fits, self._resources.actors)


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
        return not all(map(_STARTED_BY_HAND.fullmatch, status["autoscaler_report"]["active_nodes"]))
    except (ValueError, KeyError, TypeError):
        return False


def _named(cpus: float, gpus: float) -> str:
    return f"{cpus:g} CPUs and {gpus:g} GPUs"
