"""The whole machine on real Ray and real files: a study from its file to its ledger and table."""

from __future__ import annotations

from collections import Counter

import pytest

from results.ledger import Ledger
from results.report import load_table
from tests.integration.studies import SMALL_TRIALS

pytestmark = pytest.mark.filterwarnings("ignore")


def outcomes(records):
    """What must not depend on timing: everything of a record but when, where and how fast it ran."""
    return {
        (r.arm, r.phase, r.number): (r.trial_id, r.seed, r.status, r.config, r.suggested, r.metrics, r.curves, r.steps)
        for r in records
    }


def leftovers(folder):
    return [p for p in folder.rglob(".tmp-*")]


def test_a_study_runs_once_and_then_has_nothing_to_do(run, runs):
    outcome, _ = run(runs)
    records = Ledger(outcome.folders.ledger).records()
    assert outcome.ran == len(records) == SMALL_TRIALS
    assert not outcome.failed
    assert outcome.mirror_error is None
    assert Counter(r.phase for r in records) == {"tune": 15, "evaluate": 6}
    assert all(r.status == "completed" for r in records if r.phase == "evaluate")
    assert all("test_error" not in r.metrics and "test_error" not in r.curves for r in records if r.phase == "tune")
    assert all([s for s, _ in r.curves["test_error"]] == [r.steps] for r in records if r.phase == "evaluate")
    assert not leftovers(runs)
    assert not list(outcome.folders.checkpoints.iterdir())

    again, printed = run(runs)
    assert again.ran == 0
    assert "starting Ray" not in printed
    assert len(Ledger(outcome.folders.ledger).records()) == SMALL_TRIALS


def test_the_number_of_actors_does_not_change_the_answer(run, runs, tmp_path):
    two, _ = run(runs, resources={"cpus": 1, "gpus": 0, "actors": 2})
    alone = tmp_path / "alone"
    one, _ = run(alone, resources={"cpus": 1, "gpus": 0, "actors": 1})
    first, second = (Ledger(o.folders.ledger).records() for o in (two, one))
    assert outcomes(first) == outcomes(second)
    assert load_table(two.folders.study).answers() == load_table(one.folders.study).answers()
    assert any(r.status == "pruned" for r in first), "the study is meant to show that stopping does not depend on timing"
    one_process = {(r.host, r.process) for r in second}
    assert len(one_process) == 1, "actors are reused from trial to trial"


def test_early_stopping_uses_complete_earlier_generations_of_the_same_cell(run, runs):
    outcome, _ = run(runs)
    records = Ledger(outcome.folders.ledger).records()
    for arm in {r.arm for r in records}:
        tuning = {r.number: r for r in records if r.arm == arm and r.phase == "tune"}
        for r in tuning.values():
            if r.number < 2:
                assert r.status == "completed", "the first generation has no past to be measured against"
            if r.status == "pruned":
                step, value = r.curves["val_error"][-1]
                earlier = [tuning[n] for n in range(r.number - r.number % 2)]
                at_step = sorted(v for e in earlier for s, v in e.curves["val_error"] if s == step)
                middle = len(at_step) // 2
                median = (at_step[middle] + at_step[~middle]) / 2
                assert value > median
                assert r.steps == step < 24


def test_more_seeds_and_more_trials_run_only_what_is_new(run, runs):
    first, _ = run(runs, search={"trials": 2})
    assert first.ran == 3 * (2 + 2)
    more, _ = run(runs, search={"trials": 2}, evaluate={"seeds": 3})
    assert more.ran == 3
    kept = {r.trial_id for r in Ledger(first.folders.ledger).records()}
    tuned, _ = run(runs, search={"trials": 4}, evaluate={"seeds": 3})
    tuning = [r for r in Ledger(first.folders.ledger).records() if r.trial_id not in kept and r.phase == "tune"]
    assert len(tuning) == 3 * 2
    assert tuned.ran - len(tuning) in range(0, 10), "evaluation runs anew only where the best configuration changed"


def test_a_failing_trial_is_recorded_and_the_study_goes_on(run, runs):
    outcome, printed = run(
        runs, hyperparameters={"fixmatch": {"learning_rate": 10.0, "weight_decay": 1.0, "unlabelled_weight": 100.0}}
    )
    assert outcome.failed
    assert {r.arm for r in outcome.failed} == {"fixmatch"}
    assert outcome.blocked == ["fixmatch on digits-2l-30s"]
    for record in outcome.failed:
        assert record.status == "failed"
        assert "NaN" in record.error
        log = (outcome.folders.study / record.log).read_text()
        assert "Traceback" in log
        assert record.trial_id in log
        assert record.error in printed
    rows = {row.arm: row for row in load_table(outcome.folders.study).conditions[0].rows}
    assert "incomplete" in rows["fixmatch"].marks
    assert "incomplete" not in rows["rsmatch"].marks
    assert rows["rsmatch"].seeds_completed == 2
    assert run(runs, hyperparameters={"fixmatch": {"learning_rate": 10.0, "weight_decay": 1.0, "unlabelled_weight": 100.0}})[0].ran == 0


def test_a_trial_gets_its_share_of_logical_gpus(run, runs):
    outcome, printed = run(runs, resources={"cpus": 1, "gpus": 0.5, "actors": None}, search={"trials": 0})
    assert outcome.ran == 6
    assert "4 at a time" in printed


def test_a_trial_that_does_not_fit_is_refused_with_the_reason(run, runs):
    from orchestrator.runner import DoesNotFit

    with pytest.raises(DoesNotFit, match="wants 64 CPUs"):
        run(runs, resources={"cpus": 64, "gpus": 0})
