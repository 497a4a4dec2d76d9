"""Weak and strong views: batched augmentation with parameters of its own for every image.

Images stay uint8 on the device; a view is drawn straight from the pool by one gather, then strong views are warped,
shaded and cut out in float. torchvision's transforms draw one set of parameters for a whole batch, consistency training
needs one an image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


class Views:
    """Makes standardised views of images of one pool.

    Args:
        images: uint8 [n, C, H, W] on the device.
        mean: Per channel, of pixels in 0..1, float [C].
        std: Likewise.
        flip: Whether mirrored images keep their class.

    Weak views use flips and whole-pixel crops only (reflected border of an eighth of the side): interpolation would
    wipe out the traces that RSMatch's detector looks for. Strong views add, each image with its own draw: rotation up
    to 30°, scale 0.8 to 1.2, shear up to 0.3, contrast 0.5 to 1.5, brightness ±0.3, and a grey square of half the side
    (Cutout, DeVries and Taylor 2017).
    """

    def __init__(self, images: Tensor, *, mean: Tensor, std: Tensor, flip: bool) -> None:
        self.images = images
        self.flip = flip
        shape = (1, -1, 1, 1)
        self._scale = (1 / (255 * std)).view(shape).to(images.device)
        self._shift = (mean / std).view(shape).to(images.device)

    def plain(self, start: int, end: int) -> Tensor:
        """The images at places start to end, standardised, float32 [end - start, C, H, W]."""
        return self._standardise(self.images[start:end])

    def weak(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Weak views float32 [n, C, H, W] of the images at places int64 [n]."""
        return self._standardise(self._crop(index, generator))

    def strong(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Strong views float32 [n, C, H, W] of the images at places int64 [n]."""
        pixels = self._crop(index, generator)
        n, _, height, width = pixels.shape
        draw = torch.rand(n, 9, generator=generator, device=pixels.device)
        theta = _affine(draw)
        images = pixels.float()
        grid = F.affine_grid(theta, [n, 1, height, width], align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        contrast = (0.5 + draw[:, 5]).view(n, 1, 1, 1)
        brightness = ((draw[:, 6] - 0.5) * 0.6 * 255).view(n, 1, 1, 1)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = ((images - middle) * contrast + (middle + brightness)).clamp_(0, 255)
        views = self._standardise(images)
        return views.masked_fill_(_square(draw[:, 7], draw[:, 8], height, width), 0.0)

    def _standardise(self, pixels: Tensor) -> Tensor:
        return pixels * self._scale - self._shift

    def _crop(self, index: Tensor, generator: torch.Generator) -> Tensor:
        n, (_, height, width), device = len(index), self.images.shape[1:], self.images.device
        reach = max(1, height // 8)
        offset = torch.randint(-reach, reach + 1, (2, n, 1), generator=generator, device=device)
        rows = _reflect(torch.arange(height, device=device) + offset[0], height)
        columns = _reflect(torch.arange(width, device=device) + offset[1], width)
        if self.flip:
            mirrored = torch.rand(n, 1, generator=generator, device=device) < 0.5
            columns = torch.where(mirrored, width - 1 - columns, columns)
        if self.images.shape[1] == 1:
            return self.images[:, 0][index[:, None, None], rows[:, :, None], columns[:, None, :]].unsqueeze(1)
        moved = self.images.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return moved.permute(0, 3, 1, 2)


def _reflect(place: Tensor, size: int) -> Tensor:
    """Places outside 0..size-1 mirrored at the border pixel."""
    place = place.abs()
    return torch.where(place >= size, 2 * (size - 1) - place, place)


def _affine(draw: Tensor) -> Tensor:
    """Matrices [n, 2, 3] of rotation × shear / scale with a small shift, from draws in 0..1 [n, ≥ 5]."""
    angle = (draw[:, 0] - 0.5) * (math.pi / 3)
    scale = 1 / (0.8 + 0.4 * draw[:, 1])
    shear = (draw[:, 2] - 0.5) * 0.6
    shift = (draw[:, 3:5] - 0.5) * 0.25
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack([cos, shear * cos - sin, shift[:, 0], sin, shear * sin + cos, shift[:, 1]], dim=1)
    return rows.view(-1, 2, 3)


def _square(y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
    """Mask [n, 1, H, W] of a square of half the side, centred anywhere on the image, clipped at its border."""
    half = max(height // 4, 1)

    def hit(centre: Tensor, size: int) -> Tensor:
        place = torch.arange(size, device=centre.device)
        return ((place - (centre * size).floor().unsqueeze(1)).abs() + 0.5) < half

    return (hit(y, height).unsqueeze(2) & hit(x, width).unsqueeze(1)).unsqueeze(1)
