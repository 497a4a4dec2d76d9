"""FixMatch (Sohn et al. 2020, arXiv:2001.07685): train strong views on confident pseudo-labels of weak views."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Batch, Component, Rows, StepOutput
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


class FixMatchConfig(AlgorithmConfig):
    """The paper's threshold and weight."""

    threshold: float = Field(0.95, ge=0, le=1, description="τ: lowest confidence of a pseudo-label that is trained on")
    unlabelled_weight: float = Field(1.0, ge=0, le=100, description="λ_u: weight of the unlabelled loss")


class FixMatch(Algorithm):
    """L = L_x + λ_u mean 1[max p ≥ τ] CE(h(f(A(u))), argmax p), with p = softmax(h(f(α(u)))) (eqs. 3 and 4)."""

    name = "fixmatch"
    title = "FixMatch"
    paper = "Sohn et al. 2020, arXiv:2001.07685"
    Config = FixMatchConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="unlabelled",
            title="unlabelled images",
            off="the labelled images alone are trained on, as in supervised learning",
            parameters=("unlabelled_weight",),
            alternatives={"unlabelled_weight": (0.3, 3.0)},
        ),
        Component(
            name="strong-views",
            title="strong views",
            off="a pseudo-label trains the weak view that it was read from",
            needs=("unlabelled",),
        ),
        Component(
            name="threshold",
            title="confidence threshold",
            off="every pseudo-label is trained on",
            needs=("unlabelled",),
            parameters=("threshold",),
            alternatives={"threshold": (0.5, 0.8, 0.99)},
        ),
    )
    config: FixMatchConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    @property
    def unlabelled_views(self) -> bool:
        """Looked at unless that component is off."""
        return self.has("unlabelled")

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy plus the masked cross-entropy of the strong views."""
        if not self.has("unlabelled"):
            supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        trained = batch.strong_views if self.has("strong-views") else batch.weak
        return self.consistency(batch, trained, self.config.threshold if self.has("threshold") else 0.0)

    def losses_of(self, places: Tensor) -> Tensor:
        """1[max p ≥ τ] CE(h(f(A(u))), argmax p) [n] of fresh views of the unlabelled images at the places int64 [n]."""
        if not len(places):
            return torch.zeros(0, device=places.device)
        label, used = functional.pseudo_labels(self.classifier, self.task.weak_views(places), self.config.threshold)
        return functional.selected_losses(self.classifier, self.task.strong_views(places), label, used)

    def consistency(self, batch: Batch, trained: Rows, threshold: float) -> StepOutput:
        """L_x + λ_u mean 1[max p ≥ threshold] CE(h(f(trained)), argmax p), with p of the weak views."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        pseudo_label, used = functional.pseudo_labels(self.classifier, batch.weak, threshold)
        unlabelled = functional.selected_cross_entropy(self.classifier, trained, pseudo_label, used)
        return StepOutput(
            loss=supervised + self.config.unlabelled_weight * unlabelled,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()},
            pseudo_label=pseudo_label,
            used=used,
        )
