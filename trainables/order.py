"""Batch order of one seed block: found from the step, so that nothing about it needs to be saved."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.seeds import stream_seed


class BatchOrder:
    """Batches of `size` places out of `n`, each place once an epoch, epochs joined without a gap.

    Args:
        n: Number of images; with 0, every batch is empty.
        size: Places a batch.
        seed: The seed block.
        name: The stream, so that labelled and unlabelled images are in independent order.
    """

    def __init__(self, n: int, size: int, seed: int, name: str) -> None:
        self._n, self._size = n, size
        self._seed, self._name = seed, name
        self._epochs: dict[int, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """Places of the batch at `step`, int64 [size], on the CPU."""
        if not self._n:
            return torch.empty(0, dtype=torch.int64)
        parts, start, left = [], step * self._size, self._size
        while left:
            epoch, offset = divmod(start, self._n)
            part = self._epoch(epoch)[offset : offset + left]
            parts.append(part)
            start += len(part)
            left -= len(part)
        return torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._epochs:
            if len(self._epochs) > 4:
                self._epochs.clear()
            generator = torch.Generator().manual_seed(stream_seed(self._seed, self._name, epoch))
            self._epochs[epoch] = torch.randperm(self._n, generator=generator)
        return self._epochs[epoch]
