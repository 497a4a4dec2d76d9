"""How much of a GPU's memory trials take, and so how many share one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from results.records.documents import read_document
from trainables.files import write_atomically

FILE_NAME = "gpu_memory.json"
HEADROOM = 1.15
"""A trial gets so much more than it was seen to take."""
MOST_PER_GPU = 16
_CLOSE = 1e-6


def share_of(taken: int, total: int) -> float:
    """The share of a GPU, 1/k, for trials that take so many bytes of its memory: as many on one GPU as fit with headroom."""
    together = math.floor(total / max(taken * HEADROOM, 1) + _CLOSE)
    return 1 / min(max(together, 1), MOST_PER_GPU)


class GpuShares:
    """What share of a GPU the trials of each arm hold: measured where the study leaves it open, more after one had too little.

    Args:
        shares: What they hold at first, by arm; for an arm that is left open a whole GPU.
        measured: Arms that are left open (`gpus: auto`).
        folder: The study's, which keeps what was seen for the next run; None for no such file.
    """

    def __init__(
        self, shares: Mapping[str, float], *, measured: frozenset[str] = frozenset(), folder: Path | None = None
    ) -> None:
        self._shares = dict(shares)
        self._measured = measured
        self._least: dict[str, float] = {}
        self._path = folder / FILE_NAME if folder is not None else None
        self._seen = self._load()
        for arm, (taken, total) in self._seen.items():
            self._settle(arm, taken, total)

    def __getitem__(self, arm: str) -> float:
        """GPUs that a trial of the arm holds."""
        return self._shares.get(arm, 0.0)

    def learn(self, arm: str, taken: int, total: int) -> None:
        """A trial of the arm was seen to take so many bytes of a GPU that has `total`."""
        known_taken, known_total = self._seen.get(arm, (0, 1))
        if taken / total > known_taken / known_total:
            self._seen[arm] = (taken, total)
            self._settle(arm, taken, total)
            if self._path is not None:
                write_atomically(self._path, json.dumps(self._seen).encode())

    def grow(self, arm: str) -> float | None:
        """After a trial of the arm ran out of memory: give the arm twice its share; None where that was a whole GPU."""
        share = self[arm]
        if not 0 < share < 1:
            return None
        self._least[arm] = self._shares[arm] = min(1.0, 2 * share)
        return self._shares[arm]

    def _settle(self, arm: str, taken: int, total: int) -> None:
        if arm in self._measured and self._shares.get(arm):
            self._shares[arm] = max(share_of(taken, total), self._least.get(arm, 0.0))

    def _load(self) -> dict[str, tuple[int, int]]:
        """What an earlier run saw; a file that does not say is no matter, for it will be seen again."""
        try:
            raw = read_document(self._path) if self._path is not None else {}
            return {str(arm): (int(taken), int(total)) for arm, (taken, total) in raw.items() if int(total) > 0}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError):
            return {}
