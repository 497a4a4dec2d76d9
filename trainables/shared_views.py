"""Views of images that lie in memory which other processes read too: a batch is copied, the pool never is."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor

from trainables.data.picked import ImageSet, Picked, as_picked
from trainables.views import StrongViews, Views

_CHUNK = 4096


class SharedViews:
    """As `Views`, of images that are gathered batch by batch on the CPU from the arrays in which they lie.

    The images are drawn first and then viewed, which gives the bits that `Views` of the whole pool gives, and takes no
    longer, for a batch stays in the processor's cache.

    Args:
        images: Where the images are.
        views: What makes views; holds no images.
    """

    def __init__(self, images: Picked, views: Views) -> None:
        self._parts = [read_only(part.images) for part in images.parts]
        self._starts = images.starts
        self._place = read_only(images.place)
        self._views = views

    def plain(self, start: int, end: int) -> Tensor:
        """The images at places start to end, standardised, float32 [end - start, C, H, W]."""
        return self.plain_at(torch.arange(start, min(end, len(self._place))))

    def plain_at(self, index: Tensor) -> Tensor:
        """The images at places int64 [n], standardised, float32 [n, C, H, W]."""
        views, index = self._drawn(index)
        if len(self._parts) > 1:
            views = self._of(views.images[index])
        return views.plain(0, len(index))

    def weak(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """Weak views float32 [n, C, H, W] of the images at places int64 [n]."""
        views, index = self._drawn(index)
        return views.weak(index, generator)

    def strong(self, index: Tensor, generator: torch.Generator) -> StrongViews:
        """Strong views of the images at places int64 [n]: drawn now, made when they are taken."""
        views, index = self._drawn(index)
        return views.strong(index, generator)

    def _drawn(self, index: Tensor) -> tuple[Views, Tensor]:
        """Views of the images at these places alone, part by part, and where among them each place's image is."""
        place = self._place[index]
        if len(self._parts) == 1:
            return self._of(self._parts[0].index_select(0, place)), torch.arange(len(index))
        images = self._parts[0].new_empty((len(index), *self._parts[0].shape[1:]))
        where = torch.empty_like(index)
        done = 0
        for part, first in zip(self._parts, self._starts, strict=False):
            here = ((place >= first) & (place < first + len(part))).nonzero().squeeze(1)
            end = done + len(here)
            torch.index_select(part, 0, place[here] - first, out=images[done:end])
            where[here] = torch.arange(done, end)
            done = end
        return self._of(images), where

    def _of(self, images: Tensor) -> Views:
        views = copy.copy(self._views)
        views.images = images
        return views


def views_of(images: ImageSet, device: torch.device, *, flip: bool, mean: Tensor, std: Tensor) -> Views | SharedViews:
    """Views of these images on `device`: on the CPU of the arrays as they lie there, elsewhere of one copy on the device.

    Either way a batch has the same layout however the arrays were read, for convolutions round by layout.
    """
    picked = as_picked(images)
    if device.type != "cpu":
        return Views(on_device(picked, device), flip=flip, mean=mean, std=std)
    none = torch.empty((0, *picked.image_shape), dtype=torch.uint8)
    return SharedViews(picked, Views(none, flip=flip, mean=mean, std=std))


def on_device(images: Picked, device: torch.device) -> Tensor:
    """A copy of all images on `device`, uint8 [n, C, H, W]; the host holds a few thousand of them at a time."""
    found = torch.empty((len(images), *images.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(images), _CHUNK):
        part = torch.from_numpy(images.pixels(start, start + _CHUNK))
        found[start : start + len(part)] = part.to(device)
    return found


def read_only(array: Any) -> Tensor:
    """A tensor over the memory of an array, also of one that may not be written to: then nobody may write to the tensor."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
