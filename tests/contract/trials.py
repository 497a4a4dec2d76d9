"""Small trials, and the arms that every contract is held against: each algorithm, and each of its components off."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
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
SIZES = {"digits": 2, "fashion-mnist": 2}
EAGER = {"threshold": 0.12, "synthetic_threshold": 0.5, "warmup_share": 0.3, "queue_size": 8}
"""Hyperparameters under which every branch of every algorithm is taken within a few steps."""


def data_spec(dataset: str = "digits", **changes: Any) -> DataSpec:
    return DataSpec(**{"dataset": dataset, "labels_per_class": SIZES[dataset], **changes})


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


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = False) -> None:
    """An IDX file of unsigned bytes, as Fashion-MNIST comes."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)


def made_up_fashion(folder: Path, *, train: int = 500, test: int = 60, zipped: bool = False) -> None:
    """Four IDX files of 28×28: each class a bright bar at its own height, under noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in {"train": train, "t10k": test}.items():
        labels = rng.permutation(np.arange(n) % 10)
        images = rng.integers(0, 80, (n, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 3 : 2 * label + 6, 4:24] += 150
        end = ".gz" if zipped else ""
        write_idx(folder / f"{part}-images-idx3-ubyte{end}", images, zipped=zipped)
        write_idx(folder / f"{part}-labels-idx1-ubyte{end}", labels, zipped=zipped)
