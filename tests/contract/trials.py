"""Small trials, and the arms that every contract is held against: each algorithm, and each of its components off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trainables.algorithms import ALGORITHMS, Batch, StepOutput, closure, inactive_parameters
from trainables.data.seed_block import SeedBlock, Unlabelled, load_dataset
from trainables.specs import DataSpec, Phase, TrainingSpec, TrialSpec
from trainables.training import Row, Trainer

Blocks = Callable[..., SeedBlock]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Arm:
    """An algorithm with one of its components off, or none."""

    algorithm: str
    off: tuple[str, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return self.name


def _arms() -> list[Arm]:
    found = []
    for name, kind in ALGORITHMS.items():
        found.append(Arm(name, (), name))
        for component in kind.components:
            off = tuple(sorted(closure(kind.components, {component.name})))
            found.append(Arm(name, off, f"{name}-without-{component.name}"))
    return found


ARMS = _arms()
UNLABELLED_ARMS = [a for a in ARMS if a.algorithm != "supervised" and "unlabelled" not in a.off]
ORACLES = [name for name, kind in ALGORITHMS.items() if kind.reads_origin]
"""These alone may know which unlabelled images are synthetic."""
SIZES = {"digits": 2, "fashion-mnist": 2, "cifar-10": 2, "cifar-100": 1, "stl-10": 2, "svhn": 2, "folder": 2}
"""Labels per class under which a dataset's made-up images are enough."""
EAGER = {"threshold": 0.12, "synthetic_threshold": 0.0, "warmup_share": 0.3, "queue_size": 8}
"""Hyperparameters under which every branch of every algorithm is taken within a few steps."""


def data_spec(dataset: str = "digits", **changes: Any) -> DataSpec:
    return DataSpec(**{"dataset": dataset, "labels_per_class": SIZES[dataset.partition(":")[0]], **changes})


def hyperparameters(algorithm: str, **changes: Any) -> dict[str, Any]:
    kind = ALGORITHMS[algorithm]
    chosen = {k: v for k, v in {**EAGER, **changes}.items() if k in kind.Config.model_fields}
    return kind.Config(**chosen).values()


def trial(
    arm: Arm, *, data: DataSpec | None = None, seed: int = 0, phase: Phase = "evaluate", **changes: Any
) -> TrialSpec:
    """A trial of 12 steps with four labelled and sixteen unlabelled images each; `changes` go to the training."""
    config = changes.pop("config", {})
    return TrialSpec(
        algorithm=arm.algorithm,
        off=arm.off,
        hyperparameters=hyperparameters(arm.algorithm, **config),
        data=data or data_spec(),
        training=TrainingSpec(**{"steps": 12, "reports": 3, "batch_size": 4, **changes}),
        seed=seed,
        phase=phase,
        fingerprint=load_dataset((data or data_spec()).dataset)[2],
        source="of no matter here",
    )


def run(trainer: Trainer) -> list[tuple[int, Row]]:
    while not trainer.finished:
        trainer.run_to_report()
    return trainer.rows


def outcome(trainer: Trainer) -> tuple[list[tuple[int, Row]], list[bytes]]:
    """All that a finished trial leaves, to the bit: its rows, its weights and the weights that are evaluated."""
    rows = run(trainer)
    tensors = [*trainer.algorithm.modules.state_dict().values(), *trainer._averaged.state_dict().values()]
    return rows, [t.numpy().tobytes() for t in tensors]


def recorded(trainer: Trainer) -> list[tuple[Batch, StepOutput]]:
    """Run the trial and give what its algorithm was handed at each step, with what it answered."""
    seen: list[tuple[Batch, StepOutput]] = []
    loss = trainer.algorithm.loss

    def spy(batch: Batch, step: int) -> StepOutput:
        output = loss(batch, step)
        seen.append((batch, output))
        return output

    trainer.algorithm.loss = spy  # type: ignore[method-assign]
    run(trainer)
    return seen


def unused_parameters(arm: Arm) -> frozenset[str]:
    return inactive_parameters(ALGORITHMS[arm.algorithm].components, arm.off)


def with_pool(block: SeedBlock, keep: np.ndarray) -> SeedBlock:
    """The block with these images of its unlabelled pool alone."""
    truth = block.unlabelled
    return replace(block, unlabelled=Unlabelled(pool=truth.pool.at(keep), generator=truth.generator[keep]))
