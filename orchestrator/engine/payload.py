"""What the process of a trial says beside its scores, and how the driver asks for it."""

from __future__ import annotations

GPU_MEMORY = "gpu_memory"
"""Key of a payload: bytes of a GPU that the trial has taken at most, and bytes that the GPU has."""
GPU_ENERGY = "gpu_energy"
"""Key of a payload: watt-hours that the trial has taken of its GPU in this process."""
OUT_OF_MEMORY = "OutOfMemoryError: "
"""With which the message of a trial begins that a GPU had no memory for."""
KEEP_MODEL, MODEL = "keep_model", "model"
"""Key of a configuration that asks for the evaluated network, and of the payload that has it."""


def ran_out_of_memory(failed: str) -> bool:
    """Whether a trial's message says that a GPU had no memory for it."""
    return failed.startswith(OUT_OF_MEMORY)
