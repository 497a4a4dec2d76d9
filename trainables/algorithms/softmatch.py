"""SoftMatch (Chen et al. 2023, arXiv:2301.10921): every pseudo-label counts, by a truncated Gaussian of its confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

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


class SoftMatchConfig(AlgorithmConfig):
    """The paper's values."""

    unlabelled_weight: float = Field(1.0, ge=0, le=100, description="λ_max: largest weight of an unlabelled image")
    decay: float = Field(0.999, ge=0, lt=1, description="m: decay of the averages of confidence and prediction")


class SoftMatch(Algorithm):
    """L = L_x + mean λ(a) CE(h(f(A(u))), argmax p), p = softmax(h(f(α(u)))), a = UA(p) (section 3).

    λ(a) = λ_max exp(−min(max a − μ, 0)² / 2σ²), with the averages μ and σ² of mean and variance of max a over a batch; UA(p)
    is p over the average prediction, normalised (uniform alignment): it decides the weight, never the pseudo-label.
    """

    name = "softmatch"
    title = "SoftMatch"
    paper = "Chen et al. 2023, arXiv:2301.10921"
    Config = SoftMatchConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="gaussian",
            title="truncated Gaussian",
            off="every pseudo-label has the full weight",
        ),
        Component(
            name="alignment",
            title="uniform alignment",
            off="weights come from the predictions as they are",
            needs=("gaussian",),
        ),
    )
    config: SoftMatchConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head, and the averages: μ and the prediction begin at 1/K, σ² at 1."""
        self.classifier = networks.classifier(self.task)
        averages = nn.Module()
        k, device = self.task.num_classes, self.task.device
        averages.register_buffer("mean", torch.full((), 1 / k, device=device))
        averages.register_buffer("variance", torch.ones((), device=device))
        averages.register_buffer("prediction", torch.full((k,), 1 / k, device=device))
        self.modules = nn.ModuleDict({"classifier": self.classifier, "averages": averages})

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy plus the weighted cross-entropy of all strong views."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.no_grad():
            p = self.classifier(batch.weak).softmax(dim=1)
            pseudo_label = p.argmax(dim=1)
            weight = self._weights(p) if self.has("gaussian") else torch.ones_like(p[:, 0])
        losses = F.cross_entropy(self.classifier(batch.strong), pseudo_label, reduction="none")
        unlabelled = (weight * losses).mean()
        return StepOutput(
            loss=supervised + self.config.unlabelled_weight * unlabelled,
            terms={
                "loss_supervised": supervised.detach(),
                "loss_unlabelled": unlabelled.detach(),
                "mean_weight": weight.mean(),
            },
            pseudo_label=pseudo_label,
            used=weight > 0,
        )

    def _weights(self, p: Tensor) -> Tensor:
        """λ(a) / λ_max of each image, float [U]; updates the averages first (eqs. 8 and 9)."""
        averages = self.modules["averages"]
        keep = self.config.decay
        if self.has("alignment"):
            averages.prediction.lerp_(p.mean(dim=0), 1 - keep)  # type: ignore[operator]
            p = functional.normalised(p / averages.prediction)  # type: ignore[operator]
        confidence = p.amax(dim=1)
        averages.mean.lerp_(confidence.mean(), 1 - keep)  # type: ignore[operator]
        if len(p) > 1:
            averages.variance.lerp_(confidence.var(), 1 - keep)  # type: ignore[operator]
        below = (confidence - averages.mean).clamp(max=0)  # type: ignore[operator]
        return (-below.square() / (2 * averages.variance)).exp()  # type: ignore[operator]
