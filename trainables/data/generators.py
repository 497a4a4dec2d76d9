"""Makers of synthetic images, registered by name. Each is trained, per seed block, on the generator part alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trainables.data.datasets import I64, U8, Images
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    torch, nn, F = LazyModule("torch"), LazyModule("torch.nn"), LazyModule("torch.nn.functional")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def _silent(done: int, total: int) -> None:
    pass


class Generator:
    """A class-conditional generative model."""

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str] = ""

    def make(
        self, train: Images, labels: I64, *, num_classes: int, seed: int, device: str, progress: Progress = _silent
    ) -> U8:
        """Train on `train`, then draw one image for each of `labels`.

        Args:
            train: The generator part, real and labelled.
            labels: Class to ask for, int64 [n].
            num_classes: K.
            seed: Fixes initial weights, batches and draws.
            device: A torch device.
            progress: Called now and then while training.

        Returns:
            uint8 [n, C, H, W].
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            x = torch.from_numpy(train.images).to(device).flatten(1).float() / 255
            y = F.one_hot(torch.from_numpy(train.labels).to(device), num_classes).float()
            wanted = F.one_hot(torch.from_numpy(labels).to(device), num_classes).float()
            drawn = self._fit_and_draw(x, y, wanted, progress)
        pixels = (drawn.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return np.ascontiguousarray(pixels.reshape(len(labels), *train.images.shape[1:]))

    def _fit_and_draw(self, x: Tensor, y: Tensor, wanted: Tensor, progress: Progress) -> Tensor:
        """Pixels [n, D] in 0..1 and one-hot classes [n, K] in; pixels [m, D] for classes [m, K] out."""
        raise NotImplementedError


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _fit(
    parameters: list[Tensor], loss: Callable[[Tensor], Tensor], n: int, *, steps: int, rate: float, progress: Progress
) -> None:
    """Adam with a cosine rate on `loss(places int64 [128])`, on the device of the parameters."""
    device = parameters[0].device
    optimiser = torch.optim.Adam(parameters, lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        loss(torch.randint(n, (128,)).to(device)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            progress(step, steps)
    progress(steps, steps)


class VAE(Generator):
    """Class-conditional variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114): smooth, blurry images."""

    name = "vae"
    title = "class-conditional VAE"
    paper = "Kingma and Welling 2014, arXiv:1312.6114"
    latent = 12
    width = 256
    steps = 600

    def _fit_and_draw(self, x: Tensor, y: Tensor, wanted: Tensor, progress: Progress) -> Tensor:
        pixels, classes = x.shape[1], y.shape[1]
        encoder = _mlp(pixels + classes, self.width, 2 * self.latent).to(x.device)
        decoder = _mlp(self.latent + classes, self.width, pixels).to(x.device)

        def loss(place: Tensor) -> Tensor:
            """Negative evidence lower bound, in nats per image (eq. 10)."""
            image, label = x[place], y[place]
            mean, log_variance = encoder(torch.cat([image, label], 1)).chunk(2, dim=1)
            z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            logits = decoder(torch.cat([z, label], 1))
            reconstruction = F.binary_cross_entropy_with_logits(logits, image, reduction="none").sum(1)
            divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1)
            bound: Tensor = (reconstruction + divergence).mean()
            return bound

        parameters: list[Tensor] = [*encoder.parameters(), *decoder.parameters()]
        _fit(parameters, loss, len(x), steps=self.steps, rate=2e-3, progress=progress)
        with torch.no_grad():
            z = torch.randn(len(wanted), self.latent).to(x.device)
            return torch.sigmoid(decoder(torch.cat([z, wanted], 1)))


class RectifiedFlow(Generator):
    """Rectified flow (Liu et al. 2023, arXiv:2209.03003): a velocity from noise to images; sharp, some artefacts."""

    name = "flow"
    title = "rectified flow"
    paper = "Liu, Gong and Liu 2023, arXiv:2209.03003"
    width = 256
    steps = 1200
    draw_steps = 25

    def _fit_and_draw(self, x: Tensor, y: Tensor, wanted: Tensor, progress: Progress) -> Tensor:
        pixels, classes = x.shape[1], y.shape[1]
        frequencies = 2 ** torch.arange(5, device=x.device) * torch.pi
        velocity = _mlp(pixels + classes + 10, self.width, self.width, self.width, pixels).to(x.device)
        target = 2 * x - 1

        def field(points: Tensor, t: Tensor, label: Tensor) -> Tensor:
            angles = t * frequencies
            result: Tensor = velocity(torch.cat([points, angles.sin(), angles.cos(), label], 1))
            return result

        def loss(place: Tensor) -> Tensor:
            """E |(x₁ − x₀) − v(x_t, t)|² with x_t on the straight line (eq. 1)."""
            image, label = target[place], y[place]
            noise = torch.randn(image.shape).to(x.device)
            t = torch.rand(len(image), 1).to(x.device)
            return (field(t * image + (1 - t) * noise, t, label) - (image - noise)).square().mean()

        _fit(list(velocity.parameters()), loss, len(x), steps=self.steps, rate=2e-3, progress=progress)
        with torch.no_grad():
            points = torch.randn(len(wanted), pixels).to(x.device)
            for i in range(self.draw_steps):
                t = torch.full((len(points), 1), i / self.draw_steps, device=x.device)
                points = points + field(points, t, wanted) / self.draw_steps
        return (points + 1) / 2


GENERATORS: dict[str, Generator] = {g.name: g for g in (VAE(), RectifiedFlow())}
