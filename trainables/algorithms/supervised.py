"""Supervised learning on the labelled images alone: the floor that every semi-supervised method must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Batch, StepOutput
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    from torch import nn
    from torch.nn import functional as F

    import trainables.networks as networks
else:
    F, networks, nn = LazyModule("torch.nn.functional"), LazyModule("trainables.networks"), LazyModule("torch.nn")


class SupervisedConfig(AlgorithmConfig):
    """Nothing beyond the optimiser."""


class Supervised(Algorithm):
    """L = mean CE(h(f(α(x))), y)."""

    name = "supervised"
    title = "Supervised only"
    Config = SupervisedConfig

    def build(self) -> None:
        """A backbone with one head."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    @property
    def unlabelled_views(self) -> bool:
        """Unlabelled images are never looked at."""
        return False

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Cross-entropy of the labelled batch."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
