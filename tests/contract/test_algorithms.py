"""What holds for every algorithm, and for every algorithm with a component off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.contract.trials import (
    ARMS,
    CPU,
    ORACLES,
    UNLABELLED_ARMS,
    Arm,
    Blocks,
    data_spec,
    outcome,
    recorded,
    run,
    trial,
    unused_parameters,
    with_pool,
)
from trainables import training
from trainables.algorithms import ALGORITHMS
from trainables.data.datasets import Images
from trainables.data.seed_block import Unlabelled
from trainables.training import Trainer, TrainingDiverged

every_arm = pytest.mark.parametrize("arm", ARMS, ids=str)
every_unlabelled_arm = pytest.mark.parametrize("arm", UNLABELLED_ARMS, ids=str)


@every_arm
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist"])
def test_a_step_answers_in_the_declared_shapes_and_kinds(arm: Arm, dataset: str, blocks: Blocks) -> None:
    spec = trial(arm, data=data_spec(dataset), steps=6, reports=1)
    for batch, output in recorded(Trainer(spec, blocks(spec.data), CPU)):
        n = len(batch.index)
        assert batch.labelled.shape[0] == 4
        assert n == (16 if arm in UNLABELLED_ARMS else 0)
        for images in (batch.labelled, batch.weak, batch.strong):
            assert images.dtype == torch.float32
            assert images.shape[1:] == batch.labelled.shape[1:]
        assert output.loss.shape == ()
        assert output.loss.dtype == torch.float32
        assert all(t.shape == () and not t.requires_grad for t in output.terms.values())
        assert "loss_supervised" in output.terms
        for tensor, kind in (
            (output.pseudo_label, torch.int64),
            (output.used, torch.bool),
            (output.synthetic_score, torch.float32),
            (output.routed, torch.bool),
        ):
            if tensor is not None:
                assert (tensor.shape, tensor.dtype, tensor.requires_grad) == ((n,), kind, False)
        if output.synthetic_score is not None:
            assert 0 <= float(output.synthetic_score.min()) <= float(output.synthetic_score.max()) <= 1
        if output.pseudo_label is not None and n:
            assert 0 <= int(output.pseudo_label.min()) <= int(output.pseudo_label.max()) < 10


@every_arm
def test_rows_are_finite_shares_percents_and_nats(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm)
    rows = run(Trainer(spec, blocks(spec.data), CPU))
    assert [step for step, _ in rows] == [4, 8, 12]
    for _, row in rows:
        assert all(type(v) is float and np.isfinite(v) for v in row.values())
        assert 0 <= row["val_error"] <= 100
        assert all(0 <= v <= 1 for k, v in row.items() if k.startswith(("coverage", "pseudo", "detector")))


@every_arm
def test_two_trainers_of_one_trial_agree_to_the_bit(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm)
    torch.manual_seed(1)
    first = outcome(Trainer(spec, blocks(spec.data), CPU))
    torch.manual_seed(2)  # nothing is drawn from the process's own stream
    assert outcome(Trainer(spec, blocks(spec.data), CPU)) == first


@every_arm
def test_training_leaves_the_random_state_of_the_process_alone(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, steps=3, reports=1)
    before = torch.get_rng_state()
    run(Trainer(spec, blocks(spec.data), CPU))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("steps_ahead", [1, 2, 32])  # views are made for so many steps at once
def test_an_images_views_are_fresh_at_every_step(
    steps_ahead: int, blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_MOST_STEPS_AHEAD", steps_ahead)
    spec = trial(Arm("fixmatch"), steps=8, reports=1, batch_size=2)
    block = with_pool(blocks(spec.data), np.array([0]))
    batches = [batch for batch, _ in recorded(Trainer(spec, block, CPU))]
    assert len({b.strong.numpy().tobytes() for b in batches}) == len(batches)


def test_another_seed_is_another_trial(blocks: Blocks) -> None:
    one, two = (trial(ARMS[0], seed=s) for s in (0, 1))
    assert run(Trainer(one, blocks(one.data, 0), CPU)) != run(Trainer(two, blocks(two.data, 1), CPU))


@pytest.mark.parametrize("arm", [a for a in UNLABELLED_ARMS if a.algorithm not in ORACLES], ids=str)
def test_the_truth_about_unlabelled_images_never_reaches_the_algorithm(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm)
    block = blocks(spec.data)
    truth = block.unlabelled
    rng = np.random.default_rng(0)
    lie = Unlabelled(
        pool=Images(images=truth.pool.images, labels=rng.permutation(truth.pool.labels)),
        generator=rng.permutation(truth.generator),
    )
    honest, misled = Trainer(spec, block, CPU), Trainer(spec, replace(block, unlabelled=lie), CPU)
    (rows, weights), (misled_rows, misled_weights) = outcome(honest), outcome(misled)
    assert weights == misled_weights

    def measured(row: dict[str, float]) -> dict[str, float]:
        return {k: v for k, v in row.items() if k.startswith(("loss_", "val_", "test_"))}

    assert [measured(row) for _, row in rows] == [measured(row) for _, row in misled_rows]
    assert rows != misled_rows  # the diagnostics, which do know the truth, see another one


@every_arm
def test_all_arms_of_a_seed_block_start_from_the_same_weights_and_see_the_same_batches(
    arm: Arm, blocks: Blocks
) -> None:
    spec, plain = trial(arm, steps=7, reports=1), trial(Arm("fixmatch"), steps=7, reports=1)
    ours, theirs = (Trainer(s, blocks(spec.data), CPU) for s in (spec, plain))
    start, reference = ours.algorithm.classifier.state_dict(), theirs.algorithm.classifier.state_dict()
    assert start.keys() == reference.keys()
    assert all(torch.equal(start[k], reference[k]) for k in start)
    for (batch, _), (other, _) in zip(recorded(ours), recorded(theirs), strict=True):
        assert torch.equal(batch.labelled, other.labelled)
        assert torch.equal(batch.labels, other.labels)
        if arm in UNLABELLED_ARMS:
            assert torch.equal(batch.index, other.index)
            assert torch.equal(batch.weak, other.weak)
            assert torch.equal(batch.strong, other.strong)


@every_arm
def test_without_unlabelled_images_every_arm_is_supervised_training(arm: Arm, blocks: Blocks) -> None:
    spec, floor = trial(arm), trial(Arm("supervised"))
    block = blocks(spec.data)
    empty = with_pool(block, np.empty(0, np.int64))
    ours, theirs = (Trainer(s, empty, CPU) for s in (spec, floor))
    errors = [[(row["val_error"], row["val_loss"]) for _, row in run(t)] for t in (ours, theirs)]
    anneals = arm.algorithm == "uda" and "annealing" not in arm.off  # and so leaves labelled images out
    assert (errors[0] == errors[1]) != anneals


@every_unlabelled_arm
@pytest.mark.parametrize("size", [1, 5])
def test_a_pool_smaller_than_a_batch_is_seen_several_times_a_step(arm: Arm, size: int, blocks: Blocks) -> None:
    spec = trial(arm)
    block = with_pool(blocks(spec.data), np.arange(size))
    assert outcome(Trainer(spec, block, CPU)) == outcome(Trainer(spec, block, CPU))


@every_unlabelled_arm
def test_classes_may_be_missing_from_pool_and_batch(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, batch_size=2)
    block = blocks(spec.data)
    only = np.flatnonzero(block.unlabelled.pool.labels == 3)
    rows = run(Trainer(spec, with_pool(block, only), CPU))
    assert np.isfinite(rows[-1][1]["val_loss"])


@every_unlabelled_arm
def test_a_pool_without_synthetic_or_without_real_images_trains(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, steps=6, reports=1)
    block = blocks(spec.data)
    for synthetic in (False, True):
        keep = np.flatnonzero((block.unlabelled.generator >= 0) == synthetic)
        row = run(Trainer(spec, with_pool(block, keep), CPU))[-1][1]
        assert "detector_auroc" not in row  # there is nothing to tell apart


@pytest.mark.parametrize("arm", [a for a in UNLABELLED_ARMS if a.algorithm in ("fixmatch", "rsmatch", "uda")], ids=str)
def test_no_pseudo_label_is_confident_enough(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, config={"threshold": 1.0}, steps=6, reports=1)
    row = run(Trainer(spec, blocks(spec.data), CPU))[-1][1]
    if "threshold" in arm.off:
        assert row["coverage_real"] == row["coverage_synthetic"] == 1
        return
    assert row["coverage_real"] == row["coverage_synthetic"] == row["loss_unlabelled"] == 0
    assert "pseudo_label_accuracy_real" not in row  # a share of nothing is left out


@every_unlabelled_arm
def test_parameters_of_components_that_are_off_change_nothing(arm: Arm, blocks: Blocks) -> None:
    if not unused_parameters(arm):
        return
    spec = trial(arm, steps=8, reports=1)
    config = ALGORITHMS[arm.algorithm].Config
    other = {name: {"queue_size": 3, "annealing": "exp"}.get(name, 0.25) for name in unused_parameters(arm)}
    changed = spec.model_copy(update={"hyperparameters": config(**{**spec.hyperparameters, **other}).values()})
    rows = [run(Trainer(s, blocks(spec.data), CPU)) for s in (spec, changed)]
    assert rows[0] == rows[1]


APART: dict[str, dict[str, float]] = {
    "fixmatch": {"threshold": 0.2},
    "uda": {"threshold": 0.2},
    "flexmatch": {"threshold": 0.18, "unlabelled_weight": 0.02, "learning_rate": 0.02},
    "freematch": {"unlabelled_weight": 0.2, "learning_rate": 0.1, "fairness_weight": 1.0, "decay": 0.8},
    "softmatch": {"decay": 0.5},
}
"""Thresholds that some images pass and some do not, and pseudo-labels of more than one class."""


@pytest.mark.parametrize("algorithm", [name for name, kind in ALGORITHMS.items() if kind.components])
def test_each_component_changes_what_is_learned(algorithm: str, blocks: Blocks) -> None:
    final = {}
    for arm in ARMS:
        if arm.algorithm == algorithm:
            spec = trial(arm, steps=40, reports=1, config=APART.get(algorithm, {}))
            block = with_pool(blocks(spec.data), np.arange(40))  # seen often enough to be remembered
            final[str(arm)] = run(Trainer(spec, block, CPU))[-1][1]["val_loss"]
    assert len(set(final.values())) == len(final)


def test_fixmatch_without_unlabelled_images_is_supervised_learning_to_the_bit(blocks: Blocks) -> None:
    (without,) = (a for a in ARMS if a.name == "fixmatch-without-unlabelled")
    spec, plain = trial(without, steps=20), trial(Arm("supervised"), steps=20)
    assert outcome(Trainer(spec, blocks(spec.data), CPU)) == outcome(Trainer(plain, blocks(spec.data), CPU))


def test_rsmatch_without_detector_is_fixmatch_to_the_bit(blocks: Blocks) -> None:
    (without,) = (a for a in ARMS if a.name == "rsmatch-without-detector")
    spec, plain = trial(without, steps=20), trial(Arm("fixmatch"), steps=20)
    assert outcome(Trainer(spec, blocks(spec.data), CPU)) == outcome(Trainer(plain, blocks(spec.data), CPU))


@every_arm
def test_a_trial_whose_loss_is_no_number_says_so(arm: Arm, blocks: Blocks) -> None:
    spec = trial(arm, config={"learning_rate": 10.0, "weight_decay": 1.0}, steps=60, reports=2)
    with pytest.raises(TrainingDiverged, match="became NaN, infinite"):
        run(Trainer(spec, blocks(spec.data), CPU))


def test_a_number_that_no_record_takes_ends_a_trial_as_a_diverged_one(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = trial(Arm("fixmatch"))
    trainer = Trainer(spec, blocks(spec.data), CPU)
    monkeypatch.setattr("trainables.diagnostics.Diagnostics.report", lambda self: {"loss": 1.0, "ratio": 1e100})
    with pytest.raises(TrainingDiverged, match="ratio became NaN, infinite"):
        trainer.run_to_report()


def test_the_test_part_is_read_once_at_the_last_step_of_an_evaluation(blocks: Blocks) -> None:
    spec = trial(Arm("fixmatch"))
    rows = run(Trainer(spec, blocks(spec.data), CPU))
    assert [("test_error" in row, "test_loss" in row) for _, row in rows] == [(False, False)] * 2 + [(True, True)]
    assert 0 <= rows[-1][1]["test_error"] <= 100


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist"])
def test_tuning_has_no_test_part(dataset: str, blocks: Blocks) -> None:
    spec = trial(Arm("fixmatch"), data=data_spec(dataset), phase="tune", steps=4, reports=2)
    sealed = blocks(spec.data, 0, "tune")
    assert sealed.test is None
    for block in (sealed, blocks(spec.data, 0, "evaluate")):  # nor would it look at one
        assert all("test" not in name for _, row in run(Trainer(spec, block, CPU)) for name in row)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist"])
def test_both_phases_train_on_the_same_images(dataset: str, blocks: Blocks) -> None:
    tune, evaluate = (blocks(data_spec(dataset), 0, phase) for phase in ("tune", "evaluate"))
    for name in ("labelled", "validation"):
        assert getattr(tune, name).fingerprint == getattr(evaluate, name).fingerprint
    assert tune.unlabelled.pool.fingerprint == evaluate.unlabelled.pool.fingerprint
    assert tune.provenance == evaluate.provenance


def test_a_component_that_is_off_takes_its_dependents_along(blocks: Blocks) -> None:
    spec = trial(Arm("rsmatch", ("queue",)))
    with pytest.raises(ValueError, match="leaves a component on that needs one of these"):
        Trainer(spec, blocks(spec.data), CPU)


def test_a_configuration_of_another_algorithm_is_refused(blocks: Blocks) -> None:
    trainer = Trainer(trial(Arm("fixmatch")), blocks(data_spec()), CPU)
    with pytest.raises(TypeError, match="fixmatch takes FixMatchConfig, got SupervisedConfig"):
        ALGORITHMS["fixmatch"](ALGORITHMS["supervised"].Config(), task=trainer.algorithm.task)
    with pytest.raises(KeyError):
        trainer.algorithm.has("detector")
