"""The generators' networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, int, int]
"""Channels, height, width."""
FLOW_BATCH = 64
"""Images a step where the velocity is a U-Net."""
LARGE = 28
"""Side from which it is one."""
_GRID = 14
"""Its finest feature maps have about this side: larger images are cut into patches first."""


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape [C, H, W] are treated as pictures and not as vectors."""
    return min(shape[1:]) >= LARGE


def mlp(*widths: int) -> nn.Sequential:
    """A perceptron with SiLU between its layers."""
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def vae(shape: Shape, num_classes: int, latent: int, width: int) -> nn.ModuleDict:
    """Encoder [n, D + K] to mean and log-variance [n, 2 `latent`], decoder [n, `latent` + K] to logits [n, D]."""
    pixels = math.prod(shape)
    return nn.ModuleDict(
        {
            "encoder": mlp(pixels + num_classes, width, 2 * latent),
            "decoder": mlp(latent + num_classes, width, pixels),
        }
    )


class PCA(nn.Module):
    """What principal components keep of each class, as buffers."""

    mean: Tensor
    """[K, D]."""
    directions: Tensor
    """[K, components, D], each as long as the standard deviation along it."""
    noise: Tensor
    """[K, D]: standard deviation of what is left."""

    def __init__(self, pixels: int, num_classes: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_classes, pixels))
        self.register_buffer("directions", torch.zeros(num_classes, components, pixels))
        self.register_buffer("noise", torch.zeros(num_classes, pixels))


def pca(shape: Shape, num_classes: int, components: int) -> PCA:
    """An empty `PCA`."""
    return PCA(math.prod(shape), num_classes, components)


def velocity(shape: Shape, num_classes: int, width: int) -> nn.Module:
    """v: points [n, C, H, W], times [n, 1] in 0..1 and classes [n, K] to velocities [n, C, H, W]."""
    return UNet(shape, num_classes) if is_large(shape) else FlatVelocity(shape, num_classes, width)


def _moments(t: Tensor, count: int) -> Tensor:
    angles = t * (2.0 ** torch.arange(count, device=t.device) * torch.pi)
    return torch.cat([angles.sin(), angles.cos()], 1)


class FlatVelocity(nn.Module):
    """A perceptron on pixels."""

    def __init__(self, shape: Shape, num_classes: int, width: int) -> None:
        super().__init__()
        pixels = math.prod(shape)
        self.layers = mlp(pixels + num_classes + 10, width, width, width, pixels)

    def forward(self, points: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """As `velocity` says."""
        flat: Tensor = self.layers(torch.cat([points.flatten(1), _moments(t, 5), label], 1))
        return flat.view_as(points)


class _Block(nn.Module):
    """Two convolutions with a shortcut; time and class shift and scale in between."""

    def __init__(self, width_in: int, width: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(4, width_in), nn.SiLU(), nn.Conv2d(width_in, width, 3, padding=1))
        self.norm = nn.GroupNorm(4, width, affine=False)
        self.condition = nn.Linear(condition, 2 * width)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.condition(condition)[:, :, None, None].chunk(2, dim=1)
        result: Tensor = self.shortcut(x) + self.second(self.norm(self.first(x)) * (1 + scale) + shift)
        return result


class UNet(nn.Module):
    """A U-Net of two levels (after Ho et al. 2020, arXiv:2006.11239) on patches, for images of 28 pixels and up."""

    widths = (32, 64)

    def __init__(self, shape: Shape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.patch = max(1, round(min(height, width) / (_GRID + 1)))
        self.size = (height, width)
        unit = 2 * self.patch
        self.border = (-width % unit, -height % unit)
        fine, coarse = self.widths
        condition = 64
        self.condition = nn.Sequential(nn.Linear(16 + num_classes, condition), nn.SiLU())
        self.enter = nn.Conv2d(channels * self.patch**2, fine, 3, padding=1)
        self.down = _Block(fine, fine, condition)
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([_Block(coarse, coarse, condition), _Block(coarse, coarse, condition)])
        self.grow = nn.Conv2d(coarse, fine, 1)
        self.up = _Block(2 * fine, fine, condition)
        last = nn.Conv2d(fine, channels * self.patch**2, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.leave = nn.Sequential(nn.GroupNorm(4, fine), nn.SiLU(), last)

    def forward(self, points: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """As `velocity` says."""
        condition = self.condition(torch.cat([_moments(t, 8), label], 1))
        right, below = self.border
        x = F.pad(points, (0, right, 0, below), mode="replicate") if right or below else points
        x = self.enter(F.pixel_unshuffle(x, self.patch))
        x = self.down(x, condition)
        deep = self.shrink(x)
        for block in self.middle:
            deep = block(deep, condition)
        x = self.up(torch.cat([x, F.interpolate(self.grow(deep), scale_factor=2.0)], 1), condition)
        result: Tensor = F.pixel_shuffle(self.leave(x), self.patch)
        return result[:, :, : self.size[0], : self.size[1]]
