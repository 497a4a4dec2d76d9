"""Trials on logical GPUs: how many share one, and what happens to one that finds too little memory there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import ray
import torch

from orchestrator.cluster import trial_process
from orchestrator.cluster.capacity import Capacity, living_nodes, refusals
from orchestrator.cluster.trial_process import StudyTrainable
from orchestrator.study.sections import ResourcesSpec
from results.ledger.ledger import Ledger

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]
GIB = 1 << 30


class OnAGpu(StudyTrainable):
    """As on a GPU of 16 GiB, of which a trial takes 3; FixMatch finds too little below half of it."""

    def step(self) -> dict[str, Any]:
        trial_process.gpu_memory = lambda: (3 * GIB, 16 * GIB)
        self._energy.watt_hours = lambda: 8.0
        return super().step()

    def _open(self) -> Any:
        trainer = super()._open()
        share = ray.get_runtime_context().get_assigned_resources()["GPU"]
        if trainer.spec.algorithm == "fixmatch" and share < 0.5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.")
        return trainer


def test_trials_are_measured_packed_and_given_more_where_it_was_too_little(run, runs, monkeypatch):
    held: dict[str, list[float]] = {}
    bundle = Capacity.bundle

    def told(capacity: Capacity, names: tuple[str, ...], gpus: float) -> dict[str, float]:
        held.setdefault(names[0], []).append(gpus)
        return bundle(capacity, names, gpus)

    monkeypatch.setattr(Capacity, "bundle", told)
    monkeypatch.setattr("orchestrator.cluster.shared_checkpoints.trainable_of", lambda storage: OnAGpu)
    (there,) = living_nodes(ray)
    assert refusals(ResourcesSpec(gpus=there["GPU"]), [()]) == [], (
        "a plan judges the cluster that this process is connected to"
    )
    assert len(refusals(ResourcesSpec(gpus=there["GPU"] + 1), [()]) or ()) == 1
    outcome, _ = run(runs, resources={"cpus": 1, "gpus": "auto", "actors": None})
    assert not outcome.failed
    records = Ledger(outcome.folders.ledger).records()
    assert {r.status for r in records} <= {"completed", "pruned"}
    assert {r.metrics["gpu_memory_mib"] for r in records} == {3072.0}
    energy = {(r.arm, r.metrics["gpu_energy_wh"]) for r in records}
    assert {watt_hours for _, watt_hours in energy} == {8.0, 4.0, 2.0}, "of a whole GPU, half of one and a quarter"
    assert ("fixmatch", 2.0) not in energy, "it has too little in a quarter"
    assert {arm: (shares[0], shares[-1]) for arm, shares in held.items()} == {
        "rsmatch": (1.0, 0.25),
        "rsmatch-without-queue": (1.0, 0.25),
        "fixmatch": (1.0, 0.5),
    }
    again = [r for r in records if r.log]
    assert {r.arm for r in again} == {"fixmatch"}
    assert "with 0.25 of a GPU: OutOfMemoryError" in (outcome.folders.study / str(again[0].log)).read_text()
    assert max(Counter(r.trial_id for r in Ledger(outcome.folders.ledger).history()).values()) == 1
