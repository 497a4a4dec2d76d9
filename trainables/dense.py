"""The dense form of a step: all views through the backbone in one pass, as the papers write it.

Its losses and gradients are those of the sparse form, up to rounding, as no image's features depend on another's. It is there
to show that, and to measure against.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from trainables.algorithms.base import Batch
from trainables.networks import Pass


class _Joined:
    """Strong views that were passed already: those that are taken bring their features along."""

    def __init__(self, images: Tensor, features: Tensor, backbone: Pass) -> None:
        self._images, self._features, self._backbone = images, features, backbone

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, chosen: Tensor | slice) -> Tensor:
        images = self._images[chosen]
        self._backbone.note(images, self._features[chosen])
        return images


@contextmanager
def joined(classifier: nn.Module, batch: Batch) -> Iterator[Batch]:
    """Within, `classifier` answers the batch's labelled, weak and strong views from one pass over all of them.

    Args:
        classifier: As `networks.classifier` makes it; another one raises TypeError.
        batch: The batch of the step. What is yielded has the same images.
    """
    backbone = getattr(classifier, "features", None)
    if not isinstance(backbone, Pass):
        raise TypeError("training.dense: it needs a classifier that trainables.networks.classifier has made")
    groups = (batch.labelled, batch.weak, batch.strong)
    labelled, weak, strong = torch.split(backbone(torch.cat(groups)), [len(images) for images in groups])
    try:
        backbone.note(batch.labelled, labelled)
        backbone.note(batch.weak, weak)
        yield replace(batch, strong_views=_Joined(batch.strong, strong, backbone))
    finally:
        backbone.forget()
