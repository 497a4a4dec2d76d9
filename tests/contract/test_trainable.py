"""The Tune trainable: one trial after another in one process, each as if it were alone there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from orchestrator.cluster import gpu_energy, trial_process
from orchestrator.engine import payload as payload_keys
from tests.contract.trials import ARMS, Arm, Blocks, data_spec, run, trial
from trainables import trainable
from trainables.data.base import look_from
from trainables.data.datasets import FashionMNIST
from trainables.data.seed_block import load_dataset
from trainables.environment import environment
from trainables.evaluated_model import ModelDamaged, read_model
from trainables.files import checkpoint_path
from trainables.source import source_of
from trainables.specs import TrialSpec
from trainables.trainable import PAYLOAD, AblationTrainable
from trainables.training import Row, Trainer

pytestmark = pytest.mark.usefixtures("quick")
Make = Callable[[TrialSpec], AblationTrainable]


def here(spec: TrialSpec) -> TrialSpec:
    """The trial as this process's own source would plan it."""
    return spec.model_copy(update={"source": source_of(spec.algorithm)})


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def config(pools: Path, checkpoints: Path) -> Callable[[TrialSpec], dict[str, Any]]:
    def of(spec: TrialSpec) -> dict[str, Any]:
        text = spec.model_dump_json()
        return {"spec": text, "cache": str(pools), "checkpoints": str(checkpoints)}

    return of


@pytest.fixture
def actor(config: Callable[[TrialSpec], dict[str, Any]]) -> Iterator[Make]:
    trainable.seed_block.cache_clear()
    yield lambda spec: AblationTrainable(config=config(spec))
    trainable.seed_block.cache_clear()


def payload(result: dict[str, Any]) -> dict[str, Any]:
    (content,) = result[PAYLOAD]
    return content


def rows_of(actor: AblationTrainable) -> list[tuple[int, Row]]:
    """Run the actor's trial to its end."""
    rows: list[tuple[int, Row]] = []
    while True:
        result = actor.step()
        assert "failed" not in payload(result), payload(result).get("traceback")
        rows += payload(result)["rows"]
        if result["done"]:
            return rows


def test_a_trial_gives_the_trainers_rows_one_report_at_a_time(actor: Make, blocks: Blocks) -> None:
    spec = here(trial(Arm("fixmatch")))
    ours = actor(spec)
    results = [ours.step() for _ in range(3)]
    assert [r["done"] for r in results] == [False, False, True]
    rows = [row for r in results for row in payload(r)["rows"]]
    assert [len(payload(r)["rows"]) for r in results] == [1, 1, 1]
    assert rows == run(Trainer(spec, blocks(spec.data), torch.device("cpu")))
    last = payload(results[-1])
    assert last["step"] == 12
    assert last["seconds"] > 0
    assert last["data"]["dataset"] == "digits"
    assert last["versions"]["torch"] == torch.__version__.partition("+")[0]


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_a_trial_after_another_equals_the_trial_alone(
    arm: Arm, actor: Make, config: Callable[[TrialSpec], dict[str, Any]]
) -> None:
    spec = here(trial(arm, steps=4, reports=2))
    alone = rows_of(actor(spec))
    before = here(trial(Arm("rsmatch"), seed=1, data=data_spec(contamination=0.2), phase="tune", steps=3, reports=3))
    ours = actor(before)
    ours.step()  # left in the middle, as a stopped trial is
    assert ours.reset_config(config(spec)) is True
    assert rows_of(ours) == alone


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_an_evaluation_ends_with_features_and_tuning_does_not(arm: Arm, actor: Make, blocks: Blocks) -> None:
    for phase in ("evaluate", "tune"):
        ours = actor(here(trial(arm, phase=phase, steps=2, reports=2)))
        assert "features" not in payload(ours.step())
        result = ours.step()
        assert result["done"]
        last = payload(result)
        assert ("features" in last) == (phase == "evaluate")
        if phase == "tune":
            continue
        arrays = np.load(io.BytesIO(last["features"]), allow_pickle=False)
        pool = blocks(trial(arm).data).unlabelled
        n = len(arrays["classes"])
        assert arrays["features"].shape == (n, min(n, 16))
        assert np.isfinite(arrays["features"]).all()
        assert 0 < int(arrays["synthetic"].sum()) <= int((pool.generator >= 0).sum())


