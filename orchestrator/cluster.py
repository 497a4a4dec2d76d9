"""A Ray cluster to run on: one that is there, or a local one that ends with the driver."""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.errors import AblateError
from orchestrator.sections import ResourcesSpec
from trainables.specs import DataSpec

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

_TOKEN = "ABLATE_CLUSTER"
_DAEMONS = ("raylet", "gcs_server")
_PATIENCE = 10.0
"""Seconds for workers to end by themselves once their raylet is gone."""


class ClusterLost(AblateError):
    """Ray ended under a study that was running on it."""


class _LocalProcesses:
    """The processes of the cluster that this process started, by a token in their environment; none where there is no /proc.

    Where its raylet dies, Ray leaves the driver waiting for good and the workers alive. So the driver looks after them.
    """

    def __init__(self) -> None:
        self._token = uuid.uuid4().hex
        self._daemons: dict[int, str] = {}

    @contextmanager
    def marked(self) -> Iterator[None]:
        """Processes that are started in the block, and theirs, bear the token."""
        os.environ[_TOKEN] = self._token
        try:
            yield
        finally:
            del os.environ[_TOKEN]
        self._daemons = {pid: name for pid, name in self._alive().items() if name in _DAEMONS}

    def lost(self) -> str | None:
        """The name of a daemon that is gone."""
        return next((name for pid, name in self._daemons.items() if _process(pid) != name), None)

    def end(self) -> None:
        """Wait for what is left, then kill it."""
        deadline = time.monotonic() + (_PATIENCE if self._daemons else 0.0)
        while (left := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _alive(self) -> dict[int, str]:
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{_TOKEN}={self._token}".encode() in (path / "environ").read_bytes()
            except OSError:  # gone, or another user's
                continue
            name = _process(int(path.name))
            if marked and name is not None:
                found[int(path.name)] = name
        return found


_local: _LocalProcesses | None = None


def lost_cluster() -> ClusterLost | None:
    """Why the cluster that this process started cannot go on; None while it can, and for a cluster that was there before."""
    name = None if _local is None else _local.lost()
    if name is None:
        return None
    return ClusterLost(
        f"Ray's {name} process ended (killed, or out of memory?); what was recorded is safe: run the study again, and it goes on"
    )


def _process(pid: int) -> str | None:
    """The name of a process that is alive."""
    try:
        name, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split("(", 1)[1].rsplit(")", 1)
    except (OSError, IndexError, ValueError):
        return None
    return None if rest.split()[0] in "ZX" else name


@contextmanager
def cluster(address: str | None = None, *, num_cpus: int | None = None, num_gpus: int | None = None) -> Iterator[Any]:
    """Connect to `address`, or start a cluster of this machine on loopback; yields the ray module.

    A cluster that this call started is shut down at the end; one that was there (also one that this process is already
    connected to) is left alone.
    """
    os.environ.update({k: os.environ.get(k, v) for k, v in _ENVIRONMENT.items()})
    import ray

    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": False}
    if address is None:
        options |= {"num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": False}
        options["_node_ip_address"] = "127.0.0.1"
        os.environ.pop("RAY_ADDRESS", None)
    if address is not None:
        ray.init(address=address, **options)
        try:
            yield ray
        finally:
            ray.shutdown()
        return
    global _local
    _local = processes = _LocalProcesses()
    try:
        with processes.marked():
            ray.init(address="local", **options)
        yield ray
    finally:
        ray.shutdown()
        _local = None
        processes.end()


def gpus_per_trial(resources: ResourcesSpec, available: float) -> float:
    """GPUs of one trial: what the study says, or one where the cluster has any."""
    if resources.gpus == "auto":
        return 1.0 if available >= 1 else 0.0
    return float(resources.gpus)


def concurrent_trials(resources: ResourcesSpec, total: dict[str, float]) -> int:
    """How many trials the cluster runs at once, at least 0 where one does not fit."""
    fits = int(total.get("CPU", 0) // resources.cpus)
    gpus = gpus_per_trial(resources, total.get("GPU", 0))
    if gpus:
        fits = min(fits, int(total.get("GPU", 0) / gpus + 1e-9))
    return fits if resources.actors is None else min(fits, resources.actors)


def build_pools(ray: Any, jobs: Sequence[tuple[DataSpec, int]], cache: Path, *, gpus: float, console: Console) -> None:
    """Make the synthetic pools of these seed blocks side by side, with a line as each is done."""
    if not jobs:
        return

    @ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)  # type: ignore[untyped-decorator]
    def build(spec_json: str, seed: int, folder: str) -> None:
        import torch

        from trainables.data.seed_block import make_pools

        torch.set_num_threads(1)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        make_pools(DataSpec.model_validate_json(spec_json), seed, Path(folder), device=device)

    console.print(f"making synthetic images for {len(jobs)} seed blocks …", highlight=False)
    waiting = [build.remote(spec.model_dump_json(), seed, str(cache.resolve())) for spec, seed in jobs]
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1, timeout=1.0)
        if lost := lost_cluster():
            raise lost
        if not done:
            continue
        ray.get(done)
        console.print(f"  {len(jobs) - len(waiting)}/{len(jobs)} seed blocks", highlight=False)
