"""Faults that public text-to-image models have and a generator trained on the task's own data has not, each with a knob.

A knob of 0 changes nothing. They act on a generator's finished images, in the order in which they stand in `FAULTS`: what is
drawn too alike, or of the wrong class, is then made badly, and all of it in the generator's own style. Image i depends on the
images of its own block of 250 alone, so a larger pool begins with the smaller one's images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from trainables.data.datasets import I64, U8
from trainables.data.generators import DRAWN_AT_ONCE
from trainables.lazy import LazyModule
from trainables.seeds import stream_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional as F
else:
    torch, F = LazyModule("torch"), LazyModule("torch.nn.functional")

MODES = 4
"""Images of a class, in each block, that `few_modes` repeats."""


def with_faults(images: U8, labels: I64, faults: Mapping[str, float], *, seed: int) -> U8:
    """The images as a generator with these faults would have made them.

    Args:
        images: uint8 [n, C, H, W].
        labels: The class that was asked for, int64 [n].
        faults: Strength in 0..1 by name, see `FAULTS`.
        seed: Fixes all draws, the generator's style among them.
    """
    wanted = {name: faults[name] for name in FAULTS if faults.get(name, 0) > 0}
    if not wanted or not len(images):
        return images
    changed = np.empty_like(images)
    for start in range(0, len(images), DRAWN_AT_ONCE):
        end = start + DRAWN_AT_ONCE
        block = torch.from_numpy(images[start:end]).float() / 255
        for name, strength in wanted.items():
            draws = torch.Generator().manual_seed(stream_seed(seed, name, start))
            block = FAULTS[name](block, torch.from_numpy(labels[start:end]), strength, draws, stream_seed(seed, name))
        changed[start:end] = (block.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return changed


def _few_modes(x: Tensor, labels: Tensor, share: float, draws: torch.Generator, style: int) -> Tensor:
    """A share of the images repeats one of four of its class, moved by up to a pixel."""
    repeats = torch.rand(len(x), generator=draws) < share
    which = torch.randint(MODES, (len(x),), generator=draws)
    moves = torch.randint(-1, 2, (len(x), 2), generator=draws)
    changed = x.clone()
    for i in repeats.nonzero().squeeze(1).tolist():
        same = (labels == labels[i]).nonzero().squeeze(1)[:MODES]
        changed[i] = _moved(x[same[which[i] % len(same)]], *moves[i].tolist())
    return changed


def _moved(image: Tensor, down: int, right: int) -> Tensor:
    """The image [C, H, W] moved by whole pixels, its border repeated."""
    height, width = image.shape[1:]
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    return image[:, rows][:, :, (torch.arange(width) - right).clamp(0, width - 1)]


def _semantic_drift(x: Tensor, labels: Tensor, share: float, draws: torch.Generator, style: int) -> Tensor:
    """A share of the images is only half of its class: a half-way mixture with another, or the lower half of another."""
    drifts = torch.rand(len(x), generator=draws) < share
    mixed = torch.rand(len(x), generator=draws) < 0.5
    partner = torch.rand(len(x), len(x), generator=draws)
    other = labels.unsqueeze(0) != labels.unsqueeze(1)
    source = x[torch.where(other, partner, -1.0).argmax(dim=1)]
    below = torch.arange(x.shape[2]).view(1, 1, -1, 1) >= x.shape[2] // 2
    drifted = torch.where(mixed.view(-1, 1, 1, 1), (x + source) / 2, torch.where(below, source, x))
    return torch.where((drifts & other.any(dim=1)).view(-1, 1, 1, 1), drifted, x)


def _uneven_quality(x: Tensor, labels: Tensor, share: float, draws: torch.Generator, style: int) -> Tensor:
    """A share of the images is poor: blurred (to between a half and an eighth of the resolution), noisy, or both."""
    poor = torch.rand(len(x), generator=draws) < share
    kind = torch.randint(3, (len(x),), generator=draws)
    depth = torch.randint(1, 4, (len(x),), generator=draws)
    amount = 0.05 + 0.2 * torch.rand(len(x), 1, 1, 1, generator=draws)
    noise = torch.randn(x.shape, generator=draws) * amount
    side = x.shape[2:]
    changed = x.clone()
    for d in (1, 2, 3):
        small = F.interpolate(x, size=[max(s // 2**d, 2) for s in side], mode="area")
        blurred = F.interpolate(small, size=list(side), mode="bilinear", align_corners=False)
        here = (depth == d) & (kind != 1)
        changed[here] = blurred[here]
    changed = torch.where((kind > 0).view(-1, 1, 1, 1), changed + noise, changed)
    return torch.where(poor.view(-1, 1, 1, 1), changed.clamp(0, 1), x)


def _domain_gap(x: Tensor, labels: Tensor, strength: float, draws: torch.Generator, style: int) -> Tensor:
    """Every image is in one style, the generator's: framing, tone, contrast, a lit background and a texture of its own."""
    own = torch.Generator().manual_seed(style)
    signs = torch.randint(0, 2, (2,), generator=own).double() * 2 - 1
    n, _, height, width = x.shape
    wobble = torch.rand(n, 4, generator=draws)
    zoom = torch.exp(strength * (0.3 * float(signs[0]) + 0.1 * (wobble[:, 0] - 0.5)))
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / zoom
    matrix[:, :, 2] = 0.3 * strength * (wobble[:, 1:3] - 0.5)
    grid = F.affine_grid(matrix, [n, 1, height, width], align_corners=False)
    framed = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    toned = framed.clamp(0, 1) ** math.exp(0.7 * strength * float(signs[1]))
    flat = 0.5 + (toned - 0.5) * (1 - 0.5 * strength)
    coarse = torch.randn(1, x.shape[1], max(height // 4, 2), max(width // 4, 2), generator=own)
    texture = F.interpolate(coarse, size=[height, width], mode="bilinear", align_corners=False)
    fine = torch.randn(1, x.shape[1], height, width, generator=own)
    own_share = 0.5 + wobble[:, 3].view(n, 1, 1, 1)
    return (flat + strength * own_share * (0.12 * texture + 0.06 * fine)).clamp(0, 1)


Fault = Callable[["Tensor", "Tensor", float, "torch.Generator", int], "Tensor"]
FAULTS: dict[str, Fault] = {
    "few_modes": _few_modes,
    "semantic_drift": _semantic_drift,
    "uneven_quality": _uneven_quality,
    "domain_gap": _domain_gap,
}
"""By the name of the field of `DataSpec`: images [n, C, H, W] in 0..1, labels [n], strength, draws, seed of the style."""
