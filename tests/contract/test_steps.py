"""What holds for one step of every algorithm, on made-up images of all kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.contract.trials import ARMS, CPU, EAGER, Arm, Blocks, outcome, recorded, run, trial
from trainables import training
from trainables.algorithms import ALGORITHMS, Algorithm, Batch, StepOutput, Task
from trainables.dense import joined
from trainables.training import Trainer
from trainables.views import Views

CLASSES = 5
MISSING = 3
"""A class that no image of a batch has."""
POOL = 12
SHAPES = [(channels, side, side) for side in (8, 28, 32, 96) for channels in (1, 3)]
every_algorithm = pytest.mark.parametrize("name", ALGORITHMS)
every_arm = pytest.mark.parametrize("arm", ARMS, ids=str)


class World:
    """An algorithm with 4 labelled and 12 unlabelled images of noise, each class at its own brightness."""

    def __init__(self, name: str, shape: tuple[int, int, int], off: tuple[str, ...] = (), **task: Any) -> None:
        noise = torch.Generator().manual_seed(0)
        labels = torch.tensor([0, 1, 2, 4])
        classes = torch.cat([labels, labels.repeat(3)])
        bright = (40 * classes).view(-1, 1, 1, 1)
        images = (torch.randint(0, 60, (16, *shape), generator=noise) + bright).to(torch.uint8)
        statistics = {"mean": torch.full(shape[:1], 0.4), "std": torch.full(shape[:1], 0.25)}
        labelled, self.pool = (Views(part, flip=True, **statistics) for part in (images[:4], images[4:]))
        self.stream = torch.Generator().manual_seed(1)
        kind = ALGORITHMS[name]
        config = kind.Config(**{k: v for k, v in EAGER.items() if k in kind.Config.model_fields})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            self.algorithm: Algorithm = kind(
                config,
                off=off,
                task=Task(
                    num_classes=CLASSES,
                    image_shape=shape,
                    num_unlabelled=POOL,
                    total_steps=8,
                    network="small-cnn",
                    device=CPU,
                    generator=self.stream,
                    weak_views=lambda index: self.pool.weak(index, self.stream),
                    strong_views=lambda index: self.pool.strong(index, self.stream),
                    synthetic=torch.arange(POOL) % 2 == 0 if kind.reads_origin else None,
                    **task,
                ),
            )
        self.labelled, self.labels = labelled, labels

    def batch(self) -> Batch:
        index = torch.arange(POOL)
        return Batch(
            labelled=self.labelled.weak(torch.arange(4), self.stream),
            labels=self.labels,
            weak=self.pool.weak(index, self.stream),
            strong_views=self.pool.strong(index, self.stream),
            index=index,
        )

    def gradients(self) -> list[Tensor]:
        return [p.grad for p in self.algorithm.modules.parameters() if p.grad is not None]

    def clear(self) -> None:
        for parameter in self.algorithm.modules.parameters():
            parameter.grad = None


def check(output: StepOutput, world: World) -> None:
    output.loss.backward()  # type: ignore[no-untyped-call]
    found = world.gradients()
    assert found
    assert torch.isfinite(output.loss)
    assert output.loss.dtype == torch.float32
    assert all(torch.isfinite(g).all() for g in found)
    if output.pseudo_label is not None:
        assert output.pseudo_label.shape == (POOL,)
    if output.synthetic_score is not None:
        assert output.synthetic_score.dtype == torch.float32


@every_algorithm
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_a_step_on_images_of_this_kind_with_a_class_missing(name: str, shape: tuple[int, int, int]) -> None:
    world = World(name, shape)
    assert MISSING not in world.labels
    for step in (0, 6):  # in the warm-up and after it
        world.clear()
        check(world.algorithm.loss(world.batch(), step), world)


@every_algorithm
def test_a_step_in_bfloat16_answers_in_float32(name: str) -> None:
    world = World(name, (3, 8, 8), precision="bfloat16")
    for step in (0, 6):
        world.clear()
        check(world.algorithm.loss(world.batch(), step), world)


@every_arm
@pytest.mark.parametrize("seed", [0, 1])
def test_a_dense_step_has_the_loss_and_the_gradients_of_a_sparse_one(arm: Arm, seed: int) -> None:
    """The experiment that images without a pass are images without an influence, so accuracy cannot change."""
    sparse, dense = (World(arm.algorithm, (3, 8, 8), arm.off) for _ in range(2))
    for step in (0, 2, 6):
        for world in (sparse, dense):
            world.stream.manual_seed(10 * seed + step)
            world.clear()
        ours = sparse.algorithm.loss(sparse.batch(), step)
        with joined(dense.algorithm.classifier, dense.batch()) as batch:
            theirs = dense.algorithm.loss(batch, step)
        for output in (ours, theirs):
            output.loss.backward()  # type: ignore[no-untyped-call]
        assert torch.allclose(ours.loss, theirs.loss, rtol=1e-5, atol=1e-6)
        assert ours.terms.keys() == theirs.terms.keys()
        for term, value in ours.terms.items():
            assert torch.allclose(value, theirs.terms[term], rtol=1e-4, atol=1e-6), term
        for a, b in zip(sparse.gradients(), dense.gradients(), strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)
        if ours.used is not None and theirs.used is not None:
            assert torch.equal(ours.used, theirs.used)


def test_a_dense_step_passes_every_view_once() -> None:
    world = World("fixmatch", (1, 8, 8))
    sizes: list[int] = []
    backbone = world.algorithm.classifier.features.layers
    backbone.register_forward_hook(lambda _, images, __: sizes.append(len(images[0])))  # type: ignore[union-attr]
    with joined(world.algorithm.classifier, world.batch()) as batch:
        world.algorithm.loss(batch, 0)
    assert sizes == [4 + POOL + POOL]
    copy.deepcopy(world.algorithm.classifier)  # nothing of the step is left in it


@pytest.mark.parametrize("algorithm", ["fixmatch", "softmatch", "rsmatch"])
def test_dense_and_sparse_trials_have_the_same_curves(algorithm: str, blocks: Blocks) -> None:
    sparse, dense = (trial(Arm(algorithm), dense=dense) for dense in (False, True))
    rows, expected = (run(Trainer(spec, blocks(spec.data), CPU)) for spec in (dense, sparse))
    for (_, a), (_, b) in zip(rows, expected, strict=True):
        assert a.keys() == b.keys()
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("changes", [{"dense": True}, {"precision": "bfloat16"}], ids=str)
@pytest.mark.parametrize("algorithm", ["fixmatch", "rsmatch"])
def test_options_of_the_step_keep_trials_repeatable_to_the_bit(
    algorithm: str, changes: dict[str, object], blocks: Blocks
) -> None:
    spec = trial(Arm(algorithm), **changes)
    first, second = (outcome(Trainer(spec, blocks(spec.data), CPU)) for _ in range(2))
    assert first == second
    plain = trial(Arm(algorithm))
    assert spec.trial_id != plain.trial_id


def test_views_that_no_loss_uses_are_never_made(blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = Views.made_strong

    def spy(self: Views, index: Tensor, draw: object) -> Tensor:
        made.append(len(index))
        return make(self, index, draw)  # type: ignore[arg-type]

    monkeypatch.setattr(Views, "made_strong", spy)
    monkeypatch.setattr(training, "_FEW_PIXELS", 0)
    spec = trial(Arm("fixmatch"))
    used = [
        int(output.used.sum())
        for _, output in recorded(Trainer(spec, blocks(spec.data), CPU))
        if output.used is not None
    ]
    assert made == [n for n in used if n]


def test_a_classifier_of_another_make_cannot_be_joined() -> None:
    world = World("fixmatch", (1, 8, 8))
    with (
        pytest.raises(TypeError, match=r"training\.dense: .*trainables\.networks\.classifier"),
        joined(torch.nn.Flatten(), world.batch()),
    ):
        pass


def test_views_made_ahead_and_views_made_when_taken_train_alike_to_the_bit(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trial(Arm("fixmatch"))
    ahead = outcome(Trainer(spec, blocks(spec.data), CPU))
    monkeypatch.setattr(training, "_FEW_PIXELS", 0)
    assert outcome(Trainer(spec, blocks(spec.data), CPU)) == ahead
