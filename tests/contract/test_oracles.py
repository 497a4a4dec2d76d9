"""Who is told which unlabelled images are synthetic, and what an oracle makes of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.contract.trials import ARMS, CPU, ORACLES, Arm, Blocks, outcome, recorded, trial, with_pool
from trainables.algorithms import ALGORITHMS, FixMatch
from trainables.data.seed_block import SeedBlock, Unlabelled
from trainables.diagnostics import Diagnostics
from trainables.training import Trainer

every_oracle = pytest.mark.parametrize("name", ORACLES)


def within_reach(start: object) -> Iterator[object]:
    """Every object that `start` leads to, without going into modules, classes and what a function finds by name."""
    seen, todo = {id(start)}, [start]
    while todo:
        found = todo.pop()
        yield found
        parts = [found.__closure__, found.__defaults__] if isinstance(found, FunctionType) else gc.get_referents(found)
        for part in parts:
            if id(part) not in seen and not isinstance(part, ModuleType | type):
                seen.add(id(part))
                todo.append(part)


def is_truth(found: object, truth: np.ndarray) -> bool:
    if isinstance(found, Trainer | Diagnostics | SeedBlock | Unlabelled):
        return True
    if isinstance(found, Tensor):
        found = found.detach().numpy()
    return isinstance(found, np.ndarray) and found.shape == truth.shape and bool(np.array_equal(found >= 0, truth >= 0))


def test_there_are_two_of_them() -> None:
    assert ORACLES == ["oracle-drop", "oracle-dummy-head"]


@pytest.mark.parametrize("arm", [a for a in ARMS if a.algorithm not in ORACLES], ids=str)
def test_nothing_that_knows_the_truth_is_handed_to_a_method(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, steps=2, reports=1)
    block = blocks(spec.data)
    trainer = Trainer(spec, block, CPU)
    assert trainer.algorithm.task.synthetic is None
    batch, _ = recorded(trainer)[0]
    vars(trainer.algorithm).pop("loss")  # the recorder's, which holds the trainer
    generator = block.unlabelled.generator
    assert is_truth(trainer._diagnostics._generator, generator)
    assert not [type(x) for x in within_reach((trainer.algorithm, batch)) if is_truth(x, generator)]


@every_oracle
def test_an_oracle_is_told_which_images_are_synthetic(name: str, blocks: Blocks) -> None:
    spec = trial(Arm(name), steps=6, reports=1)
    block = blocks(spec.data)
    trainer = Trainer(spec, block, CPU)
    truth = trainer.algorithm.task.synthetic
    assert truth is not None
    assert truth.dtype == torch.bool
    assert truth.numpy().tolist() == (block.unlabelled.generator >= 0).tolist()
    for batch, output in recorded(trainer):
        assert output.routed is not None
        assert torch.equal(output.routed, truth[batch.index])
        assert output.synthetic_score is None  # it has no detector to speak of


@every_oracle
def test_an_oracle_that_is_told_otherwise_learns_otherwise(name: str, blocks: Blocks) -> None:
    spec = trial(Arm(name))
    block = blocks(spec.data)
    truth = block.unlabelled
    lie = Unlabelled(pool=truth.pool, generator=np.random.default_rng(0).permutation(truth.generator))
    weights = [outcome(Trainer(spec, b, CPU))[1] for b in (block, replace(block, unlabelled=lie))]
    assert weights[0] != weights[1]


@every_oracle
def test_among_real_images_alone_an_oracle_is_fixmatch_to_the_bit(name: str, blocks: Blocks) -> None:
    spec, plain = trial(Arm(name)), trial(Arm("fixmatch"))
    block = blocks(spec.data)
    real = with_pool(block, np.flatnonzero(block.unlabelled.generator < 0))
    ours, theirs = (Trainer(s, real, CPU) for s in (spec, plain))
    rows, expected = (outcome(t)[0] for t in (ours, theirs))
    for (_, row), (_, plain_row) in zip(rows, expected, strict=True):
        assert {k: row.get(k) for k in plain_row} == plain_row
    learned, reference = (t.algorithm.classifier.state_dict() for t in (ours, theirs))
    assert all(torch.equal(learned[k], reference[k]) for k in reference)


def test_synthetic_images_alone_leave_the_class_head_to_the_labelled_ones(blocks: Blocks) -> None:
    """Dropped, they are supervised learning; through the dummy head they train the backbone and nothing else of it."""
    spec = trial(Arm("supervised"))
    block = blocks(spec.data)
    synthetic = with_pool(block, np.flatnonzero(block.unlabelled.generator >= 0))
    dropped, floor = (outcome(Trainer(trial(Arm(n)), synthetic, CPU)) for n in ("oracle-drop", "supervised"))
    assert dropped[1] == floor[1]
    trainer = Trainer(trial(Arm("oracle-dummy-head")), synthetic, CPU)
    batch = trainer._batch()
    modules, classifier = trainer.algorithm.modules, trainer.algorithm.classifier
    modules.zero_grad()
    supervised = F.cross_entropy(classifier(batch.labelled), batch.labels)
    (trainer.algorithm.loss(batch, 0).loss - supervised).backward()

    def moved(part: torch.nn.Module) -> float:
        return max(float(p.grad.abs().max()) for p in part.parameters() if p.grad is not None)

    assert moved(classifier.get_submodule("head")) < 1e-6
    assert moved(classifier.get_submodule("features")) > 1e-3
    assert moved(modules["dummy_head"]) > 1e-3


@every_oracle
def test_an_oracle_that_is_told_nothing_says_so(name: str, blocks: Blocks) -> None:
    spec = trial(Arm(name))
    task = replace(Trainer(spec, blocks(spec.data), CPU).algorithm.task, synthetic=None)
    with pytest.raises(ValueError, match=f"task: {name} is an oracle and has to be given `synthetic`"):
        ALGORITHMS[name](ALGORITHMS[name].Config(), task=task)


def test_a_users_own_oracle_is_told_too(blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(FixMatch):
        name = "mine"
        reads_origin = True

    class Blind(Mine):
        reads_origin = False

    spec = trial(Arm("fixmatch"))
    for kind in (Mine, Blind):
        monkeypatch.setitem(ALGORITHMS, "fixmatch", kind)
        given = Trainer(spec, blocks(spec.data), CPU).algorithm.task.synthetic
        assert (given is not None) == kind.reads_origin
