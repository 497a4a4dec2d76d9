"""FixMatch (Sohn et al. 2020, arXiv:2001.07685): train strong views on confident pseudo-labels of weak views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Batch, StepOutput
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    from torch import nn
    from torch.nn import functional as F

    import trainables.functional as functional
    import trainables.networks as networks
else:
    F, nn = LazyModule("torch.nn.functional"), LazyModule("torch.nn")
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
    config: FixMatchConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy plus the masked cross-entropy of the strong views."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        pseudo_label, used = functional.pseudo_labels(self.classifier, batch.weak, self.config.threshold)
        unlabelled = functional.selected_cross_entropy(self.classifier, batch.strong, pseudo_label, used)
        return StepOutput(
            loss=supervised + self.config.unlabelled_weight * unlabelled,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()},
            pseudo_label=pseudo_label,
            used=used,
        )
