"""The process that runs trials, and what it says beside their results: how much they take of a GPU's memory and energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ray

from orchestrator.cluster.gpu_energy import EnergyMeter
from orchestrator.engine.payload import GPU_ENERGY, GPU_MEMORY, KEEP_MODEL, MODEL
from trainables.evaluated_model import pack_model
from trainables.lazy import LazyModule
from trainables.trainable import PAYLOAD, AblationTrainable, seed_block

if TYPE_CHECKING:
    import torch

    from trainables.training import Trainer
else:  # the driver imports this module too, to name the class
    torch = LazyModule("torch")

CONTEXT_BYTES = 700 << 20
"""What CUDA itself takes in every process, and torch does not count."""


class StudyTrainable(AblationTrainable):
    """AblationTrainable that measures, and hands the evaluated network over where it is asked to."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial in the same process; what the last one took of the GPU is given back."""
        done = super().reset_config(new_config)
        _give_back()
        self._energy = EnergyMeter()
        self._energy.start()
        return done

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        result = super().step()
        (payload,) = result[PAYLOAD]
        if self.config.get(KEEP_MODEL) and result["done"] and not payload.get("failed"):
            payload[MODEL] = pack_model(*self._evaluated)
        measured = gpu_memory()
        if measured is not None:
            payload[GPU_MEMORY] = measured
        taken = self._energy.watt_hours()
        if taken is not None:  # trials that share a GPU share its energy by what they hold of it, not by what they do
            payload[GPU_ENERGY] = taken * min(gpus_held(), 1.0)
        if payload.get("failed"):
            _give_back()
        return result

    def _open(self) -> Trainer:
        shared = self._shared
        trainer = super()._open()
        if self.config.get(KEEP_MODEL):
            spec = trainer.spec
            block = seed_block(
                spec.data, spec.seed, spec.phase, self.config["cache"], str(trainer.device), shared
            )  # the one that the trainer has, which this process keeps
            self._evaluated = (trainer, block.statistics)
        return trainer


def _uses_gpu() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _give_back() -> None:
    if _uses_gpu():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def gpus_held() -> float:
    """GPUs, or the share of one, that Ray has given to this process; a whole one where it was not started by Ray."""
    if not ray.is_initialized():  # asking would start a cluster
        return 1.0
    return float(ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0))


def gpu_memory() -> tuple[int, int] | None:
    """Bytes that this process has taken of its GPU at most, and bytes that the GPU has; None where it uses none."""
    if not _uses_gpu():
        return None
    _, total = torch.cuda.mem_get_info()
    return torch.cuda.max_memory_reserved() + CONTEXT_BYTES, total
