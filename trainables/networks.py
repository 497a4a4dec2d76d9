"""Networks: the classifier's backbone and head, and RSMatch's detector.

All normalisation is by group (Wu and He 2018), so an image's features do not depend on which others share its batch:
images that a loss does not use need no pass, and real and synthetic images do not mix through batch statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from trainables.algorithms.base import Task


def _block(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(4, channels_out),
        nn.ReLU(inplace=True),
    ]


class SmallCNN(nn.Sequential):
    """Three convolutions and a global mean, for images of 8 to 64 pixels: [n, C, H, W] to [n, `width`]."""

    width = 64

    def __init__(self, channels: int) -> None:
        super().__init__(
            *_block(channels, 16, 1),
            *_block(16, 32, 2),
            *_block(32, self.width, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


BACKBONES: dict[str, Callable[[int], SmallCNN]] = {"small-cnn": SmallCNN}


class Classifier(nn.Module):
    """Backbone f and class head h: images [n, C, H, W] to logits [n, K]."""

    def __init__(self, features: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """h(f(images))."""
        logits: Tensor = self.head(self.features(images))
        return logits


def classifier(task: Task) -> Classifier:
    """The task's backbone with a class head, on its device."""
    backbone = BACKBONES[task.network](task.image_shape[0])
    return Classifier(backbone, nn.Linear(backbone.width, task.num_classes)).to(task.device)


def head(task: Task) -> nn.Linear:
    """A further head on the same features (RSMatch's dummy head)."""
    return nn.Linear(BACKBONES[task.network].width, task.num_classes).to(task.device)  # type: ignore[attr-defined]


class Detector(nn.Sequential):
    """A small CNN on images: [n, C, H, W] to one logit [n], positive for synthetic."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            *_block(channels, 16, 1),
            *_block(16, 32, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 1),
            nn.Flatten(0),
        )


def detector(task: Task) -> Detector:
    """RSMatch's detector on the task's device."""
    return Detector(task.image_shape[0]).to(task.device)