def test_tuning_after_an_evaluation_sees_no_test_part(actor: Make, config: Any) -> None:
    evaluate, tune = (here(trial(Arm("fixmatch"), phase=p, steps=2, reports=1)) for p in ("evaluate", "tune"))
    ours = actor(evaluate)
    assert "test_error" in rows_of(ours)[-1][1]
    ours.reset_config(config(tune))
    assert not any("test" in name for _, row in rows_of(ours) for name in row)


def test_a_killed_trial_goes_on_from_its_own_checkpoint(
    actor: Make, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    spec = here(trial(Arm("rsmatch")))
    killed = actor(spec)
    first = payload(killed.step())["rows"]
    assert checkpoint_path(checkpoints, spec.trial_id).exists()
    steps = []
    train_step = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda self: (steps.append(self.step), train_step(self))[1])
    rows = rows_of(actor(spec))
    assert rows[:1] == first  # all rows, those of before the kill included
    assert steps == list(range(4, 12))
    checkpoint_path(checkpoints, spec.trial_id).unlink()
    assert rows_of(actor(spec)) == rows


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_costs_time_and_nothing_else(content: bytes, actor: Make, checkpoints: Path) -> None:
    spec = here(trial(Arm("fixmatch"), steps=4, reports=2))
    expected = rows_of(actor(spec))
    checkpoints.mkdir(exist_ok=True)
    checkpoint_path(checkpoints, spec.trial_id).write_bytes(content)
    assert rows_of(actor(spec)) == expected


