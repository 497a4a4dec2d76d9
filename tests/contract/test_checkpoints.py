"""A trial that was stopped and goes on from its checkpoint ends with the bits of one that never stopped."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.trials import ARMS, CPU, Arm, Blocks, outcome, run, trial
from trainables import training
from trainables.files import append_digest, without_digest
from trainables.specs import TrialSpec
from trainables.training import CheckpointDamaged, Trainer


@pytest.fixture
def fixmatch() -> TrialSpec:
    return trial(Arm("fixmatch"), steps=4, reports=2)


@pytest.fixture
def checkpoint(fixmatch: TrialSpec, blocks: Blocks, tmp_path: Path) -> Path:
    trainer = Trainer(fixmatch, blocks(fixmatch.data), CPU)
    trainer.run_to_report()
    trainer.save(tmp_path / "trial.pt")
    return tmp_path / "trial.pt"


@pytest.mark.parametrize("arm", ARMS, ids=str)
@pytest.mark.parametrize("steps_ahead", [4, 32])  # views are made for so many steps at once; reports are at 5, 10, 15
def test_going_on_from_a_report_gives_the_same_bits(
    arm: Arm, steps_ahead: int, blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_MOST_STEPS_AHEAD", steps_ahead)
    spec = trial(arm, steps=15, reports=3)
    block = blocks(spec.data)
    expected = outcome(Trainer(spec, block, CPU))
    trainer = Trainer(spec, block, CPU)
    for _ in range(2):
        trainer.run_to_report()
        trainer.save(tmp_path / "trial.pt")
        seconds = trainer.seconds
        trainer = Trainer(spec, block, CPU)
        trainer.load(tmp_path / "trial.pt")
        assert trainer.seconds == seconds
    assert outcome(trainer) == expected


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_going_on_between_reports_gives_the_same_weights_and_errors(arm: Arm, blocks: Blocks, tmp_path: Path) -> None:
    spec = trial(arm, steps=10, reports=2)
    block = blocks(spec.data)
    expected_rows, expected_weights = outcome(Trainer(spec, block, CPU))
    stopped = Trainer(spec, block, CPU)
    stopped.run_to_report()
    for _ in range(2):
        stopped.train_step()
    stopped.save(tmp_path / "trial.pt")
    resumed = Trainer(spec, block, CPU)
    resumed.load(tmp_path / "trial.pt")
    rows, weights = outcome(resumed)
    assert weights == expected_weights
    for (_, row), (_, expected) in zip(rows, expected_rows, strict=True):
        for name in ("val_error", "val_loss"):
            assert row[name] == expected[name]


def test_saving_changes_nothing(blocks: Blocks, tmp_path: Path) -> None:
    spec = trial(Arm("rsmatch"))
    saving = Trainer(spec, blocks(spec.data), CPU)
    while not saving.finished:
        saving.run_to_report()
        saving.save(tmp_path / "trial.pt")
    assert outcome(saving) == outcome(Trainer(spec, blocks(spec.data), CPU))
    assert [p.name for p in tmp_path.iterdir()] == ["trial.pt"]


def test_a_finished_trial_can_be_loaded(checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks) -> None:
    trainer = Trainer(fixmatch, blocks(fixmatch.data), CPU)
    rows = run(trainer)
    trainer.save(checkpoint)
    again = Trainer(fixmatch, blocks(fixmatch.data), CPU)
    again.load(checkpoint)
    assert again.finished
    assert again.rows == rows


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(share: float, checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks) -> None:
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointDamaged, match=r"trial\.pt: not a checkpoint of this trial"):
        Trainer(fixmatch, blocks(fixmatch.data), CPU).load(checkpoint)


def test_another_trials_checkpoint_is_refused(checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks) -> None:
    other = fixmatch.model_copy(update={"hyperparameters": {**fixmatch.hyperparameters, "threshold": 0.5}})
    with pytest.raises(CheckpointDamaged, match=f"belongs to trial {fixmatch.trial_id}, not {other.trial_id}"):
        Trainer(other, blocks(fixmatch.data), CPU).load(checkpoint)


class Payload:
    """Makes a file as soon as it is unpickled by something that runs what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_never_run(
    writer: str, checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks, tmp_path: Path
) -> None:
    hit = tmp_path / "code was run"
    content = {"trial_id": fixmatch.trial_id, "step": Payload(hit)}
    if writer == "torch":
        torch.save(content, checkpoint)
    else:
        checkpoint.write_bytes(pickle.dumps(content))
    append_digest(checkpoint)
    with pytest.raises(CheckpointDamaged):
        Trainer(fixmatch, blocks(fixmatch.data), CPU).load(checkpoint)
    assert not hit.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_a_flipped_bit_is_noticed(
    place: float, bits: int, checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks, tmp_path: Path
) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[int(place * len(content))] ^= bits
    (tmp_path / "flipped.pt").write_bytes(content)
    with pytest.raises(CheckpointDamaged, match=r"flipped\.pt: not a checkpoint of this trial"):
        Trainer(fixmatch, blocks(fixmatch.data), CPU).load(tmp_path / "flipped.pt")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), more=st.binary(max_size=40))
def test_a_checkpoint_that_ends_otherwise_is_noticed(
    share: float, more: bytes, checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks, tmp_path: Path
) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: int(share * len(content))] + more)
    with pytest.raises(CheckpointDamaged):
        Trainer(fixmatch, blocks(fixmatch.data), CPU).load(tmp_path / "cut.pt")


@pytest.mark.parametrize("content", [[], {"trial_id": None}, "text", 3])
def test_a_checkpoint_of_another_shape_is_refused(
    content: object, checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks
) -> None:
    torch.save(content, checkpoint)
    append_digest(checkpoint)
    with pytest.raises(CheckpointDamaged):
        Trainer(fixmatch, blocks(fixmatch.data), CPU).load(checkpoint)


def test_a_missing_part_is_refused(checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks) -> None:
    state = torch.load(io.BytesIO(without_digest(checkpoint.read_bytes())), weights_only=True)
    for part in state:
        torch.save({k: v for k, v in state.items() if k != part}, checkpoint)
        append_digest(checkpoint)
        with pytest.raises(CheckpointDamaged):
            Trainer(fixmatch, blocks(fixmatch.data), CPU).load(checkpoint)


def test_a_failed_save_leaves_the_last_checkpoint(
    checkpoint: Path, fixmatch: TrialSpec, blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = checkpoint.read_bytes()
    trainer = Trainer(fixmatch, blocks(fixmatch.data), CPU)

    def full_disk(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        trainer.save(checkpoint)
    assert checkpoint.read_bytes() == content
    assert [p.name for p in checkpoint.parent.iterdir()] == ["trial.pt"]
