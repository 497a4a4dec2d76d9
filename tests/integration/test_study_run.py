"""The whole machine on real Ray and real files: a study from its file to its ledger and table."""

from __future__ import annotations

import shutil
import statistics
from collections import Counter
from pathlib import Path

import pytest

from results.ledger.ledger import Ledger
from results.report.writing import load_table
from tests.integration.studies import SMALL_TRIALS, ablate, keep_pools, with_pools, write_study

pytestmark = pytest.mark.filterwarnings("ignore")


def outcomes(records):
    """What must not depend on timing: everything of a record but when, where and how fast it ran."""
    return {
        (r.arm, r.phase, r.number): (r.trial_id, r.seed, r.status, r.config, r.suggested, r.metrics, r.curves, r.steps)
        for r in records
    }


def leftovers(folder):
    return list(folder.rglob(".tmp-*"))


@pytest.fixture(scope="module")
def two_actors(run, tmp_path_factory, pools):
    """The small study, run once with two actors: (outcome, its folder of runs)."""
    runs = with_pools(tmp_path_factory.mktemp("two-actors"), pools)
    outcome, _ = run(runs, resources={"cpus": 1, "gpus": 0, "actors": 2})
    keep_pools(runs, pools)
    return outcome, runs


def test_a_study_is_recorded_completely(two_actors):
    outcome, runs = two_actors
    records = Ledger(outcome.folders.ledger).records()
    assert outcome.ran == len(records) == SMALL_TRIALS
    assert not outcome.failed
    assert outcome.mirror_error is None
    assert Counter(r.phase for r in records) == {"tune": 15, "evaluate": 6}
    assert all(r.status == "completed" for r in records if r.phase == "evaluate")
    assert not leftovers(runs)
    assert not list(outcome.folders.checkpoints.iterdir())


def test_test_images_are_read_once_and_never_while_tuning(two_actors):
    records = Ledger(two_actors[0].folders.ledger).records()
    assert all("test_error" not in r.metrics and "test_error" not in r.curves for r in records if r.phase == "tune")
    assert all([s for s, _ in r.curves["test_error"]] == [r.steps] for r in records if r.phase == "evaluate")
    assert {r.seed for r in records if r.phase == "tune"}.isdisjoint(r.seed for r in records if r.phase == "evaluate")


def test_a_second_run_has_nothing_to_do(run, two_actors):
    again, printed = run(two_actors[1], resources={"cpus": 1, "gpus": 0, "actors": 2})
    assert again.ran == 0
    assert "starting Ray" not in printed
    assert not again.store_refused
    assert len(Ledger(again.folders.ledger).records()) == SMALL_TRIALS


def test_a_store_that_cannot_be_written_is_no_mere_note(two_actors, tmp_path):
    runs = Path(shutil.copytree(two_actors[1], tmp_path / "runs"))
    (runs / "small" / "log" / "mirror.json").unlink()
    (runs / "mlflow.db").write_text("hello, I am a text file")
    study = write_study(tmp_path)
    done = ablate("run", study, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "mlflow.db: not an SQLite database; move it away and `ablate sync` writes it anew" in done.stderr
    (runs / "mlflow.db").rename(runs / "aside")
    done = ablate("run", study, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_number_of_actors_does_not_change_the_answer(run, runs, two_actors):
    one, _ = run(runs, resources={"cpus": 1, "gpus": 0, "actors": 1})
    first, second = (Ledger(o.folders.ledger).records() for o in (two_actors[0], one))
    assert outcomes(first) == outcomes(second)
    assert load_table(two_actors[0].folders.study).answers() == load_table(one.folders.study).answers()
    assert any(r.status == "pruned" for r in first), "stopping is part of what must not depend on timing"
    assert len({(r.host, r.process) for r in second}) == 1, "actors are reused from trial to trial"


def test_early_stopping_uses_complete_earlier_generations_of_the_same_cell(two_actors):
    records = Ledger(two_actors[0].folders.ledger).records()
    for arm in {r.arm for r in records}:
        tuning = {r.number: r for r in records if r.arm == arm and r.phase == "tune"}
        assert all(tuning[n].status == "completed" for n in (0, 1)), "the first generation has no past"
        for r in tuning.values():
            if r.status == "pruned":
                step, value = r.curves["val_error"][-1]
                earlier = [tuning[n] for n in range(r.number - r.number % 2)]
                at_step = [v for e in earlier for s, v in e.curves["val_error"] if s == step]
                assert value > statistics.median(at_step)
                assert r.steps == step < 24


def test_more_seeds_and_more_trials_run_only_what_is_new(run, runs):
    first, _ = run(runs, search={"trials": 2})
    assert first.ran == 3 * (2 + 2)
    kept = {r.trial_id for r in Ledger(first.folders.ledger).records()}
    tuned, _ = run(runs, search={"trials": 4}, evaluate={"seeds": 3})
    tuning = [r for r in Ledger(first.folders.ledger).records() if r.trial_id not in kept and r.phase == "tune"]
    assert len(tuning) == 3 * 2
    assert tuned.ran - len(tuning) in range(0, 10), "evaluation runs anew only where the best configuration changed"


def test_a_failing_trial_is_recorded_and_the_study_goes_on(run, runs, tmp_path):
    diverging = {"fixmatch": {"learning_rate": 10.0, "weight_decay": 1.0, "unlabelled_weight": 100.0}}
    outcome, printed = run(runs, hyperparameters=diverging)
    assert {r.arm for r in outcome.failed} == {"fixmatch"}
    assert outcome.blocked == ["fixmatch on digits-2l-30s"]
    for record in outcome.failed:
        assert record.status == "failed"
        assert "NaN" in record.error
        log = (outcome.folders.study / record.log).read_text()
        assert "Traceback" in log
        assert record.trial_id in log
        assert record.error in " ".join(printed.split())
    rows = {row.arm: row for row in load_table(outcome.folders.study).conditions[0].rows}
    assert "incomplete" in rows["fixmatch"].marks
    assert "incomplete" not in rows["rsmatch"].marks
    assert rows["rsmatch"].seeds_completed == 2

    study = write_study(tmp_path, hyperparameters=diverging)
    again = ablate("run", study, "--runs", runs, cwd=tmp_path)
    assert again.returncode == 1
    assert "nothing to run" in again.stdout
    assert again.stderr.count("failed: fixmatch, tune") == len(outcome.failed)
    assert "not evaluated: fixmatch" in again.stderr


def test_a_trial_gets_its_share_of_logical_gpus(run, runs):
    outcome, printed = run(runs, resources={"cpus": 1, "gpus": 0.5, "actors": None}, search={"trials": 0})
    assert outcome.ran == 6
    assert "4 at a time" in printed


def test_a_trial_that_does_not_fit_is_refused_with_the_reason(run, runs):
    from orchestrator.cluster.capacity import DoesNotFit

    with pytest.raises(DoesNotFit, match="wants 64 CPUs"):
        run(runs, resources={"cpus": 64, "gpus": 0})
