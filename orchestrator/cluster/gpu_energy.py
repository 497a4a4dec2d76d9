"""Energy that a trial took of its GPU, by the counter of the GPU itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainables.lazy import LazyModule

if TYPE_CHECKING:
    import torch
else:  # the driver imports this module too
    torch = LazyModule("torch")

JOULES_PER_WATT_HOUR = 3600.0


def energy_counter() -> float | None:
    """Joules that this process's GPU has taken since its driver was loaded, by whatever ran on it.

    None without a CUDA device, without NVIDIA's `nvidia-ml-py` (the extra `gpu`), and for a GPU that does not count: those before
    Volta, and parts of a GPU (MIG).
    """
    if not torch.cuda.is_available():
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid(torch.cuda.get_device_properties(0)))
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000.0
    except pynvml.NVMLError:
        return None


def _uuid(properties: Any) -> str:
    """As NVIDIA's library has it."""
    found = str(properties.uuid)
    return found if found.startswith(("GPU-", "MIG-")) else f"GPU-{found}"


class EnergyMeter:
    """What the process's GPU has taken since `start`, by whatever ran on it."""

    def __init__(self) -> None:
        self._from: float | None = None

    def start(self) -> None:
        """Count from here."""
        self._from = energy_counter()

    def watt_hours(self) -> float | None:
        """Since `start`; None where it cannot be measured."""
        now = energy_counter() if self._from is not None else None
        if now is None or self._from is None or now < self._from:  # the driver was loaded again
            return None
        return (now - self._from) / JOULES_PER_WATT_HOUR
