"""Pseudo-Label (Lee 2013, ICML workshop on challenges in representation learning): the network's own guesses as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Batch, Component, StepOutput
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.nn import functional as F

    import trainables.networks as networks
else:
    torch, F, nn = LazyModule("torch"), LazyModule("torch.nn.functional"), LazyModule("torch.nn")
    networks = LazyModule("trainables.networks")


class PseudoLabelConfig(AlgorithmConfig):
    """The paper's weight; its T₁ and T₂ (epochs 100 and 600) as shares of the steps."""

    final_weight: float = Field(3.0, ge=0, le=100, description="α_f: weight of the unlabelled loss after the ramp")
    ramp_start: float = Field(0.1, ge=0, le=1, description="T₁ as a share of the steps: no unlabelled loss before")
    ramp_end: float = Field(0.6, ge=0, le=1, description="T₂ as a share of the steps: the full weight from then on")

    @model_validator(mode="after")
    def _the_ramp_rises(self) -> PseudoLabelConfig:
        if self.ramp_end < self.ramp_start:
            raise ValueError(f"ramp_end: {self.ramp_end} is before ramp_start, {self.ramp_start}")
        return self


class PseudoLabel(Algorithm):
    """L = L_x + α(t) mean CE(h(f(α(u))), argmax h(f(α(u)))) (eqs. 15 and 16), every image at every step."""

    name = "pseudo-label"
    title = "Pseudo-Label"
    paper = "Lee 2013, ICML workshop"
    Config = PseudoLabelConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="ramp",
            title="weight ramp",
            off="pseudo-labels have their full weight from the first step on",
            parameters=("ramp_start", "ramp_end"),
        ),
    )
    config: PseudoLabelConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    def weight(self, step: int) -> float:
        """α(t) (eq. 16): 0 before T₁, then a straight line to α_f at T₂."""
        if not self.has("ramp"):
            return self.config.final_weight
        first, last = (share * self.task.total_steps for share in (self.config.ramp_start, self.config.ramp_end))
        if step < first:
            return 0.0
        return self.config.final_weight * (min((step - first) / (last - first), 1.0) if last > first else 1.0)

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy, and that of the weak views with the classes which they look most like."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        weight = self.weight(step)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.set_grad_enabled(weight > 0):
            logits = self.classifier(batch.weak)
            pseudo_label = logits.detach().argmax(dim=1)
            unlabelled = F.cross_entropy(logits, pseudo_label)
        return StepOutput(
            loss=supervised + weight * unlabelled,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()},
            pseudo_label=pseudo_label,
            used=torch.full_like(pseudo_label, weight > 0, dtype=torch.bool),
        )
