"""A Ray cluster to run on: one that is there, or a local one that ends with the driver."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

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
    ray.init(address=address or "local", **options)
    try:
        yield ray
    finally:
        ray.shutdown()


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
        done, waiting = ray.wait(waiting, num_returns=1)
        ray.get(done)
        console.print(f"  {len(jobs) - len(waiting)}/{len(jobs)} seed blocks", highlight=False)
