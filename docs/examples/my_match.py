"""An algorithm of your own: information maximisation (Krause et al. 2010) with two components that can be ablated."""

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.algorithms import Algorithm, AlgorithmConfig, Batch, Component, StepOutput
from trainables.networks import classifier


class MyConfig(AlgorithmConfig):
    """Every field has a default, a range and a description; the study file can set and search it."""

    certainty_weight: float = Field(0.1, ge=0, le=10, description="weight of the entropy of each prediction")
    balance_weight: float = Field(0.1, ge=0, le=10, description="weight of the entropy of the mean prediction")


class MyMatch(Algorithm):
    """L = L_x + w_c mean H(p) − w_b H(mean p), with p the predictions for weak views of unlabelled images."""

    name = "my-match"
    title = "MyMatch"
    Config = MyConfig
    components = (
        Component(
            name="certainty",
            title="certain predictions",
            off="predictions for unlabelled images may stay uncertain",
            parameters=("certainty_weight",),
        ),
        Component(
            name="balance",
            title="balanced classes",
            off="all unlabelled images may fall into one class",
            parameters=("balance_weight",),
            alternatives={"balance_weight": (0.03, 0.3)},
        ),
    )

    def build(self) -> None:
        """Make everything that is trained."""
        self.classifier = classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    def loss(self, batch: Batch, step: int) -> StepOutput:
        """The loss of one batch."""
        loss = supervised = F.cross_entropy(self.classifier(batch.labelled), batch.labels)
        if len(batch.index):
            p = self.classifier(batch.weak).softmax(dim=1)
            if self.has("certainty"):
                loss = loss + self.config.certainty_weight * entropy(p).mean()
            if self.has("balance"):
                loss = loss - self.config.balance_weight * entropy(p.mean(dim=0))
        return StepOutput(loss=loss, terms={"loss_supervised": supervised.detach()})


def entropy(p: Tensor) -> Tensor:
    """Entropy in nats over the last dimension."""
    return -(p * p.clamp(min=1e-8).log()).sum(dim=-1)
