"""Unsupervised Data Augmentation (Xie et al. 2020, arXiv:1904.12848): strong views agree with sharpened predictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Batch, Component, StepOutput
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    import trainables.functional as functional
    import trainables.networks as networks
else:
    torch, F, nn = LazyModule("torch"), LazyModule("torch.nn.functional"), LazyModule("torch.nn")
    functional, networks = LazyModule("trainables.functional"), LazyModule("trainables.networks")


class UDAConfig(AlgorithmConfig):
    """The paper's values for CIFAR-10."""

    threshold: float = Field(0.8, ge=0, le=1, description="β: lowest confidence of a prediction that is trained on")
    temperature: float = Field(0.4, gt=0, le=10, description="τ: predictions are sharpened with this temperature")
    unlabelled_weight: float = Field(1.0, ge=0, le=100, description="λ: weight of the unlabelled loss")
    annealing: Literal["linear", "log", "exp"] = Field("linear", description="Schedule of the training signal")


class UDA(Algorithm):
    """L = L_x + λ mean 1[max p > β] KL(softmax(z / τ) | softmax(h(f(A(u))))), z = h(f(α(u))), p = softmax(z).

    L_x leaves out labelled images whose class is predicted with more than η_t (training signal annealing, section 3.1) and
    is the mean over the others.
    """

    name = "uda"
    title = "UDA"
    paper = "Xie et al. 2020, arXiv:1904.12848"
    Config = UDAConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="sharpening",
            title="sharpening",
            off="strong views are trained on the prediction as it is",
            parameters=("temperature",),
            alternatives={"temperature": (0.2, 0.8)},
        ),
        Component(
            name="threshold",
            title="confidence mask",
            off="every prediction is trained on",
            parameters=("threshold",),
            alternatives={"threshold": (0.5, 0.95)},
        ),
        Component(
            name="annealing",
            title="training signal annealing",
            off="labelled images are trained on however well they are known",
            parameters=("annealing",),
            alternatives={"annealing": ("log", "exp")},
        ),
    )
    config: UDAConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    def signal_limit(self, step: int) -> float:
        """η_t = a_t (1 − 1/K) + 1/K, with a_t of the schedule (section 3.1)."""
        share = step / self.task.total_steps
        match self.config.annealing:
            case "linear":
                grown = share
            case "log":
                grown = 1 - math.exp(-5 * share)
            case "exp":
                grown = math.exp(5 * (share - 1))
        return grown * (1 - 1 / self.task.num_classes) + 1 / self.task.num_classes

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Annealed cross-entropy of the labelled images, and the divergence of strong views from sharpened predictions."""
        supervised = self._supervised(batch, step)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.no_grad():
            logits = self.classifier(batch.weak)
            confidence, pseudo_label = logits.softmax(dim=1).max(dim=1)
            used = confidence > (self.config.threshold if self.has("threshold") else 0.0)
            target = (logits / (self.config.temperature if self.has("sharpening") else 1.0)).softmax(dim=1)
        unlabelled = functional.selected_divergence(self.classifier, batch.strong_views, target, used)
        return StepOutput(
            loss=supervised + self.config.unlabelled_weight * unlabelled,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()},
            pseudo_label=pseudo_label,
            used=used,
        )

    def _supervised(self, batch: Batch, step: int) -> Tensor:
        losses = F.cross_entropy(self.classifier(batch.labelled), batch.labels, reduction="none")
        if not self.has("annealing"):
            return losses.mean()
        kept = (-losses.detach()).exp() <= self.signal_limit(step)
        return (losses * kept).sum() / kept.sum().clamp(min=1)
