"""Designs, budgets, strategies, decisions and users' own algorithms on real Ray and real files."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console

from orchestrator.check.loading import load_study
from orchestrator.engine.budgets import RunLimits
from orchestrator.engine.changes import ChangedSinceRecorded
from orchestrator.running.runner import RunOptions, run_study
from results.ledger.ledger import Ledger
from results.records.manifest import StudyManifest
from results.report.writing import load_table
from tests.integration.studies import keep_pools, with_pools, write_study

pytestmark = pytest.mark.filterwarnings("ignore")

BROAD = {
    "study": "broad",
    "baselines": [],
    "conditions": {"training.steps": [12, 24]},
    "search": {"trials": 4, "budget": "steps", "mode": "both", "confirm": {"top": 2, "seeds": 1}},
}
OWN = """
from pathlib import Path

from torch import nn
from torch.nn import functional as F

from trainables.algorithms import Algorithm, AlgorithmConfig, Component, StepOutput
from trainables.networks import classifier


class Own(Algorithm):
    name = "own"
    title = "Own"
    Config = AlgorithmConfig
    components = (Component(name="steady", title="steadiness", off="it fails until there is a file called mended"),)

    def build(self):
        self.classifier = classifier(self.task)
        self.modules = nn.ModuleDict({"classifier": self.classifier})

    def loss(self, batch, step):
        if not self.has("steady") and not (Path(__file__).parent / "mended").exists():
            raise RuntimeError("not mended")
        return StepOutput(loss=F.cross_entropy(self.classifier(batch.labelled), batch.labels))
