"""Hyperparameters over time: going on from another trial's end is the same, to the bit, as training from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.trials import ARMS, CPU, Arm, Blocks, outcome, run, trial, unused_parameters, with_pool
from trainables import trainable
from trainables.algorithms import ALGORITHMS
from trainables.files import checkpoint_path
from trainables.source import source_of
from trainables.specs import Stage, TrialSpec
from trainables.trainable import PAYLOAD, AblationTrainable
from trainables.training import Row, Trainer

OTHER: dict[str, Any] = {
    "learning_rate": 0.1,
    "weight_decay": 0.01,
    "threshold": 0.9,
    "unlabelled_weight": 2.0,
    "synthetic_threshold": 0.1,
    "synthetic_weight": 1.0,
    "detector_weight": 0.5,
    "warmup_share": 0.6,
    "queue_weight": 1.0,
    "memory_decay": 0.3,
    "final_weight": 1.0,
    "ramp_start": 0.05,
    "ramp_end": 0.4,
    "consistency_weight": 20.0,
    "ramp_share": 0.6,
    "early_decay": 0.9,
    "teacher_decay": 0.9,
    "temperature": 0.9,
    "annealing": "exp",
    "fairness_weight": 0.5,
    "decay": 0.5,
}
CHANGEABLE = [
    (arm, field)
    for arm in ARMS
    if not arm.off
    for field in ALGORITHMS[arm.algorithm].Config.model_fields
    if field not in ALGORITHMS[arm.algorithm].fixed
]


def changes(arm: Arm) -> dict[str, Any]:
    """Another value for all that may change in this arm."""
    fields = ALGORITHMS[arm.algorithm].Config.model_fields
    return {k: v for k, v in OTHER.items() if k in fields and k not in unused_parameters(arm)}


def first_stage(arm: Arm, **training: Any) -> TrialSpec:
    """The first third of a trial of twelve steps."""
    spec = trial(arm, phase="tune", **training)
    return spec.model_copy(
        update={"stages": (Stage(until=spec.training.report_steps()[0]),), "source": source_of(arm.algorithm)}
    )


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_going_on_from_a_parent_gives_the_bits_of_training_from_the_beginning(
    arm: Arm, blocks: Blocks, tmp_path: Path
) -> None:
    first = first_stage(arm, steps=15)
    block = blocks(first.data)
    there = first.followed_by(10, changes(arm))
    back = there.followed_by(15, {k: first.hyperparameters[k] for k in changes(arm)})
    for parent, child in ((first, there), (there, back)):
        trainer = Trainer(parent, block, CPU)
        run(trainer)
        trainer.save(tmp_path / "parent.pt")
        resumed = Trainer(child, block, CPU)
        resumed.load(tmp_path / "parent.pt", of=parent)
        assert (resumed.step, resumed.first_step) == (parent.until, parent.until)
        assert resumed.inherited_seconds == resumed.seconds == trainer.seconds
        expected = outcome(Trainer(child, block, CPU))
        assert outcome(resumed) == expected
        assert [step for step, _ in expected[0]] == [s for s in (5, 10, 15) if s <= child.until]
    unchanged = trial(arm, phase="tune", steps=15)
    assert expected[1] != outcome(Trainer(unchanged, block, CPU))[1]


def test_a_change_to_the_same_values_changes_nothing(blocks: Blocks) -> None:
    first = first_stage(Arm("rsmatch"))
    same = first.followed_by(8, {}).followed_by(12, {"threshold": first.hyperparameters["threshold"]})
    plain = first.model_copy(update={"stages": ()})
    assert outcome(Trainer(same, blocks(first.data), CPU)) == outcome(Trainer(plain, blocks(first.data), CPU))


@pytest.mark.parametrize(("arm", "field"), CHANGEABLE, ids=str)
def test_every_field_that_may_change_does_change_training(arm: Arm, field: str, blocks: Blocks) -> None:
    """So nothing that follows from the configuration stays as it was built."""
    apart = (
        {"unlabelled_weight": 0.05, "learning_rate": 0.2} if field == "fairness_weight" else {}
    )  # more than one class
    first = first_stage(arm, steps=20, reports=4, config=apart)
    spec = first.followed_by(20, {field: OTHER[field]})
    plain = first.followed_by(20, {})
    block = with_pool(blocks(spec.data), np.arange(40))  # seen often enough to be remembered
    weights = [outcome(Trainer(s, block, CPU))[1] for s in (spec, plain)]
    assert weights[0] != weights[1]


def test_a_field_that_shapes_the_modules_is_refused_before_the_first_step(blocks: Blocks) -> None:
    spec = first_stage(Arm("rsmatch")).followed_by(12, {"queue_size": 9})
    with pytest.raises(ValueError, match="queue_size: it shapes what rsmatch builds, and cannot change from 8 to 9"):
        Trainer(spec, blocks(spec.data), CPU)


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_the_fields_that_may_not_change_are_fields(arm: Arm) -> None:
    kind = ALGORITHMS[arm.algorithm]
    assert kind.fixed <= set(kind.Config.model_fields)
    assert set(kind.Config.model_fields) - kind.fixed <= set(OTHER)


@pytest.fixture
def run_trial(pools: Path, tmp_path: Path, quick: None) -> Iterator[Any]:
    """Runs a trial in a trainable of its own: its rows, and its last payload."""
    trainable.seed_block.cache_clear()

    def ran(spec: TrialSpec) -> tuple[list[tuple[int, Row]], dict[str, Any]]:
        config = {"spec": spec.model_dump_json(), "cache": str(pools), "checkpoints": str(tmp_path)}
        actor, rows = AblationTrainable(config=config), []
        while True:
            result = actor.step()
            (payload,) = result[PAYLOAD]
            assert "failed" not in payload, payload["traceback"]
            rows += payload["rows"]
            if result["done"]:
                return rows, payload

    yield ran
    trainable.seed_block.cache_clear()


def test_a_trial_goes_on_from_its_nearest_ancestor(
    run_trial: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    train_step = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda self: (steps.append(self.step), train_step(self))[1])
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 3600.0)  # none in mid-training, however slow the machine
    first = first_stage(Arm("rsmatch"))
    second = first.followed_by(8, {"threshold": 0.3})
    third = second.followed_by(12, {"warmup_share": 0.1})
    expected, alone = run_trial(third)
    assert (alone["first_step"], alone["inherited_seconds"], alone["step"]) == (0, 0.0, 12)
    assert not checkpoint_path(tmp_path, third.trial_id).exists()  # nothing can continue it
    assert steps == list(range(12))

    rows, payload = run_trial(first)
    assert (payload["step"], rows) == (4, expected[:1])
    assert checkpoint_path(tmp_path, first.trial_id).exists()
    steps.clear()
    rows, from_first = run_trial(third)  # the parent never ran, the parent's parent did
    assert (rows, steps) == (expected, list(range(4, 12)))
    assert from_first["first_step"] == 4
    assert from_first["inherited_seconds"] == payload["seconds"] < from_first["seconds"]

    run_trial(second)
    steps.clear()
    rows, from_second = run_trial(third)
    assert (rows, steps, from_second["first_step"]) == (expected, list(range(8, 12)), 8)

    checkpoint_path(tmp_path, second.trial_id).write_bytes(b"damaged")
    steps.clear()
    assert run_trial(third)[0] == expected
    assert steps == list(range(4, 12))


def test_a_killed_trial_remembers_what_it_took_over(
    run_trial: Any, tmp_path: Path, pools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    first = first_stage(Arm("fixmatch"), steps=16, reports=4)
    _, parent = run_trial(first)
    spec = first.followed_by(16, {"threshold": 0.3})
    config = {"spec": spec.model_dump_json(), "cache": str(pools), "checkpoints": str(tmp_path)}
    AblationTrainable(config=config).step()  # and no further
    assert checkpoint_path(tmp_path, spec.trial_id).exists()
    checkpoint_path(tmp_path, first.trial_id).unlink()
    rows, payload = run_trial(spec)
    assert [step for step, _ in rows] == [4, 8, 12, 16]
    assert (payload["first_step"], payload["inherited_seconds"]) == (4, parent["seconds"])
