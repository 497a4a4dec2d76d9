"""The network that an evaluation measured, as a file: weights and what it takes to build it again. No code is in it."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.files import append_digest, read_ordinary, without_digest

if TYPE_CHECKING:
    import torch

    from trainables.data.seed_block import Statistics
    from trainables.training import Trainer

LARGEST_BYTES = 2 << 30
_AVERAGED = "module."
"""Before the names of weights in an average over steps."""


class ModelDamaged(ValueError):
    """A file that holds no evaluated model, or one whose network is not built in."""


def pack_model(trainer: Trainer, statistics: Statistics) -> bytes:
    """The averaged classifier of a trainer that is done.

    Args:
        trainer: It.
        statistics: Mean and standard deviation of each channel, of pixels in 0..1, by which its images are normalised.
    """
    import torch

    from trainables.data.datasets import dataset_of

    spec = trainer.spec
    with tempfile.TemporaryDirectory(prefix="ablate-model-") as folder:
        path = Path(folder) / "trial.pt"
        trainer.save(path)
        state = torch.load(io.BytesIO(without_digest(path.read_bytes())), map_location="cpu", weights_only=True)
        averaged = state["averaged"]
        dataset = dataset_of(spec.data.dataset)
        about = {
            "trial_id": spec.trial_id,
            "network": spec.training.network,
            "image_shape": list(dataset.image_shape),
            "classes": list(dataset.classes),
            "mean": list(statistics[0]),
            "std": list(statistics[1]),
        }
        weights = {k.removeprefix(_AVERAGED): v for k, v in averaged.items() if k.startswith(_AVERAGED)}
        torch.save({"about": json.dumps(about), "weights": weights}, path)
        append_digest(path)
        return path.read_bytes()


def read_model(path: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network, from images float32 [n, C, H, W] in 0..1 to logits [n, K], in evaluation mode; and what it is about.

    Raises ModelDamaged; code in the file is never run.
    """
    import torch

    from trainables.networks import BACKBONES, Classifier, Pass

    class Normalised(torch.nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self, classifier: torch.nn.Module, mean: list[float], std: list[float]) -> None:
            super().__init__()
            self.classifier = classifier
            self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
            self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.classifier((images - self.mean) / self.std)
            return logits

    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError("it is too large")
        state = torch.load(io.BytesIO(without_digest(read_ordinary(path))), map_location="cpu", weights_only=True)
        about = json.loads(state["about"])
        backbone = BACKBONES[about["network"]]
        channels, height, width = map(int, about["image_shape"])
        layers = backbone.build((channels, height, width))
        network = Classifier(
            Pass(layers, "float32", compiled=False), torch.nn.Linear(backbone.width, len(about["classes"]))
        )
        network.load_state_dict(state["weights"])
        network.features = layers  # what is around them is for training
        return Normalised(network, about["mean"], about["std"]).eval(), about
    except Exception as problem:  # torch.load raises most kinds of exception on damaged bytes
        raise ModelDamaged(f"{path}: not an evaluated model of a built-in network ({problem})") from problem
