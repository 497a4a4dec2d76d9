"""A study that is killed and interrupted ends with the same ledger and table as one that is left alone."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest

from results.ledger.ledger import Ledger
from results.report.writing import load_table
from tests.integration.studies import SMALL_TRIALS, ablate, keep_pools, start_ablate, with_pools, write_study
from tests.integration.test_study_run import leftovers, outcomes

pytestmark = pytest.mark.filterwarnings("ignore")


def wait_for(condition, process, seconds=120):
    """Wait until `condition()` or the process ended; True where the condition came first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    raise AssertionError("neither the condition nor the end of the process came in time")


@pytest.mark.timeout(400)
def test_kill_and_interrupt_leave_the_same_answer(run, pools, tmp_path):
    study = write_study(tmp_path)
    undisturbed, _ = run(with_pools(tmp_path / "undisturbed", pools))
    keep_pools(tmp_path / "undisturbed", pools)
    runs = with_pools(tmp_path / "runs", pools)
    ledger = Ledger(runs / "small" / "ledger")

    driver = start_ablate("run", study, cwd=tmp_path)
    assert wait_for(lambda: len(ledger.parts()) >= 3, driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = {r.trial_id: r.started_at for r in ledger.records()}
    assert 3 <= len(before) < SMALL_TRIALS

    driver = start_ablate("run", study, cwd=tmp_path)
    assert wait_for(lambda: len(ledger.parts()) >= len(before) + 2, driver)
    actors = {r.process for r in ledger.records() if r.trial_id not in before}
    for actor in actors:
        os.kill(actor, signal.SIGKILL)
    assert wait_for(lambda: len(ledger.parts()) >= len(before) + 4, driver)
    os.kill(driver.pid, signal.SIGINT)
    assert driver.wait(60) == 130
    assert len(ledger.records()) < SMALL_TRIALS
    assert "goes on from there" in (tmp_path / "output.txt").read_text()

    again = len(ledger.records())
    driver = start_ablate("run", study, cwd=tmp_path)
    assert wait_for(lambda: len(ledger.parts()) >= again + 1, driver)
    time.sleep(random.uniform(0.0, 0.5))
    os.kill(driver.pid, signal.SIGTERM)  # Ray takes it for itself unless it is taken back
    assert driver.wait(60) == 143
    assert (tmp_path / "output.txt").read_text().count("goes on from there") == 2

    finished = ablate("run", study, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in (tmp_path / "output.txt").read_text()
    after = ledger.records()
    assert actors, "some process was killed"
    assert max(Counter(r.trial_id for r in after).values()) == 1
    assert len(after) == SMALL_TRIALS
    assert {i: t for i, t in ((r.trial_id, r.started_at) for r in after) if i in before} == before, "none ran again"
    assert outcomes(after) == outcomes(Ledger(undisturbed.folders.ledger).records())
    assert load_table(runs / "small").answers() == load_table(undisturbed.folders.study).answers()
    assert not leftovers(runs)
    assert mlflow_trials(runs) == {r.trial_id: 1 for r in after}


def mlflow_trials(runs):
    """How often the MLflow store has each trial, read without MLflow."""
    import sqlite3

    with sqlite3.connect(runs / "mlflow.db") as store:
        rows = store.execute(
            "select t.value from tags t join runs r on r.run_uuid = t.run_uuid"
            " where t.key = 'ablate.key' and t.value like 'trial:%' and r.lifecycle_stage = 'active'"
        ).fetchall()
    return Counter(value.rsplit(":", 1)[1] for (value,) in rows)


def test_a_second_driver_is_refused_with_the_name_of_the_first(tmp_path):
    from orchestrator.storage.lock import study_lock

    study = write_study(tmp_path)
    with study_lock(tmp_path / "runs" / "small" / "run.lock"):
        second = ablate("run", study, cwd=tmp_path)
    assert second.returncode == 2
    assert f"process {os.getpid()}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_damaged_ledger_part_is_named_and_a_run_sets_it_aside(runs, tmp_path):
    study = write_study(tmp_path)
    part = tmp_path / "runs" / "small" / "ledger" / "part-abc.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1 but not really")
    result = ablate("plan", study, cwd=tmp_path)
    assert result.returncode == 2
    assert str(part.relative_to(tmp_path)) in result.stderr
    assert "Traceback" not in result.stderr
    run = ablate("run", study, "--max-trials", "0", cwd=tmp_path)
    assert run.returncode == 0
    assert "part-abc.parquet is damaged" in run.stdout
    assert (part.parent / "damaged" / part.name).exists()
    assert not part.exists()
