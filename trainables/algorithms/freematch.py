"""FreeMatch (Wang et al. 2023, arXiv:2205.07246): thresholds that set themselves, and fairness over classes."""

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


class FreeMatchConfig(AlgorithmConfig):
    """The paper's values for CIFAR-10."""

    unlabelled_weight: float = Field(1.0, ge=0, le=100, description="w_u: weight of the unlabelled loss")
    fairness_weight: float = Field(0.01, ge=0, le=100, description="w_f: weight of the self-adaptive fairness term")
    decay: float = Field(0.999, ge=0, lt=1, description="λ: decay of the averages that thresholds come from")


class FreeMatch(Algorithm):
    """L = L_x + w_u mean 1[max q ≥ τ(argmax q)] CE(h(f(A(u))), argmax q) + w_f L_f, q = softmax(h(f(α(u)))) (eqs. 5 to 12).

    τ(c) = p̃(c) / max p̃ · τ with the averages τ of max q and p̃ of q; L_f = −H(SumNorm(p̃ / h̃), SumNorm(p̄ / h̄)), where h̃
    averages the histogram of pseudo-labels, and p̄ and h̄ are the mean prediction and the histogram of the strong views used.
    """

    name = "freematch"
    title = "FreeMatch"
    paper = "Wang et al. 2023, arXiv:2205.07246"
    Config = FreeMatchConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="local-thresholds",
            title="local thresholds",
            off="one self-adaptive threshold serves all classes",
        ),
        Component(
            name="fairness",
            title="self-adaptive fairness",
            off="nothing keeps predictions spread over classes",
            parameters=("fairness_weight",),
            alternatives={"fairness_weight": (0.001, 0.05)},
        ),
    )
    config: FreeMatchConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head, and the three averages, which begin at 1/K."""
        self.classifier = networks.classifier(self.task)
        averages = nn.Module()
        k = self.task.num_classes
        averages.register_buffer("threshold", torch.full((), 1 / k, device=self.task.device))
        for name in ("prediction", "histogram"):
            averages.register_buffer(name, torch.full((k,), 1 / k, device=self.task.device))
        self.modules = nn.ModuleDict({"classifier": self.classifier, "averages": averages})

    def thresholds(self) -> Tensor:
        """τ(c) for each class, float [K] (eq. 8)."""
        averages = self.modules["averages"]
        threshold: Tensor = averages.threshold  # type: ignore[assignment]
        prediction: Tensor = averages.prediction  # type: ignore[assignment]
        if not self.has("local-thresholds"):
            return threshold.expand(self.task.num_classes)
        return prediction / prediction.max() * threshold

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Updates the averages (eqs. 5, 6 and 11) with the weak views, then trains on the strong ones."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.no_grad():
            q = self.classifier(batch.weak).softmax(dim=1)
            confidence, pseudo_label = q.max(dim=1)
            self._update(q, confidence, pseudo_label)
            used = confidence >= self.thresholds()[pseudo_label]
        chosen = used.nonzero().squeeze(1)
        logits = self.classifier(batch.strong_views[chosen])
        losses = F.cross_entropy(logits, pseudo_label[chosen], reduction="none")
        unlabelled = losses.sum() / len(used)
        loss = supervised + self.config.unlabelled_weight * unlabelled
        terms = {"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()}
        if self.has("fairness"):
            fairness = self._fairness(logits, len(used))
            loss = loss + self.config.fairness_weight * fairness
            terms["loss_fairness"] = fairness.detach()
        return StepOutput(loss=loss, terms=terms, pseudo_label=pseudo_label, used=used)

    def _update(self, q: Tensor, confidence: Tensor, pseudo_label: Tensor) -> None:
        averages = self.modules["averages"]
        histogram = torch.bincount(pseudo_label, minlength=self.task.num_classes) / len(pseudo_label)
        new = {"threshold": confidence.mean(), "prediction": q.mean(dim=0), "histogram": histogram}
        for name, value in new.items():
            getattr(averages, name).lerp_(value, 1 - self.config.decay)

    def _fairness(self, logits: Tensor, n: int) -> Tensor:
        """L_f (eqs. 9 to 12) of the logits of the strong views used, of n in all; 0 where none is.

        Classes that no used view is predicted as have no share in SumNorm(p̄ / h̄), and no part in the sum.
        """
        if not len(logits):
            return logits.sum()
        averages = self.modules["averages"]
        average: Tensor = averages.prediction / averages.histogram  # type: ignore[operator, arg-type]
        prediction = logits.softmax(dim=1)
        histogram = torch.bincount(logits.detach().argmax(dim=1), minlength=logits.shape[1]) / n
        there = histogram > 0
        wanted = functional.normalised(average)
        found = functional.normalised((prediction.sum(dim=0) / n)[there] / histogram[there])
        return (wanted[there] * found.log()).sum()
