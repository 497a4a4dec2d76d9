"""Where a trained network puts unlabelled images: a sample of its features, small enough to be sent and kept."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

MOST_CLASSES = 10
"""More cannot be told apart in a picture."""
IMAGES_PER_CLASS = 30
"""Real ones, and as many synthetic ones."""
MOST_COMPONENTS = 16


@torch.no_grad()
def features_sample(features: Callable[[Tensor], Tensor], labels: Tensor, synthetic: Tensor) -> bytes:
    """Features of a few real and synthetic images of each class, as the bytes of an `.npz` file.

    Its arrays are `features`, float16 [n, d], d ≤ 16: the principal components of these n images' features, each with the sign
    that makes its largest weight positive; `classes`, int16 [n]; `synthetic`, bool [n].

    Args:
        features: Of images at places int64 [n] of the pool, float [n, width].
        labels: True or asked-for classes of the unlabelled pool, int64 [N].
        synthetic: bool [N].
    """
    places = torch.cat(
        [
            ((labels == k) & (synthetic == origin)).nonzero().squeeze(1)[:IMAGES_PER_CLASS]
            for origin in (False, True)
            for k in range(MOST_CLASSES)
        ]
    )
    found = _principal(features(places).double().cpu()) if len(places) else torch.empty(0, 0)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        features=found.half().numpy(),
        classes=labels[places].cpu().numpy().astype(np.int16),
        synthetic=synthetic[places].cpu().numpy(),
    )
    return content.getvalue()


def _principal(rows: Tensor) -> Tensor:
    """The first principal components of rows, float64 [n, width] to [n, at most 16]."""
    centred = rows - rows.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    axes = axes[:MOST_COMPONENTS]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    found: Tensor = centred @ (axes * torch.where(largest < 0, -1.0, 1.0)).T
    return found
