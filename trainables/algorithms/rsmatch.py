"""RSMatch: find the AI-generated images among the unlabelled ones and turn them from obstacle into resource.

The parts (detector, class-wise queue, dummy head) are the published method's; the equations are this project's
formulation, see `docs/methods.md`. Equation numbers below are those of that page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.algorithms.base import Batch, Component, Rows, StepOutput
from trainables.algorithms.fixmatch import FixMatch, FixMatchConfig
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    import trainables.algorithms.score_memory as score_memory
    import trainables.functional as functional
    import trainables.networks as networks
else:
    torch, F, nn = LazyModule("torch"), LazyModule("torch.nn.functional"), LazyModule("torch.nn")
    functional, networks = LazyModule("trainables.functional"), LazyModule("trainables.networks")
    score_memory = LazyModule("trainables.algorithms.score_memory")

QUEUE_REFRESH_STEPS = 10


class RSMatchConfig(FixMatchConfig):
    """Symbols as in `docs/methods.md`."""

    synthetic_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="τ_s: how far an image's score is from that of labelled images (0) to 1 for it to be synthetic",
    )
    synthetic_weight: float = Field(0.5, ge=0, le=100, description="λ_s: weight of the loss of synthetic images")
    detector_weight: float = Field(1.0, ge=0, le=100, description="λ_d: weight of the detector's loss")
    queue_size: int = Field(32, ge=1, le=65536, description="M: images per class queue")
    warmup_share: float = Field(0.05, ge=0, le=1, description="w: share of the steps before images are routed")
    queue_weight: float = Field(0.5, ge=0, le=100, description="λ_q: weight of the queues' part of the detector's loss")
    memory_decay: float = Field(
        0.5, ge=0, lt=1, description="β: decay of the score memory's exponential average after the warm-up"
    )


class RSMatch(FixMatch):
    """L = L_x + λ_u L_u + λ_s L_s + λ_d L_d (eq. 6)."""

    name = "rsmatch"
    title = "RSMatch"
    paper = "RSMatch; formulation in docs/methods.md"
    Config = RSMatchConfig
    components = (
        Component(
            name="detector",
            title="detector",
            off="every unlabelled image trains the class head, as in FixMatch",
            parameters=("synthetic_threshold", "detector_weight", "warmup_share"),
            alternatives={"warmup_share": (0.2, 0.5)},
        ),
        Component(
            name="queue",
            title="queue",
            off="the detector learns from labelled against unlabelled images alone",
            needs=("detector",),
            parameters=("queue_size", "queue_weight"),
            alternatives={"queue_size": (16, 64, 256), "queue_weight": (0.2, 1.0)},
        ),
        Component(
            name="class-wise",
            title="class-wise queues",
            off="one queue serves all classes",
            needs=("queue",),
        ),
        Component(
            name="synthetic",
            title="synthetic images",
            off="synthetic-looking images are dropped",
            needs=("detector",),
            parameters=("synthetic_weight",),
            alternatives={"synthetic_weight": (0.1, 1.0)},
        ),
        Component(
            name="dummy-head",
            title="dummy head",
            off="synthetic-looking images train the class head",
            needs=("synthetic",),
        ),
        Component(
            name="score-memory",
            title="score memory",
            off="an image's current score alone decides",
            needs=("detector",),
            parameters=("memory_decay",),
            alternatives={"memory_decay": (0.8, 0.95)},
        ),
        Component(
            name="refill",
            title="refilled batches",
            off="the class head is left with the real-looking images of a batch, however few they are",
            needs=("detector",),
        ),
    )
    fixed = frozenset({"queue_size"})
    config: RSMatchConfig

    def build(self) -> None:
        """FixMatch's classifier; with the detector on, also the detector, the memory and the dummy head."""
        super().build()
        if not self.has("detector"):
            return
        self.modules["detector"] = networks.detector(self.task)
        self.modules["memory"] = score_memory.ScoreMemory(
            self.task, decay=0.0, queue_size=self.config.queue_size, class_wise=self.has("class-wise")
        )
        if self.has("dummy-head"):
            self.modules["dummy_head"] = networks.head(self.task)

    def derive(self) -> None:
        """Length of the warm-up."""
        self.warmup_steps = round(self.config.warmup_share * self.task.total_steps)

    @property
    def unlabelled_views(self) -> bool:
        """Always looked at: FixMatch's own components are no components of RSMatch."""
        return True

    @property
    def memory(self) -> score_memory.ScoreMemory:
        """Scores, pseudo-classes and queues of the unlabelled pool."""
        return self.modules["memory"]  # type: ignore[return-value]

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Equations 1 to 6 on one batch; updates the score memory and the queues."""
        if not self.has("detector") or not len(batch.index):
            return self.consistency(batch, batch.strong_views, self.config.threshold)
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)  # eq. 1
        pseudo_label, used = functional.pseudo_labels(self.classifier, batch.weak, self.config.threshold)  # eq. 2

        detector_loss, current = self._detector(batch, step)  # eqs. 3 to 5
        remembers = self.has("score-memory") and step >= self.warmup_steps
        self.memory.decay = self.config.memory_decay if remembers else 0.0
        score = self.memory.update(batch.index, current, pseudo_label)  # eq. 6
        if step % QUEUE_REFRESH_STEPS == 0:
            self.memory.rebuild_queues()
        bound = self.memory.bound(self.config.synthetic_threshold)  # eq. 5
        routed = score >= bound
        if step < self.warmup_steps:
            routed = torch.zeros_like(routed)

        unlabelled, synthetic = self._consistency(batch.strong_views, pseudo_label, used, routed)
        if self.has("refill"):
            others = functional.drawn_from(self.memory.below(bound), int(routed.sum()), self.task.generator)
            unlabelled = unlabelled + self.losses_of(others).sum() / len(batch.index)  # eq. 5
        loss = supervised + self.config.unlabelled_weight * unlabelled + self.config.detector_weight * detector_loss
        if self.has("synthetic"):
            loss = loss + self.config.synthetic_weight * synthetic
        return StepOutput(
            loss=loss,
            terms={
                "loss_supervised": supervised.detach(),
                "loss_unlabelled": unlabelled.detach(),
                "loss_synthetic": synthetic.detach(),
                "loss_detector": detector_loss.detach(),
            },
            pseudo_label=pseudo_label,
            used=used,
            synthetic_score=score,
            routed=routed,
        )

    def _detector(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """The detector's loss, and its current scores [U] of the batch without gradient; notes those of labelled images."""
        detector = self.modules["detector"]
        logits = detector(torch.cat([batch.labelled, batch.weak]))
        real, unlabelled = logits[: len(batch.labelled)], logits[len(batch.labelled) :]
        self.memory.note_labelled(torch.sigmoid(real.detach()))
        loss = functional.balanced_bce(real, unlabelled)  # eq. 3
        if self.has("queue") and step >= self.warmup_steps and self.memory.ready:
            n = max(len(batch.index) // 4, 1)
            drawn = self.memory.draw(n, self.task.generator)
            logits = detector(self.task.weak_views(torch.cat(drawn)))
            loss = loss + self.config.queue_weight * functional.balanced_bce(logits[:n], logits[n:])  # eq. 4
        return loss, torch.sigmoid(unlabelled.detach())

    def _consistency(self, strong: Rows, pseudo_label: Tensor, used: Tensor, routed: Tensor) -> tuple[Tensor, Tensor]:
        """L_u over real-looking and L_s over synthetic-looking images (eq. 5), each a mean over all U images."""
        if not self.has("synthetic"):
            unlabelled = functional.selected_cross_entropy(self.classifier, strong, pseudo_label, used & ~routed)
            return unlabelled, unlabelled.new_zeros(())
        if not self.has("dummy-head"):
            per_image = functional.selected_losses(self.classifier, strong, pseudo_label, used)
        else:
            heads = (self.classifier.head, self.modules["dummy_head"])
            per_image = functional.routed_losses(self.classifier.features, heads, strong, pseudo_label, used, routed)
        return (per_image * ~routed).mean(), (per_image * routed).mean()