def test_a_trial_that_raises_ends_as_failed_and_the_next_one_runs(
    actor: Make, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = here(trial(Arm("fixmatch"), steps=2, reports=1))
    ours = actor(spec)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", lambda self: 1 / 0)
        result = ours.step()
    assert result["done"] is True
    assert payload(result)["failed"] == "ZeroDivisionError: division by zero"
    assert "train_step" in payload(result)["traceback"]
    assert payload(result)["rows"] == []
    ours.reset_config(config(spec))
    assert rows_of(ours)


def test_a_diverged_trial_ends_as_failed_with_advice(actor: Make) -> None:
    spec = here(trial(Arm("supervised"), steps=60, reports=1, config={"learning_rate": 10.0, "weight_decay": 1.0}))
    result = actor(spec).step()
    assert result["done"] is True
    assert "a lower learning rate" in payload(result)["failed"]
    assert "\n" not in payload(result)["failed"]


@pytest.mark.parametrize("text", ["", "{}", '{"algorithm": "fixmatch"}', "not JSON"])
def test_a_specification_that_is_none_is_a_failed_trial(text: str, actor: Make, config: Any) -> None:
    ours = actor(here(trial(Arm("fixmatch"))))
    ours.reset_config({**config(trial(Arm("fixmatch"))), "spec": text})
    result = ours.step()
    assert result["done"] is True
    assert payload(result)["failed"].startswith("ValidationError")


def test_other_training_code_is_refused(actor: Make) -> None:
    result = actor(trial(Arm("fixmatch"))).step()
    assert result["done"] is True
    assert "run the study again" in payload(result)["failed"]


def test_other_versions_are_refused(actor: Make) -> None:
    spec = here(trial(Arm("fixmatch"), steps=2, reports=1))
    other = actor(spec.model_copy(update={"environment": "torch 1.0.0"})).step()
    assert other["done"] is True
    assert f"this process has {environment()}, and the study was planned with torch 1.0.0" in payload(other)["failed"]
    assert rows_of(actor(spec.model_copy(update={"environment": environment()})))


def test_nothing_is_loaded_before_the_first_step(actor: Make, pools: Path) -> None:
    known = here(trial(Arm("fixmatch")))
    spec = known.model_copy(update={"data": known.data.model_copy(update={"dataset": "nowhere"})})
    result = actor(spec).step()  # made without complaint
    assert payload(result)["failed"] == "KeyError: 'nowhere'"


def test_tunes_own_checkpoints_work_too(actor: Make, tmp_path: Path) -> None:
    spec = here(trial(Arm("rsmatch")))
    expected = rows_of(actor(spec))
    first = actor(spec)
    first.step()
    (tmp_path / "tune").mkdir()
    first.save_checkpoint(str(tmp_path / "tune"))
    second = actor(spec)
    second.load_checkpoint(str(tmp_path / "tune"))
    assert rows_of(second) == expected


@pytest.mark.parametrize("told", [True, False])
def test_datasets_are_looked_for_where_the_study_was_started(
    told: bool,
    config: Callable[[TrialSpec], dict[str, Any]],
    made_up: Path,
    blocks: Blocks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = data_spec("fashion-mnist")
    expected = blocks(spec).provenance
    given = config(here(trial(Arm("fixmatch"), data=spec)))
    monkeypatch.setattr(FashionMNIST, "folders", (Path("fashion-mnist"),))
    monkeypatch.chdir(tmp_path)  # Tune puts its workers into a folder of its own
    load_dataset.cache_clear()
    trainable.seed_block.cache_clear()
    actor = AblationTrainable(config={**given, "started_in": str(made_up)} if told else given)
    try:
        result = payload(actor.step())
    finally:
        look_from(Path())
    if told:
        assert result["data"] == expected
    else:
        assert "the IDX files" in result["failed"]


def test_a_trial_that_finds_no_memory_on_its_gpu_says_so(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(self: Trainer) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Trainer, "train_step", allocate)
    monkeypatch.setattr(trial_process, "gpu_memory", lambda: (5, 10))
    result = trial_process.StudyTrainable(config=config(here(trial(Arm("fixmatch"), steps=2, reports=1)))).step()
    assert payload_keys.ran_out_of_memory(payload(result)["failed"])
    assert payload(result)[payload_keys.GPU_MEMORY] == (5, 10)
    assert not payload_keys.ran_out_of_memory("ZeroDivisionError: division by zero")


def test_a_trial_says_what_energy_it_took_and_starts_no_cluster_to_know(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = iter([100.0, 7300.0])
    monkeypatch.setattr(gpu_energy, "energy_counter", lambda: next(counters))
    result = trial_process.StudyTrainable(config=config(here(trial(Arm("fixmatch"), steps=2, reports=1)))).step()
    assert payload(result)[payload_keys.GPU_ENERGY] == 2.0
    assert not ray.is_initialized()


@pytest.mark.parametrize("compiled", [False, True])
def test_the_evaluated_network_is_handed_over_where_it_is_asked_for(
    config: Any, blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    monkeypatch.setattr("trainables.networks._COMPILER", "eager")
    arm = Arm("rsmatch")
    spec = here(trial(arm, phase="evaluate", steps=4, reports=2, compiled=compiled))
    asked = trial_process.StudyTrainable(config={**config(spec), payload_keys.KEEP_MODEL: True})
    assert payload_keys.MODEL not in payload(asked.step())
    last = payload(asked.step())
    path = tmp_path / "model.pt"
    path.write_bytes(last[payload_keys.MODEL])
    network, about = read_model(path)
    assert (about["trial_id"], about["network"]) == (spec.trial_id, spec.training.network)
    test = blocks(spec.data, phase="evaluate").test
    assert test is not None
    pixels = test.pixels(0, len(test))
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels).float() / 255)
    error = 100 * (logits.argmax(dim=1).numpy() != test.labels).mean()
    assert error == pytest.approx(dict(last["rows"])[4]["test_error"])

    path.write_bytes(last[payload_keys.MODEL][:-1])
    with pytest.raises(ModelDamaged, match=r"model\.pt: not an evaluated model"):
        read_model(path)
    asked.reset_config(config(spec))
    assert payload_keys.MODEL not in payload(rows_of_last(asked))


def rows_of_last(actor: AblationTrainable) -> dict[str, Any]:
    """The last result of the actor's trial."""
    while not (result := actor.step())["done"]:
        pass
    return result
