"""Images picked out of larger arrays by place: a seed block that copies no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trainables.data.datasets import I64, U8, Images


@dataclass(frozen=True, kw_only=True, eq=False)
class Picked:
    """A labelled set of images that lie in arrays which others use too.

    Answers as `Images` does. `images` and `labels` are gathered anew each time that they are asked for, so a caller that
    needs them often keeps them.

    Attributes:
        parts: Where the images are.
        place: Places in the parts laid end to end, int32 [n].
    """

    parts: tuple[Images, ...]
    place: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.place)

    @property
    def starts(self) -> tuple[int, ...]:
        """The place at which each part begins, and the one after the last part."""
        return tuple(accumulate(map(len, self.parts), initial=0))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """C, H, W."""
        return self.parts[0].images.shape[1:]

    @property
    def images(self) -> U8:
        """A copy of the pixels, uint8 [n, C, H, W]."""
        return self.pixels(0, len(self))

    @property
    def labels(self) -> I64:
        """A copy of the labels, int64 [n]."""
        return np.concatenate([part.labels for part in self.parts])[self.place]

    @property
    def fingerprint(self) -> str:
        """That of the same images as `Images`."""
        return Images(images=self.images, labels=self.labels).fingerprint

    def at(self, index: I64) -> Picked:
        """The images at these places, not copied."""
        return Picked(parts=self.parts, place=self.place[index])

    def pixels(self, start: int, end: int) -> U8:
        """A copy of the pixels of some of the images, uint8 [end - start, C, H, W]."""
        place = self.place[start:end]
        if len(self.parts) == 1:
            return self.parts[0].images[place]
        found = np.empty((len(place), *self.image_shape), np.uint8)
        for part, first in zip(self.parts, self.starts, strict=False):
            here = (place >= first) & (place < first + len(part))
            found[here] = part.images[place[here] - first]
        return found


ImageSet = Images | Picked
"""What a seed block is made of."""


def as_picked(images: ImageSet) -> Picked:
    """The same images, as places in arrays."""
    if isinstance(images, Picked):
        return images
    return Picked(parts=(images,), place=np.arange(len(images), dtype=np.int32))


def pick(part: Images, place: I64) -> Picked:
    """The images of one array at these places."""
    return Picked(parts=(part,), place=place.astype(np.int32))
