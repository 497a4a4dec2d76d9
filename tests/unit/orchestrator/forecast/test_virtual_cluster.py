from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.common.folders import StudyFolders
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from orchestrator.forecast.virtual_cluster import STRAGGLER_FACTOR, ClusterShape, Course, VirtualCluster
from tests.unit.orchestrator.planning import KeptInMemory, make_plan, small_study

FREE = {"actor_start": 0.0, "driver_per_trial": 0.0, "driver_per_report": 0.0, "turnaround": 0.0}
ONE = 0.5 + 24 * 0.25 + 0.5
"""Seconds of a full trial below."""


class Fixed:
    """Every trial takes the same time; its errors follow from its specification alone."""

    def draw(self, slot, random):
        level = 10 + int(slot.spec.trial_id[:4], 16) % 30
        rows = [
            (step, {"val_error": level + 40 / step, "val_loss": 1.0, "test_error": float(level)})
            for step in slot.spec.training.report_steps()
        ]
        judged = slot.phase == "tune" and bool(slot.spec.stop_above)
        return Course(setup=0.5, per_step=0.25, rest=0.5, rows=rows, judged=judged)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return make_plan(small_study(folder, search={"early_stopping": {"rule": "none"}}).spec)


@pytest.fixture(scope="module")
def stopping(tmp_path_factory):
    return make_plan(small_study(tmp_path_factory.mktemp("study")).spec)


def simulate(plan, seed=0, **shape):
    folders = StudyFolders(Path("nowhere"), plan.study.study)
    ledger = KeptInMemory(folders.ledger)
    driver = StudyDriver(StudyState(plan, []), folders, ledger, code={})
    outcome = VirtualCluster(driver, Fixed(), ClusterShape(**shape), seed=seed).run()
    return outcome, ledger.kept


def test_one_process_runs_one_trial_after_another(plan):
    outcome, records = simulate(plan, **FREE)
    assert outcome.trials == len(records) == 21
    assert outcome.makespan == pytest.approx(21 * ONE)
    assert outcome.busy == pytest.approx(outcome.makespan)
    assert [r.wall_seconds for r in records] == pytest.approx([ONE] * 21)


def test_processes_share_the_trials_as_far_as_generations_let_them(plan):
    alone, _ = simulate(plan, **FREE)
    three, _ = simulate(plan, nodes=3, **FREE)
    many, _ = simulate(plan, nodes=50, trials_per_node=4, **FREE)
    assert alone.makespan / 3 <= three.makespan < 1.3 * alone.makespan / 3
    assert many.makespan == pytest.approx(4 * ONE), (
        "five suggestions in generations of two, then all evaluations at once"
    )
    assert alone.busy == pytest.approx(three.busy) == pytest.approx(many.busy)


def test_a_study_may_ask_for_fewer_actors_than_fit(plan):
    few, _ = simulate(plan, nodes=50, actors=1, **FREE)
    assert few.makespan == pytest.approx(21 * ONE)


def test_a_process_starts_only_when_there_is_a_trial_for_it(plan):
    outcome, _ = simulate(plan, nodes=100, **{**FREE, "actor_start": 10.0})
    assert 6 * 8 <= outcome.starting <= 6 * 12.5, (
        "three cells with two suggestions each; later trials find a warm process"
    )


def test_what_the_driver_does_waits_in_line(plan):
    outcome, _ = simulate(plan, nodes=50, **{**FREE, "driver_per_trial": 5.0})
    assert outcome.makespan >= 21 * 5
    assert outcome.driver_busy == pytest.approx(21 * 5)
    reports, _ = simulate(plan, nodes=50, **{**FREE, "driver_per_report": 2.0})
    assert reports.driver_busy == pytest.approx(21 * 6 * 2)


def test_faster_nodes_and_stragglers(plan):
    fast, _ = simulate(plan, speed=2.0, **FREE)
    slow, _ = simulate(plan, stragglers=1.0, **FREE)
    assert fast.makespan == pytest.approx(21 * ONE / 2)
    assert slow.makespan == pytest.approx(21 * ONE * STRAGGLER_FACTOR)


def test_trials_of_a_lost_node_go_on_elsewhere_from_their_checkpoint(plan):
    calm, _ = simulate(plan, nodes=4, **FREE)
    outcome, records = simulate(plan, nodes=4, failures_per_node_day=2000.0, **FREE)
    assert outcome.node_failures > 0
    assert len({r.trial_id for r in records}) == len(records) == outcome.trials == 21
    assert 0 < outcome.lost <= outcome.node_failures * (0.5 + 5 * 0.25 + 0.5), (
        "no more than set-up and a report interval each"
    )
    assert outcome.makespan > calm.makespan
    assert {r.status for r in records} == {"completed"}


def test_a_trial_that_loses_its_process_too_often_fails_and_the_study_goes_on(tmp_path):
    plan = make_plan(small_study(tmp_path, search={"trials": 0}).spec)
    folders = StudyFolders(tmp_path / "runs", "small")
    ledger = KeptInMemory(folders.ledger)
    driver = StudyDriver(StudyState(plan, []), folders, ledger, code={})
    shape = ClusterShape(nodes=1, failures_per_node_day=86400 / 3, **FREE)
    outcome = VirtualCluster(driver, Fixed(), shape).run()
    assert outcome.failed > 0
    assert outcome.trials == len(ledger.kept) == 6
    assert any("died, 4 times" in (r.error or "") for r in ledger.kept)


def test_the_same_seed_gives_the_same_run(stopping):
    shape = {"nodes": 3, "stragglers": 0.2, "failures_per_node_day": 300.0}
    assert simulate(stopping, seed=1, **shape) == simulate(stopping, seed=1, **shape)
    assert simulate(stopping, seed=1, **shape)[0] != simulate(stopping, seed=2, **shape)[0]


@settings(max_examples=8, deadline=None)
@given(nodes=st.integers(1, 30), stragglers=st.floats(0, 1), failures=st.floats(0, 200), seed=st.integers(0, 99))
def test_the_answer_does_not_depend_on_the_cluster(stopping, nodes, stragglers, failures, seed):
    def answer(records):
        return sorted((r.trial_id, r.status, r.steps) for r in records)

    _, alone = simulate(stopping, **FREE)
    outcome, records = simulate(stopping, seed=seed, nodes=nodes, stragglers=stragglers, failures_per_node_day=failures)
    if not outcome.failed:
        assert answer(records) == answer(alone)
    assert outcome.stopped_early == sum(r.status == "pruned" for r in records)
