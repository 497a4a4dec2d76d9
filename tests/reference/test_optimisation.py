"""Schedule, optimiser and averaged weights against the recurrences in NumPy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data.seed_block import load_seed_block
from trainables.specs import DataSpec, TrainingSpec, TrialSpec
from trainables.training import Trainer, cosine_rate

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("steps", [1, 7, 400])
def test_cosine_rate_is_fixmatchs(steps: int) -> None:
    rates = [cosine_rate(0.03, k, steps) for k in range(steps)]
    assert rates[0] == 0.03
    assert rates == pytest.approx([0.03 * np.cos(7 * np.pi * k / (16 * steps)) for k in range(steps)])
    assert rates == sorted(rates, reverse=True)
    assert cosine_rate(1.0, steps, steps) == pytest.approx(math.cos(7 * math.pi / 16))


def test_weights_and_averaged_weights_follow_their_recurrences(tmp_path: Path) -> None:
    """v ← μ v + (g + λ w), w ← w − η (g + λ w + μ v); a ← γ a + (1 − γ) w, from the first w on."""
    spec = TrialSpec(
        algorithm="supervised",
        hyperparameters={"learning_rate": 0.2, "weight_decay": 0.01},
        data=DataSpec(dataset="digits", labels_per_class=2, contamination=0.0),
        training=TrainingSpec(steps=6, reports=1, batch_size=4, momentum=0.8, average_decay=0.7),
        seed=0,
        phase="tune",
        fingerprint="",
        source="",
    )
    trainer = Trainer(spec, load_seed_block(spec.data, 0, "tune", tmp_path), torch.device("cpu"))
    parameters = dict(trainer.algorithm.classifier.named_parameters())

    def now() -> dict[str, np.ndarray]:
        return {k: p.detach().double().numpy().copy() for k, p in parameters.items()}

    weights, velocity, average = now(), {k: np.zeros(p.shape) for k, p in parameters.items()}, now()
    for step in range(6):
        rate = 0.2 * math.cos(7 * math.pi * step / (16 * 6))
        trainer.train_step()
        for name, parameter in parameters.items():
            assert parameter.grad is not None
            decay = 0.01 if parameter.dim() > 1 else 0.0
            gradient = parameter.grad.double().numpy() + decay * weights[name]
            velocity[name] = gradient if step == 0 else 0.8 * velocity[name] + gradient
            weights[name] = weights[name] - rate * (gradient + 0.8 * velocity[name])
            average[name] = weights[name] if step == 0 else 0.7 * average[name] + 0.3 * weights[name]
            assert np.allclose(parameter.detach().numpy(), weights[name], atol=1e-6), (step, name)
    averaged = trainer._averaged.module.state_dict()
    assert averaged.keys() == average.keys()
    for name, value in average.items():
        assert np.allclose(averaged[name].numpy(), value, atol=1e-6), name
    assert not np.allclose(averaged["head.weight"].numpy(), weights["head.weight"], atol=1e-6)
