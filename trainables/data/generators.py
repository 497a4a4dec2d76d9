"""Makers of synthetic images, registered by name. Each is trained, per seed block, on the generator part alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trainables.data.datasets import I64, U8, Images
from trainables.lazy import LazyModule
from trainables.seeds import stream_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    import trainables.data.generator_networks as generator_networks
else:
    torch, nn, F = LazyModule("torch"), LazyModule("torch.nn"), LazyModule("torch.nn.functional")
    generator_networks = LazyModule("trainables.data.generator_networks")

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""
Shape = tuple[int, int, int]
"""Channels, height, width."""

DRAWN_AT_ONCE = 250
"""Images of one draw; each draw has a stream of its own, so that a larger pool begins with the smaller one's images."""


def _silent(done: int, total: int) -> None:
    pass


class Generator:
    """A class-conditional generative model: fitted once per seed block, then drawn from as often as is wanted."""

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str] = ""
    steps: ClassVar[int]
    """Of training."""
    trained: ClassVar[bool] = True
    """Whether `fit` finds anything out that is worth keeping."""

    def labels(self, count: int, num_classes: int, *, skew: float = 1, seed: int = 0) -> I64:
        """Classes of the first `count` images, see `wanted_classes`."""
        return wanted_classes(count, num_classes, skew=skew, seed=seed)

    def network(self, shape: Shape, num_classes: int) -> nn.Module:
        """The untrained model for images of this shape. All that `fit` finds out is in its `state_dict`."""
        raise NotImplementedError

    def fit(
        self, train: Images, *, num_classes: int, seed: int, device: str, progress: Progress = _silent
    ) -> dict[str, Tensor]:
        """Train on the generator part; returns the state of `network`, on the CPU.

        Args:
            train: Real and labelled.
            num_classes: K.
            seed: Fixes initial weights and batches.
            device: A torch device.
            progress: Called now and then while training, with steps.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "fit"))
            model = self.network(_shape(train), num_classes).to(device)
            x = torch.from_numpy(train.images).to(device).float() / 255
            y = F.one_hot(torch.from_numpy(train.labels).to(device), num_classes).float()
            self._train(model, x, y, progress)
        return {name: value.detach().cpu() for name, value in model.state_dict().items()}

    def draw(
        self,
        state: dict[str, Tensor],
        labels: I64,
        *,
        shape: Shape,
        num_classes: int,
        seed: int,
        device: str,
        progress: Progress = _silent,
    ) -> U8:
        """One image for each of `labels` (int64 [n]), uint8 [n, C, H, W]; image i depends on labels, seed and i // 250 alone.

        `progress` is called with images.
        """
        images = np.empty((len(labels), *shape), np.uint8)
        with torch.random.fork_rng(devices=[]):  # which initial weights would draw from
            model = self.network(shape, num_classes)
        model.load_state_dict(state)
        model.to(device).eval()
        for start in range(0, len(labels), DRAWN_AT_ONCE):
            progress(start, len(labels))
            part = torch.from_numpy(labels[start : start + DRAWN_AT_ONCE]).to(device)
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(stream_seed(seed, "draw", start))
                drawn = self._draw(model, F.one_hot(part, num_classes).float(), shape)
            pixels = (drawn.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
            images[start : start + len(part)] = pixels
        progress(len(labels), len(labels))
        return images

    def _train(self, model: Any, x: Tensor, y: Tensor, progress: Progress) -> None:
        """Train `model` in place on images [n, C, H, W] in 0..1 and one-hot classes [n, K]."""
        raise NotImplementedError

    def _draw(self, model: Any, wanted: Tensor, shape: Shape) -> Tensor:
        """Images [m, C, H, W] around 0..1 for classes [m, K]."""
        raise NotImplementedError


def wanted_classes(count: int, num_classes: int, *, skew: float, seed: int, available: I64 | None = None) -> I64:
    """The classes that are asked for, int64 [count]; fewer of them are the first of more.

    Frequencies fall geometrically from the commonest class to the rarest, in an order that the seed draws. Every stretch has
    them about right: the next class is the one that is furthest behind, among those of which some are `available` (int64 [K],
    no fewer than `count` in all).
    """
    if skew == 1 and available is None:
        return np.arange(count, dtype=np.int64) % num_classes
    order = np.arange(num_classes)
    if skew != 1:
        order = np.random.default_rng(stream_seed(seed, "class skew")).permutation(num_classes)
    weight = skew ** -(np.arange(num_classes) / max(num_classes - 1, 1))
    share, had = weight / weight.sum(), np.zeros(num_classes)
    most = np.full(num_classes, np.inf) if available is None else available[order]
    labels = np.empty(count, np.int64)
    for i in range(count):
        k = int(np.argmax(np.where(had < most, share * (i + 1) - had, -np.inf)))
        had[k] += 1
        labels[i] = order[k]
    return labels


def _shape(images: Images) -> Shape:
    channels, height, width = images.images.shape[1:]
    return channels, height, width


def _fit(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    n: int,
    *,
    steps: int,
    batch: int,
    rate: float,
    progress: Progress,
) -> None:
    """Adam with a cosine rate on `loss(places int64 [batch])`, on the device of the model."""
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        loss(torch.randint(n, (batch,)).to(device)).backward()  # type: ignore[no-untyped-call]
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

    def network(self, shape: Shape, num_classes: int) -> nn.Module:
        """Encoder and decoder."""
        return generator_networks.vae(shape, num_classes, self.latent, self.width)

    def _train(self, model: Any, x: Tensor, y: Tensor, progress: Progress) -> None:
        def loss(place: Tensor) -> Tensor:
            """Negative evidence lower bound, in nats per image (eq. 10)."""
            image, label = x[place].flatten(1), y[place]
            mean, log_variance = model["encoder"](torch.cat([image, label], 1)).chunk(2, dim=1)
            z = mean + torch.randn(mean.shape).to(x.device) * (0.5 * log_variance).exp()
            logits = model["decoder"](torch.cat([z, label], 1))
            reconstruction = F.binary_cross_entropy_with_logits(logits, image, reduction="none").sum(1)
            divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1)
            bound: Tensor = (reconstruction + divergence).mean()
            return bound

        _fit(model, loss, len(x), steps=self.steps, batch=128, rate=2e-3, progress=progress)

    def _draw(self, model: Any, wanted: Tensor, shape: Shape) -> Tensor:
        z = torch.randn(len(wanted), self.latent).to(wanted.device)
        return torch.sigmoid(model["decoder"](torch.cat([z, wanted], 1))).view(-1, *shape)


class RectifiedFlow(Generator):
    """Rectified flow (Liu et al. 2023, arXiv:2209.03003): a velocity from noise to images; sharp, some artefacts.

    The velocity is a small U-Net for images of 28 pixels and up, and a perceptron for smaller ones.
    """

    name = "flow"
    title = "rectified flow"
    paper = "Liu, Gong and Liu 2023, arXiv:2209.03003"
    width = 256
    steps = 1200
    draw_steps = 20

    def network(self, shape: Shape, num_classes: int) -> nn.Module:
        """v(x_t, t, class)."""
        return generator_networks.velocity(shape, num_classes, self.width)

    def _train(self, model: Any, x: Tensor, y: Tensor, progress: Progress) -> None:
        target = 2 * x - 1

        def loss(place: Tensor) -> Tensor:
            """E |(x₁ − x₀) − v(x_t, t)|² with x_t on the straight line (eq. 1)."""
            image, label = target[place], y[place]
            noise = torch.randn(image.shape).to(x.device)
            t = torch.rand(len(image), 1).to(x.device)
            share = t.view(-1, 1, 1, 1)
            difference: Tensor = model(share * image + (1 - share) * noise, t, label) - (image - noise)
            return difference.square().mean()

        batch = generator_networks.FLOW_BATCH if generator_networks.is_large(tuple(x.shape[1:])) else 128
        _fit(model, loss, len(x), steps=self.steps, batch=batch, rate=2e-3, progress=progress)

    def _draw(self, model: Any, wanted: Tensor, shape: Shape) -> Tensor:
        points = torch.randn(len(wanted), *shape).to(wanted.device)
        for i in range(self.draw_steps):
            t = torch.full((len(points), 1), i / self.draw_steps, device=wanted.device)
            points = points + model(points, t, wanted) / self.draw_steps
        images: Tensor = (points + 1) / 2
        return images


class PCAGaussian(Generator):
    """A Gaussian for each class in the space of its principal components (Tipping and Bishop 1999): ghostly, always in pose.

    Nothing is trained: means, components and standard deviations are those of the generator part.
    """

    name = "pca"
    title = "class-wise PCA Gaussian"
    paper = "Tipping and Bishop 1999, J. R. Stat. Soc. B 61(3)"
    components = 32
    steps = 1

    def network(self, shape: Shape, num_classes: int) -> nn.Module:
        """Mean, components (scaled by their standard deviations) and noise of each class."""
        return generator_networks.pca(shape, num_classes, self.components)

    def _train(self, model: Any, x: Tensor, y: Tensor, progress: Progress) -> None:
        progress(0, self.steps)
        for k in range(y.shape[1]):
            members = x[y[:, k] > 0].flatten(1).double()
            if not len(members):
                continue
            model.mean[k] = members.mean(0).float()
            kept = min(self.components, len(members) - 1, members.shape[1])
            if kept < 1:
                continue
            centred = members - members.mean(0)
            _, scale, rows = torch.linalg.svd(centred, full_matrices=False)
            deviation = scale[:kept] / (len(members) - 1) ** 0.5
            largest = (
                rows[:kept].gather(1, rows[:kept].abs().argmax(1, keepdim=True)).sign()
            )  # no library's free choice
            model.directions[k, :kept] = (rows[:kept] * largest * deviation[:, None]).float()
            model.noise[k] = (centred - centred @ rows[:kept].T @ rows[:kept]).std(0).float()
        progress(self.steps, self.steps)

    def _draw(self, model: Any, wanted: Tensor, shape: Shape) -> Tensor:
        label = wanted.argmax(1)
        z = torch.randn(len(wanted), self.components, 1).to(wanted.device)
        images: Tensor = model.mean[label] + (z * model.directions[label]).sum(1)
        noise: Tensor = model.noise[label] * torch.randn(images.shape).to(wanted.device)
        return (images + noise).view(-1, *shape)


GENERATORS: dict[str, Generator] = {g.name: g for g in (VAE(), RectifiedFlow(), PCAGaussian())}
