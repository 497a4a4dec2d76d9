"""Weak and strong views: batched augmentation with parameters of its own for every image.

Images stay uint8 on the device; a view is drawn straight from the pool by one gather, then strong views are warped,
shaded and cut out in float. torchvision's transforms draw one set of parameters for a whole batch, consistency training
needs one an image.

Drawing the parameters and making the views are two things: all parameters are drawn at once, so the stream does not depend
on what is made, and a strong view is made when somebody takes it. The views of images that no loss uses are never made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What was drawn for each of n views."""

    offset: Tensor
    """Of the crop, int64 [2, n, 1]: rows, columns."""
    mirrored: Tensor | None
    """bool [n, 1]; None where no image is."""
    warp: Tensor
    """Float [n, 9] in 0..1, for strong views; [n, 0] for weak ones."""

    def __getitem__(self, places: Tensor | slice) -> Draw:
        """The draws at these places."""
        mirrored = None if self.mirrored is None else self.mirrored[places]
        return Draw(offset=self.offset[:, places], mirrored=mirrored, warp=self.warp[places])


class StrongViews:
    """Strong views of the images at places int64 [n], each made when it is taken: `strong_views[chosen]`.

    An image's view is the same, whichever others are made with it.
    """

    def __init__(self, views: Views, index: Tensor, draw: Draw) -> None:
        self._views, self._index, self._draw = views, index, draw

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, chosen: Tensor | slice) -> Tensor:
        """Views float32 [m, C, H, W] of those at int64 [m]."""
        return self._views.made_strong(self._index[chosen], self._draw[chosen])

    def chunk(self, parts: int) -> list[StrongViews]:
        """As `Tensor.chunk`, where `parts` divides n."""
        size = len(self) // parts
        cuts = [slice(start, start + size) for start in range(0, len(self), size)]
        return [StrongViews(self._views, self._index[cut], self._draw[cut]) for cut in cuts]


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

    def plain_at(self, index: Tensor) -> Tensor:
        """The images at places int64 [n], standardised, float32 [n, C, H, W]."""
        return self._standardise(self.images[index])

    def weak(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Weak views float32 [n, C, H, W] of the images at places int64 [n]."""
        return self._standardise(self._crop(index, self._draw(len(index), generator, warps=0)))

    def strong(self, index: Tensor, generator: torch.Generator) -> StrongViews:
        """Strong views of the images at places int64 [n]: drawn now, made when they are taken."""
        return StrongViews(self, index, self._draw(len(index), generator, warps=9))

    def made_strong(self, index: Tensor, draw: Draw) -> Tensor:
        """Strong views float32 [n, C, H, W] of the images at places int64 [n], as drawn."""
        pixels = self._crop(index, draw)
        n, _, height, width = pixels.shape
        warp = draw.warp
        images = pixels.float()
        if n == 0:
            return images
        grid = F.affine_grid(_affine(warp), [n, 1, height, width], align_corners=False)
        images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
        contrast = (0.5 + warp[:, 5]).view(n, 1, 1, 1)
        brightness = ((warp[:, 6] - 0.5) * 0.6 * 255).view(n, 1, 1, 1)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = images.sub_(middle).mul_(contrast).add_(middle + brightness).clamp_(0, 255)
        views = images.mul_(self._scale).sub_(self._shift)
        return views.masked_fill_(_square(warp[:, 7], warp[:, 8], height, width), 0.0)

    def _standardise(self, pixels: Tensor) -> Tensor:
        return pixels * self._scale - self._shift

    def _draw(self, n: int, generator: torch.Generator, *, warps: int) -> Draw:
        device, reach = self.images.device, max(1, self.images.shape[2] // 8)
        offset = torch.randint(-reach, reach + 1, (2, n, 1), generator=generator, device=device)
        mirrored = torch.rand(n, 1, generator=generator, device=device) < 0.5 if self.flip else None
        return Draw(offset=offset, mirrored=mirrored, warp=torch.rand(n, warps, generator=generator, device=device))

    def _crop(self, index: Tensor, draw: Draw) -> Tensor:
        """The images at places [n] shifted and mirrored as drawn, uint8 [n, C, H, W]."""
        (channels, height, width), device = self.images.shape[1:], self.images.device
        rows = _reflect(torch.arange(height, device=device) + draw.offset[0], height)
        columns = _reflect(torch.arange(width, device=device) + draw.offset[1], width)
        if draw.mirrored is not None:
            columns = torch.where(draw.mirrored, width - 1 - columns, columns)
        if channels == 1:
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
