"""Mean Teacher (Tarvainen and Valpola 2017, arXiv:1703.01780): agree with the average of one's own past weights."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

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


class MeanTeacherConfig(AlgorithmConfig):
    """The paper's values for CIFAR-10; its ramp of 40,000 in 150,000 steps as a share of the steps."""

    consistency_weight: float = Field(
        100.0, ge=0, le=10_000, description="Weight of the consistency cost after the ramp"
    )
    ramp_share: float = Field(0.27, ge=0, le=1, description="Share of the steps in which the weight grows")
    early_decay: float = Field(0.99, ge=0, lt=1, description="Decay of the teacher's average during the ramp")
    teacher_decay: float = Field(0.999, ge=0, lt=1, description="Decay of the teacher's average after the ramp")


class MeanTeacher(Algorithm):
    """L = L_x + w(t) mean |softmax h'(f'(α'(u))) − softmax h(f(α(u)))|² over unlabelled images (section 2).

    The square is a mean over classes; α and α' are independent weak views; θ' is the exponential average of θ. The paper
    also compares labelled images with themselves, which are too few here to matter.
    """

    name = "mean-teacher"
    title = "Mean Teacher"
    paper = "Tarvainen and Valpola 2017, arXiv:1703.01780"
    Config = MeanTeacherConfig
    components: ClassVar[tuple[Component, ...]] = (
        Component(
            name="teacher",
            title="averaged teacher",
            off="the target is the present network's own prediction, as in the Π model",
            parameters=("early_decay", "teacher_decay"),
        ),
        Component(
            name="ramp",
            title="weight ramp",
            off="consistency has its full weight from the first step on",
            parameters=("ramp_share",),
        ),
    )
    config: MeanTeacherConfig
    classifier: networks.Classifier

    def build(self) -> None:
        """A student, and its teacher, which has no gradient."""
        self.classifier = networks.classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})
        if self.has("teacher"):
            self.modules["teacher"] = copy.deepcopy(self.classifier).requires_grad_(False)

    def weight(self, step: int) -> float:
        """w(t) = w exp(−5 (1 − t / T)²) until T, w from then on (section 3.1)."""
        ramp = self._ramp_steps()
        left = max(1 - step / ramp, 0.0) if ramp else 0.0
        return self.config.consistency_weight * math.exp(-5 * left * left)

    def _ramp_steps(self) -> float:
        return self.config.ramp_share * self.task.total_steps if self.has("ramp") else 0.0

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Labelled cross-entropy, and the squared distance of student and teacher on unlabelled images."""
        if step and self.has("teacher"):
            self._update_teacher(step)
        n = len(batch.labelled)
        logits = self.classifier(torch.cat([batch.labelled, batch.weak]))
        supervised = F.cross_entropy(logits[:n], batch.labels)
        if not len(batch.index):
            return StepOutput(loss=supervised, terms={"loss_supervised": supervised.detach()})
        with torch.no_grad():
            other = self.task.weak_views(batch.index)
            target = self.modules["teacher" if self.has("teacher") else "classifier"](other).softmax(dim=1)
        consistency = (logits[n:].softmax(dim=1) - target).square().mean()
        pseudo_label = target.argmax(dim=1)
        return StepOutput(
            loss=supervised + self.weight(step) * consistency,
            terms={"loss_supervised": supervised.detach(), "loss_unlabelled": consistency.detach()},
            pseudo_label=pseudo_label,
            used=torch.ones_like(pseudo_label, dtype=torch.bool),
        )

    def _update_teacher(self, step: int) -> None:
        """θ' ← a θ' + (1 − a) θ with the student's weights as the last step left them (eq. 1)."""
        decay = self.config.early_decay if step <= self._ramp_steps() else self.config.teacher_decay
        with torch.no_grad():
            pairs = zip(self.modules["teacher"].parameters(), self.classifier.parameters(), strict=True)
            for theirs, ours in pairs:
                theirs.lerp_(ours, 1 - decay)
