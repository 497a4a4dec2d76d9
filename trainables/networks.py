"""Networks: the classifier's backbone and head, and RSMatch's detector.

All normalisation is by group (Wu and He 2018, arXiv:1803.08494), so an image's features do not depend on which others share
its batch: images that a loss does not use need no pass, and real and synthetic images do not mix through batch statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from trainables.algorithms.base import Task

ImageShape = tuple[int, int, int]
"""Channels, height, width."""

_PIECE_PIXELS = 2**15
"""Pixels of a piece of a pass without gradient on a CPU, whose activations stay in its caches."""
_LARGE_IMAGE = 64
"""Shorter side in pixels from which torchvision's ResNets have the stem that was made for ImageNet."""
_RESNET_GROUPS = 32
_COMPILER = "inductor"
"""torch.compile's backend."""
_MEDIUM_IMAGE = 16
"""Shorter side in pixels from which the small CNN halves its images at once."""


class Pass(nn.Module):
    """Layers, and how images go through them: images float32 [n, C, H, W] to float32, whatever it is computed in.

    Args:
        layers: Images to what comes out, image by image.
        precision: `float32` or `bfloat16`; the latter runs convolutions and matrix products under `torch.autocast`.
        compiled: Compile the layers (`torch.compile`) at their first pass, for any number of images. Copies, as the averaged
            weights that are evaluated, are not compiled.

    On a CPU, a pass without gradient goes in pieces: nothing of it is kept, and large activations cost more in new memory
    pages than in arithmetic.
    """

    def __init__(self, layers: nn.Module, precision: str = "float32", *, compiled: bool = False) -> None:
        super().__init__()
        self.layers = layers
        if compiled:
            layers.compile(dynamic=True, backend=_COMPILER)
        self.precision = precision
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, images: Tensor) -> Tensor:
        """The layers' answer, or the one that was noted for this very tensor."""
        if id(images) in self._known:
            return self._known[id(images)][1]
        if self.precision == "float32":
            return self._answer(images)
        with torch.autocast(images.device.type, torch.bfloat16):
            answer = self._answer(images)
        return answer.float()

    def _answer(self, images: Tensor) -> Tensor:
        piece = max(1, _PIECE_PIXELS // (images.shape[-2] * images.shape[-1]))
        if torch.is_grad_enabled() or images.device.type != "cpu" or len(images) <= piece:
            answer: Tensor = self.layers(images)
            return answer
        return torch.cat([self.layers(part) for part in torch.split(images, piece)])

    def note(self, images: Tensor, answer: Tensor) -> None:
        """Answer these images, this very tensor, with `answer` until `forget`."""
        self._known[id(images)] = (images, answer)

    def forget(self) -> None:
        """Drop what was noted."""
        self._known.clear()


def _block(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(4, channels_out),
        nn.ReLU(inplace=True),
    ]


class SmallCNN(nn.Sequential):
    """Four convolutions and a global mean, for images of 8 to 64 pixels: [n, C, H, W] to [n, 64].

    A place of the last one sees 19 by 19 pixels (13 by 13 where images are below 16), enough to tell a shape from its patches.
    """

    def __init__(self, shape: ImageShape) -> None:
        strides = (2, 1, 2, 1) if min(shape[1:]) >= _MEDIUM_IMAGE else (1, 2, 1, 1)
        channels = (shape[0], 16, 32, 64, 64)
        blocks = [_block(*pair, stride) for pair, stride in zip(pairwise(channels), strides, strict=True)]
        super().__init__(*chain.from_iterable(blocks), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _PreActivation(nn.Module):
    """Two 3×3 convolutions, each after normalisation and ReLU, and a way around them (their figure 1c, B(3,3))."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.first_norm = _wide_norm(channels_in)
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.second_norm = _wide_norm(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.around = None
        if channels_in != channels_out:
            self.around = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.first_norm(x), inplace=True)
        inner: Tensor = self.second(F.relu(self.second_norm(self.first(active)), inplace=True))
        return inner + (x if self.around is None else self.around(active))


def _wide_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // 16, channels)  # 16 channels a group (Wu and He 2018, table 3)


class WideResNet(nn.Sequential):
    """WRN-d-k (Zagoruyko and Komodakis 2016, arXiv:1605.07146, table 1): [n, C, H, W] to [n, 64 k].

    Three stages of (d − 4) / 6 blocks, with 16 k, 32 k and 64 k channels, the second and the third at half the side of the
    one before. No dropout.

    Args:
        shape: Of the images; a side has 8 pixels or more.
        depth: d, 4 more than a multiple of 6.
        widening: k.
    """

    def __init__(self, shape: ImageShape, *, depth: int, widening: int) -> None:
        blocks: list[nn.Module] = []
        channels = 16
        for stage in range(3):
            wide = 16 * 2**stage * widening
            for place in range((depth - 4) // 6):
                blocks.append(_PreActivation(channels, wide, stride=2 if stage and not place else 1))
                channels = wide
        super().__init__(
            nn.Conv2d(shape[0], 16, 3, padding=1, bias=False),
            *blocks,
            _wide_norm(channels),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def residual(shape: ImageShape, *, name: str) -> nn.Module:
    """torchvision's ResNet of that name (He et al. 2016, arXiv:1512.03385) without its head: [n, C, H, W] to [n, width].

    Below 64 pixels its stem is a 3×3 convolution of stride 1 without pooling, as is usual for CIFAR.
    """
    from torchvision import models  # takes a second, and most trials have no use for it

    network = getattr(models, name)(norm_layer=partial(nn.GroupNorm, _RESNET_GROUPS))
    small = min(shape[1:]) < _LARGE_IMAGE
    stem = (3, 1, 1) if small else (7, 2, 3)
    kernel, stride, padding = stem
    network.conv1 = nn.Conv2d(shape[0], 64, kernel, stride=stride, padding=padding, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if small:
        network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network  # type: ignore[no-any-return]


class Backbone(NamedTuple):
    """How to make the layers from images to features, and how many features."""

    build: Callable[[ImageShape], nn.Module]
    width: int


BACKBONES: dict[str, Backbone] = {
    "small-cnn": Backbone(SmallCNN, 64),
    "wrn-28-2": Backbone(partial(WideResNet, depth=28, widening=2), 128),
    "wrn-28-8": Backbone(partial(WideResNet, depth=28, widening=8), 512),
    "resnet18": Backbone(partial(residual, name="resnet18"), 512),
    "resnet34": Backbone(partial(residual, name="resnet34"), 512),
    "resnet50": Backbone(partial(residual, name="resnet50"), 2048),
}
"""By the name that `training.network` has in a study; `specs.NETWORKS` describes them."""


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
    backbone = BACKBONES[task.network]
    layers = backbone.build(task.image_shape)
    made = Classifier(Pass(layers, task.precision, compiled=task.compiled), nn.Linear(backbone.width, task.num_classes))
    return made.to(task.device)


def head(task: Task) -> nn.Linear:
    """A further head on the same features (RSMatch's dummy head)."""
    return nn.Linear(BACKBONES[task.network].width, task.num_classes).to(task.device)


def detector(task: Task) -> Pass:
    """RSMatch's detector on the task's device, a small CNN: images [n, C, H, W] to one logit [n], positive for synthetic."""
    layers = nn.Sequential(
        *_block(task.image_shape[0], 16, 1),
        *_block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 1),
        nn.Flatten(0),
    )
    return Pass(layers, task.precision, compiled=task.compiled).to(task.device)