"""
OWN_STUDY = {
    "study": "own",
    "method": "own_match:Own",
    "ablation": {"components": "all"},
    "baselines": [],
    "training": {"steps": 12},
    "search": {"trials": 2, "spaces": ["optimiser"]},
}


def go(path, runs, **options):
    """Run a study file in this process; gives its outcome."""
    return run_study(load_study(path), RunOptions(runs=runs, mirror=False, **options), Console(file=io.StringIO()))


def records(outcome):
    return Ledger(outcome.folders.ledger).records()


def answers(outcome):
    return load_table(outcome.folders.study).answers()


@pytest.fixture(scope="module")
def broad(shared_ray, tmp_path_factory, pools):
    """A study with conditions, inherited twins and confirmation, run with four actors: (outcome, runs, study's folder)."""
    folder = tmp_path_factory.mktemp("broad")
    runs = with_pools(folder / "runs", pools)
    outcome = go(write_study(folder, **BROAD, resources={"actors": 4}), runs)
    keep_pools(runs, pools)
    return outcome, runs, folder


def test_one_actor_that_is_stopped_twice_gives_the_answer_of_four(broad, shared_ray, tmp_path, pools):
    runs = with_pools(tmp_path / "runs", pools)
    path = write_study(tmp_path, **BROAD, resources={"actors": 1})
    for most in (5, 9):
        part = go(path, runs, limits=RunLimits(trials=most))
        assert part.ran == most
        assert part.stopped == f"--max-trials {most} is reached"
    whole = go(path, runs)
    assert whole.stopped is None
    assert {r.trial_id for r in records(whole)} == {r.trial_id for r in records(broad[0])}
    assert len(records(whole)) == 14 + whole.ran, "no trial ran twice"
    assert answers(whole) == answers(broad[0])


def test_every_cell_is_tuned_with_the_same_steps_and_confirmed(broad):
    found = Counter()
    for r in records(broad[0]):
        if r.phase == "tune" and r.seed < 1_000_000_000:
            found[r.arm, r.condition] += r.steps
    assert len(found) == 4, "inherited arms are not tuned"
    for (_, condition), steps in found.items():
        full = 12 if "steps=12" in condition else 24
        assert 3 * full < steps <= 4 * full
    confirmed = [r for r in records(broad[0]) if r.seed >= 1_000_000_000]
    assert Counter(r.condition for r in confirmed) == dict.fromkeys({r.condition for r in confirmed}, 4)
    assert all(r.status == "completed" for r in confirmed)


def test_more_seeds_and_arms_run_only_what_is_new(broad, shared_ray):
    outcome, runs, folder = broad
    before = {r.trial_id for r in records(outcome)}
    larger = {**BROAD, "evaluate": {"seeds": 3}, "ablation": {"components": ["queue", "score-memory"]}}
    more = go(write_study(folder, **larger, resources={"actors": 4}), runs)
    assert StudyManifest.load(more.folders.study).earlier_seeds == ((0, 1),), (
        "who reads the table is told of added seeds"
    )
    new = [r for r in records(more) if r.trial_id not in before]
    assert more.ran == len(new) > 0
    assert {r.seed for r in new if r.phase == "evaluate" and "score-memory" not in r.arm} == {2}
    again = go(write_study(folder, **BROAD, resources={"actors": 4}), runs)
    assert again.ran == 0, "a smaller study finds all that it wants"
    assert {r.trial_id for r in records(again)} >= before
    assert StudyManifest.load(again.folders.study).earlier_seeds == ((0, 1), (0, 1, 2)), "and of those taken away"


def test_failed_trials_run_again_on_request_and_changed_code_is_asked_about(shared_ray, runs, tmp_path):
    (tmp_path / "own_match.py").write_text(OWN, encoding="utf-8")
    path = write_study(tmp_path, **OWN_STUDY)
    first = go(path, runs)
    assert first.blocked == ["own-without-steady on digits-2l-30s"]
    assert len(first.failed) == 2
    assert go(path, runs).ran == 0, "failed trials are recorded"

    (tmp_path / "mended").touch()
    mended = go(path, runs, retry_failed=True)
    assert not mended.failed
    assert mended.ran == 4, "two tuning trials again, and the evaluation that waited for them"
    assert {r.attempt for r in records(mended) if r.arm == "own-without-steady" and r.phase == "tune"} == {1}

    (tmp_path / "own_match.py").write_text(OWN + "\n# a change that could matter\n", encoding="utf-8")
    with pytest.raises(
        ChangedSinceRecorded, match=r"training source of own_match:Own .*own_match\.py.*own-without-steady"
    ):
        go(path, runs)
    accepted = go(path, runs, changed="accept")
    assert accepted.ran == 0
    rows = load_table(accepted.folders.study).conditions[0].rows
    assert all("mixed code" in row.marks for row in rows)
    again = go(path, runs, changed="rerun")
    assert again.ran == 8
    assert len(records(again)) == 16, "nothing is removed"
    assert go(path, runs).ran == 0, "the decision is kept"
    assert not any("mixed code" in row.marks for row in load_table(again.folders.study).conditions[0].rows)


@pytest.mark.parametrize(
    "search",
    [
        {"strategy": "asynchronous", "early_stopping": {"rule": "asha", "after": 0.0, "keep": 0.5}},
        {"strategy": "population", "population": {"rounds": 3}, "early_stopping": {"rule": "none"}},
    ],
    ids=["asynchronous", "population"],
)
def test_the_other_strategies_finish_and_are_finished(shared_ray, runs, tmp_path, search):
    path = write_study(
        tmp_path,
        study="other",
        ablation={"design": "none"},
        baselines=[],
        search={"trials": 4, "budget": "steps", **search},
    )
    part = go(path, runs, limits=RunLimits(trials=5))
    assert part.stopped
    whole = go(path, runs)
    found = records(whole)
    assert len(found) == part.ran + whole.ran == len({(r.phase, r.number) for r in found})
    assert not whole.failed
    assert not list(whole.folders.checkpoints.glob("*.pt"))
    (row,) = load_table(whole.folders.study).conditions[0].rows
    assert row.seeds_completed == 2
    assert ("asynchronous search" in row.marks) == (search["strategy"] == "asynchronous")
    assert go(path, runs).ran == 0
