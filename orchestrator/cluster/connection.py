"""A Ray cluster to run on: one that is there, or a local one that ends with the driver."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.cluster.local_ray import leave, local_ray, own_handlers
from orchestrator.cluster.watch import Endpoint, Endpoints, answers, watched
from orchestrator.common.errors import AblateError
from orchestrator.common.signals import deferred, end_if_told

_ENVIRONMENT = {
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}
_CLIENT = "ray://"
_CLIENT_PORT = 10001
_SLOW_START = "Starting Ray client server failed"
"""What a head says that took more than ten seconds to start a process for this driver."""
CLIENT_ATTEMPTS = 3
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ClusterUnreachable(AblateError):
    """No cluster answers at the address that the user gave, or it does not take this driver."""


@contextmanager
def cluster(
    address: str | None = None,
    *,
    console: Console | None = None,
    num_cpus: int | None = None,
    num_gpus: int | None = None,
    code: Path | None = None,
) -> Iterator[Any]:
    """Connect to `address`, or start a cluster of this machine on loopback; yields the ray module.

    Args:
        address: `auto`, `HOST:PORT` of the head, or `ray://HOST:PORT` of Ray Client; None for this machine.
        console: Hears of a loss of the cluster that ends this process.
        num_cpus: Of a local cluster; as there are unless given.
        num_gpus: The same.
        code: A folder whose modules the processes of a cluster at `address` import in place of their own.

    A cluster that this call started is shut down at the end; one that was there (also one that this process is already
    connected to) is left alone. A signal is held back meanwhile, see `orchestrator.common.signals`.

    Raises ClusterUnreachable, LocalRayFailed.
    """
    os.environ.update({k: os.environ.get(k, v) for k, v in _ENVIRONMENT.items()})
    import ray

    if ray.is_initialized():
        with deferred():
            yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if address is not None:
        if code is not None:
            options["runtime_env"] = {"working_dir": str(code)}
        with deferred(), _joined(ray, address, console, options):
            yield ray
        return
    options |= {"num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": False}
    options["_node_ip_address"] = "127.0.0.1"
    os.environ.pop("RAY_ADDRESS", None)
    with deferred(), local_ray(ray, console, options):
        yield ray


@contextmanager
def _joined(ray: Any, address: str, console: Console | None, options: Mapping[str, Any]) -> Iterator[None]:
    """The cluster at `address`, for the length of the block."""
    name = "RAY_ADDRESS" if address == "auto" and os.environ.get("RAY_ADDRESS") else "--address"
    shown = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    endpoint = endpoint_of(shown)
    if endpoint is not None and not answers(endpoint):
        raise ClusterUnreachable(
            f"{name}: nothing answers on {shown}; `ray status` on the head says whether Ray runs there, and "
            f"`ray start --head` starts it{_hint(shown)}"
        )
    watch = Endpoints(console, shown)

    def connect() -> None:
        for attempt in range(CLIENT_ATTEMPTS):
            try:
                with own_handlers():
                    ray.init(address=address, **options)
                end_if_told()
                break
            except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as problem:
                if _SLOW_START not in str(problem) or attempt == CLIENT_ATTEMPTS - 1:
                    said = " ".join(str(problem).split())[:600]
                    raise ClusterUnreachable(f"{name}: {said}{_remedy(problem)}") from problem
                leave(ray)
        if endpoint is not None and shown.startswith(_CLIENT):
            watch.knock_at("its head", endpoint)
            return
        context = ray.get_runtime_context()
        host, _, port = context.gcs_address.rpartition(":")
        watch.knock_at("its head", (host.strip("[]"), int(port)))
        own = next((n for n in ray.nodes() if n["NodeID"] == context.get_node_id()), None)
        if own is not None:
            watch.knock_at("the Ray node of this process", (own["NodeManagerAddress"], own["NodeManagerPort"]))

    with watched(watch, connect, lambda: leave(ray)):
        yield


def endpoint_of(address: str) -> Endpoint | None:
    """Host and port behind an address as Ray takes it; None where it names none, such as `auto`.

    Ray takes loopback for the machine's own name in its network, and so does this.
    """
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not colon and address.startswith(_CLIENT):
        host, port = address.removeprefix(_CLIENT), str(_CLIENT_PORT)
    if not host or not port.isdigit():
        return None
    host = host.strip("[]")
    if host in _LOOPBACK and not address.startswith(_CLIENT):
        from ray._private.services import get_node_ip_address

        host = get_node_ip_address()
    return host, int(port)


def _hint(address: str) -> str:
    host = address.rpartition(":")[0]
    if host in _LOOPBACK:
        return f"; Ray takes {host} for {(endpoint_of(address) or ('',))[0]}: a head on loopback alone is reached as `auto`"
    return ""


def _remedy(problem: Exception) -> str:
    text = str(problem)
    if "uthenticat" in text:
        return "; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to the cluster's token"
    if "Failed to connect" in text:
        return (
            "; something answers there: if the cluster asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to it; "
            "if it does not, RAY_AUTH_MODE=disabled"
        )
    if "ersion mismatch" in text:
        return "; install on this machine what the cluster has, or the other way round"
    return ""
