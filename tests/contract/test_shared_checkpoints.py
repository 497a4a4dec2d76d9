"""Trials whose checkpoints are in an object store, and machines that have nothing else in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.shared_checkpoints import SharedCheckpointTrainable
from orchestrator.storage.object_store import RemoteFolder
from orchestrator.storage.place import pool_names
from orchestrator.storage.pool_cache import POOLS
from tests.contract.test_stages import first_stage
from tests.contract.test_trainable import here, payload, rows_of
from tests.contract.trials import Arm, trial
from tests.object_store import S3
from trainables import trainable
from trainables.specs import TrialSpec
from trainables.trainable import AblationTrainable
from trainables.training import Row, Trainer

pytestmark = [pytest.mark.usefixtures("quick")]


@pytest.fixture(autouse=True)
def _fresh_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    trainable.seed_block.cache_clear()
    yield
    trainable.seed_block.cache_clear()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The training steps that were taken, by number."""
    taken: list[int] = []
    train_step = Trainer.train_step
    monkeypatch.setattr(Trainer, "train_step", lambda self: (taken.append(self.step), train_step(self))[1])
    return taken


def config(remote: RemoteFolder, spec: TrialSpec) -> dict[str, Any]:
    return {
        "spec": spec.model_dump_json(),
        "origin": remote.uri,
        "checkpoints": (remote / "small/checkpoints").uri,
        "pools": pool_names(spec.data, spec.seed),
    }


def ordinary(spec: TrialSpec, pools: Path, folder: Path) -> list[tuple[int, Row]]:
    rows = rows_of(
        AblationTrainable(config={"spec": spec.model_dump_json(), "cache": str(pools), "checkpoints": str(folder)})
    )
    trainable.seed_block.cache_clear()
    return rows


def send_pools(remote: RemoteFolder, spec: TrialSpec, pools: Path) -> None:
    for name in pool_names(spec.data, spec.seed):
        remote.send(pools / name, f"{POOLS}/{name}")


def test_a_trial_goes_on_where_another_machine_left_it(
    remote: RemoteFolder, pools: Path, tmp_path: Path, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = here(trial(Arm("rsmatch")))
    expected = ordinary(spec, pools, tmp_path / "ordinary")
    send_pools(remote, spec, pools)
    killed = SharedCheckpointTrainable(config=config(remote, spec))
    first = payload(killed.step())["rows"]
    assert killed._sending is not None
    killed._sending.join()
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "another-machine"))
    trainable.seed_block.cache_clear()
    steps.clear()
    again = SharedCheckpointTrainable(config=config(remote, spec))
    rows = rows_of(again)
    assert rows[:1] == first
    assert rows == expected
    assert steps == list(range(4, 12))
    scratch = again._scratch
    again.cleanup()
    assert not scratch.exists()


def test_a_trial_goes_on_from_the_one_that_it_continues(
    remote: RemoteFolder, pools: Path, tmp_path: Path, steps: list[int]
) -> None:
    first = first_stage(Arm("rsmatch"))
    second = first.followed_by(12, {"threshold": 0.3})
    expected = ordinary(second, pools, tmp_path / "ordinary")
    send_pools(remote, first, pools)
    actor = SharedCheckpointTrainable(config=config(remote, first))
    rows_of(actor)
    assert [Path(name).stem for name in remote.files("small/checkpoints")] == [first.trial_id]
    steps.clear()
    actor.reset_config(config(remote, second))
    assert rows_of(actor) == expected
    assert steps == list(range(4, 12))


def test_a_store_that_is_away_costs_time_and_nothing_else(
    remote: RemoteFolder, s3: S3, pools: Path, tmp_path: Path
) -> None:
    spec = here(trial(Arm("fixmatch"), steps=4, reports=2))
    expected = ordinary(spec, pools, tmp_path / "ordinary")
    s3.stop()
    assert rows_of(SharedCheckpointTrainable(config=config(remote, spec))) == expected  # pools are made anew


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_in_the_store(remote: RemoteFolder, pools: Path, tmp_path: Path, content: bytes) -> None:
    spec = here(trial(Arm("fixmatch"), steps=4, reports=2))
    expected = ordinary(spec, pools, tmp_path / "ordinary")
    send_pools(remote, spec, pools)
    remote.write(f"small/checkpoints/{spec.trial_id}.pt", content)
    assert rows_of(SharedCheckpointTrainable(config=config(remote, spec))) == expected
