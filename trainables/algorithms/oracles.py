"""Oracles: they read which unlabelled images are synthetic, which no method may. Bounds to hold methods against.

Both are FixMatch with the truth s in place of a detector; equation numbers are those of `docs/methods.md`. Where no
unlabelled image is synthetic, both are FixMatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.algorithms.base import Batch, Rows, StepOutput
from trainables.algorithms.fixmatch import FixMatch, FixMatchConfig
from trainables.lazy import LazyModule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import functional as F

    import trainables.functional as functional
    import trainables.networks as networks
else:
    F, functional = LazyModule("torch.nn.functional"), LazyModule("trainables.functional")
    networks = LazyModule("trainables.networks")


class OracleDrop(FixMatch):
    """L = L_x + λ_u mean m·CE(h(f(A(u))), ŷ) over U real images: each synthetic one has another in its place."""

    name = "oracle-drop"
    title = "FixMatch that drops synthetic images (oracle)"
    paper = "docs/methods.md"
    reads_origin = True
    components = ()

    @property
    def unlabelled_views(self) -> bool:
        """Always looked at: FixMatch's own components are no components of an oracle."""
        return True

    def build(self) -> None:
        """FixMatch's classifier. Raises ValueError where the task does not say which images are synthetic."""
        super().build()
        if self.task.synthetic is None:
            raise ValueError(f"task: {self.name} is an oracle and has to be given `synthetic`")
        self.synthetic = self.task.synthetic
        self.real = (~self.synthetic).nonzero().squeeze(1)

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """Equations 1, 2 and 5 on one batch, with the truth for s."""
        if not len(batch.index):
            return self.consistency(batch, batch.strong_views, self.config.threshold)
        supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)  # eq. 1
        pseudo_label, used = functional.pseudo_labels(self.classifier, batch.weak, self.config.threshold)  # eq. 2
        synthetic = self.synthetic[batch.index]
        unlabelled, more = self.unlabelled_loss(batch.strong_views, pseudo_label, used, synthetic)  # eq. 5
        return StepOutput(
            loss=supervised + unlabelled,
            terms={"loss_supervised": supervised.detach(), **more},
            pseudo_label=pseudo_label,
            used=used,
            routed=synthetic,
        )

    def unlabelled_loss(
        self, strong: Rows, pseudo_label: Tensor, used: Tensor, synthetic: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted loss of the unlabelled images, and its unweighted parts by name."""
        per_image = functional.selected_losses(self.classifier, strong, pseudo_label, used & ~synthetic)
        real = self.refilled_mean(per_image, synthetic)
        return self.config.unlabelled_weight * real, {"loss_unlabelled": real.detach()}

    def refilled_mean(self, losses: Tensor, synthetic: Tensor) -> Tensor:
        """Mean of the losses [U] of real images and of as many others as there are synthetic ones, drawn at random (eq. 5)."""
        others = functional.drawn_from(self.real, int(synthetic.sum()), self.task.generator)
        return (losses.sum() + self.losses_of(others).sum()) / len(losses)


class OracleDummyHeadConfig(FixMatchConfig):
    """FixMatch's, and a weight for synthetic images."""

    synthetic_weight: float = Field(0.5, ge=0, le=100, description="λ_s: weight of the loss of synthetic images")


class OracleDummyHead(OracleDrop):
    """`oracle-drop`'s loss and λ_s mean m·s·CE(d(f(A(u))), ŷ): RSMatch that need not detect."""

    name = "oracle-dummy-head"
    title = "RSMatch with a perfect detector (oracle)"
    Config = OracleDummyHeadConfig
    config: OracleDummyHeadConfig

    def build(self) -> None:
        """FixMatch's classifier, and the dummy head."""
        super().build()
        self.modules["dummy_head"] = networks.head(self.task)

    def unlabelled_loss(
        self, strong: Rows, pseudo_label: Tensor, used: Tensor, synthetic: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Real images through the class head, synthetic ones through the dummy head, each summed and divided by U."""
        heads = (self.classifier.head, self.modules["dummy_head"])
        per_image = functional.routed_losses(self.classifier.features, heads, strong, pseudo_label, used, synthetic)
        real, dummy = self.refilled_mean(per_image * ~synthetic, synthetic), (per_image * synthetic).mean()
        loss = self.config.unlabelled_weight * real + self.config.synthetic_weight * dummy
        return loss, {"loss_unlabelled": real.detach(), "loss_synthetic": dummy.detach()}
