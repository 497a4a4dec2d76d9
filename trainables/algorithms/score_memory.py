"""RSMatch's state about the unlabelled pool: score memory, pseudo-classes, and the queues that follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from trainables.algorithms.base import Task

_LABELLED_DECAY = 0.98
"""Of the average c: what labelled images have been given in the last 50 steps."""


class ScoreMemory(nn.Module):
    """How synthetic each unlabelled image has looked so far, and the most and least synthetic ones of each class.

    Every tensor is a buffer, so a checkpoint holds it.

    Args:
        task: Gives the number of classes K and of unlabelled images N.
        decay: Share of the old value in the exponential average, 0 (only the current score) to below 1.
        queue_size: M, images in each class's queue.
        class_wise: False makes one queue of K·M images for all classes.
    """

    score: Tensor
    """r_i, float32 [N] in 0..1."""
    labelled_score: Tensor
    """c: average score of labelled images, float32 [] in 0..1; -1 before the first."""
    pseudo_class: Tensor
    """Latest pseudo-label of each image, int64 [N]; -1 before the image was seen."""
    synthetic_queue: Tensor
    """Q_k as places in the pool, int64 [K, M] ([1, K·M] where not class-wise), highest score first."""
    synthetic_count: Tensor
    """Filled places of each queue, int64 [K] ([1])."""
    real_queue: Tensor
    """The least synthetic images of each pseudo-class, int64 [K, M]."""
    real_count: Tensor

    def __init__(self, task: Task, *, decay: float, queue_size: int, class_wise: bool) -> None:
        super().__init__()
        n, classes, device = task.num_unlabelled, task.num_classes, task.device
        self.decay = decay
        self.class_wise = class_wise
        self.num_classes = classes
        queues, size = (classes, queue_size) if class_wise else (1, classes * queue_size)
        self.register_buffer("score", torch.zeros(n, device=device))
        self.register_buffer("labelled_score", torch.tensor(-1.0, device=device))
        self.register_buffer("pseudo_class", torch.full((n,), -1, dtype=torch.int64, device=device))
        for name, (rows, columns) in {"synthetic": (queues, size), "real": (classes, queue_size)}.items():
            shape = (rows, min(columns, n))
            self.register_buffer(f"{name}_queue", torch.zeros(shape, dtype=torch.int64, device=device))
            self.register_buffer(f"{name}_count", torch.zeros(rows, dtype=torch.int64, device=device))

    def update(self, index: Tensor, score: Tensor, pseudo_label: Tensor) -> Tensor:
        """Fold the current scores [U] of the images at `index` into the memory; returns their new r_i [U] (eq. 6).

        An image's first score is taken whole.
        """
        seen = self.pseudo_class[index] >= 0
        new = torch.where(seen, self.decay * self.score[index] + (1 - self.decay) * score, score)
        self.score[index] = new
        self.pseudo_class[index] = pseudo_label
        return new

    def note_labelled(self, score: Tensor) -> None:
        """Fold the current scores [B] of labelled images into their average c; the first ones are taken whole."""
        now, before = score.mean(), self.labelled_score
        self.labelled_score = torch.where(before < 0, now, _LABELLED_DECAY * before + (1 - _LABELLED_DECAY) * now)

    def bound(self, threshold: float) -> Tensor:
        """Score [] from which an image is synthetic, `threshold` of the way from c to 1 (eq. 5)."""
        return self.labelled_score + threshold * (1 - self.labelled_score)

    def below(self, bound: Tensor) -> Tensor:
        """Places int64 [n] of the images that were seen and whose r_i is lower than `bound`."""
        return ((self.pseudo_class >= 0) & (self.score < bound)).nonzero().squeeze(1)

    def rebuild_queues(self) -> None:
        """Set the queues to what scores and pseudo-classes say now (eq. 7)."""
        by_class = self.pseudo_class == torch.arange(self.num_classes, device=self.score.device).unsqueeze(1)
        members = by_class if self.class_wise else (self.pseudo_class >= 0).unsqueeze(0)
        self._fill(self.synthetic_queue, self.synthetic_count, members, self.score)
        self._fill(self.real_queue, self.real_count, by_class, -self.score)

    @staticmethod
    def _fill(queue: Tensor, count: Tensor, members: Tensor, rank: Tensor) -> None:
        ranked = torch.where(members, rank, -torch.inf)
        queue.copy_(ranked.topk(queue.shape[1], dim=1).indices)
        count.copy_(members.sum(dim=1).clamp(max=queue.shape[1]))

    @property
    def ready(self) -> bool:
        """Whether both kinds of queue hold an image."""
        return bool((self.synthetic_count.sum() > 0) & (self.real_count.sum() > 0))

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Places of n least synthetic and of n most synthetic images, each spread evenly over its non-empty queues."""
        real = _draw(self.real_queue, self.real_count, n, generator)
        return real, _draw(self.synthetic_queue, self.synthetic_count, n, generator)


def _draw(queue: Tensor, count: Tensor, n: int, generator: torch.Generator) -> Tensor:
    rows = count.nonzero().squeeze(1)
    if len(rows) > n:  # where not every queue has its turn in one draw, chance says which have
        rows = rows[torch.randperm(len(rows), generator=generator, device=queue.device)]
    row = rows[torch.arange(n, device=queue.device) % len(rows)]
    place = torch.rand(n, generator=generator, device=queue.device) * count[row]
    return queue[row, place.long().clamp(max=queue.shape[1] - 1)]
