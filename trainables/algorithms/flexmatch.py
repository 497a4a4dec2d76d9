"""FlexMatch (Zhang et al. 2021, arXiv:2110.08263): FixMatch with a threshold for each class, by how well it is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trainables.algorithms.base import Algorithm, Batch, Component, StepOutput
from trainables.algorithms.fixmatch import FixMatchConfig
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


class FlexMatch(Algorithm):
    """FixMatch's loss with 1[max p > T(argmax p)], T(c) = M(β(c)) τ (eqs. 5 to 10), M(x) = x / (2 − x).

    β(c) is σ(c), the unlabelled images last predicted as c with more than τ, over the largest such number or, while that is
    more, over the number of those that never were predicted so (threshold warm-up, eq. 11).
    """

    name = "flexmatch"
    title = "FlexMatch"
    paper = "Zhang et al. 2021, arXiv:2110.08263"
    Config = FixMatchConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="class-thresholds",
            title="class thresholds",
            off="one threshold serves all classes, as in FixMatch",
        ),
        Component(
            name="warm-up",
            title="threshold warm-up",
            off="classes are compared with the best learnt one from the start",
            needs=("class-thresholds",),
        ),
        Component(
            name="mapping",
            title="convex mapping",
            off="thresholds grow in proportion to how well a class is learnt",
            needs=("class-thresholds",),
        ),
    )
    config: FixMatchConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A backbone with one head, and the last confident prediction of each unlabelled image, -1 for none."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})
        if self.has("class-thresholds"):
            memory = nn.Module()
            last = torch.full((self.task.num_unlabelled,), -1, dtype=torch.int64, device=self.task.device)
            memory.register_buffer("last_prediction", last)
            self.modules["memory"] = memory

    def thresholds(self) -> Tensor:
        """T(c) for each class, float [K], from what has been learnt so far."""
        last: Tensor = self.modules["memory"].last_prediction  # type: ignore[assignment]
        counts = torch.bincount(last + 1, minlength=self.task.num_classes + 1)
        never, learnt = counts[0], counts[1:]
        most = learnt.max()
        if self.has("warm-up"):
            most = torch.maximum(most, never)
        share = learnt / most.clamp(min=1)
        if self.has("mapping"):
            share = share / (2 - share)
        return share * self.config.threshold

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy plus the masked cross-entropy of the strong views; remembers confident predictions."""
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.no_grad():
            confidence, pseudo_label = self.classifier(batch.weak).softmax(dim=1).max(dim=1)
            used = confidence > self.config.threshold
            if self.has("class-thresholds"):
                confident = used
                used = confidence > self.thresholds()[pseudo_label]
                last: Tensor = self.modules["memory"].last_prediction  # type: ignore[assignment]
                last[batch.index[confident]] = pseudo_label[confident]
        unlabelled = functional.selected_cross_entropy(self.classifier, batch.strong_views, pseudo_label, used)
        return StepOutput(
            loss=supervised + self.config.unlabelled_weight * unlabelled,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": unlabelled.detach()},
            pseudo_label=pseudo_label,
            used=used,
        )
