from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.mirror.content import (
    NOTE_TAG,
    Place,
    arms_by_cell,
    cell_content,
    cell_key,
    experiment_tags,
    flat,
    place,
    study_content,
    trial_content,
)
from orchestrator.mirror.run_content import MAX_KEY, MAX_PARAM, MAX_TAG, RunContent, safe_key
from results.records.cell_records import CellRecords, select_records
from results.records.manifest import ArmInfo, CellInfo, ConditionInfo, StudyManifest
from results.records.origins import Origin
from results.records.trial_record import TrialRecord


def cell(**fields: Any) -> CellInfo:
    return CellInfo(condition="r0.5", origin=Origin("s0", "", "f" * 64), **fields)


def manifest(**changes: Any) -> StudyManifest:
    fields: dict[str, Any] = {
        "study": "digits",
        "question": "Which parts earn their place?",
        "reference": "rsmatch",
        "arms": (
            ArmInfo(name="rsmatch", title="RSMatch", algorithm="rsmatch", role="full"),
            ArmInfo(
                name="rsmatch-without-queue",
                title="RSMatch without queue",
                algorithm="rsmatch",
                role="ablated",
                removed=("queue",),
                off=("queue", "class-wise"),
                meaning="The detector stays with the PU risk.",
            ),
        ),
        "conditions": (ConditionInfo(name="r0.5", title="r = 0.5"),),
        "cells": (
            cell(cell="c0", arm="rsmatch", search="s0", tuning_trials=1),
            cell(cell="c1", arm="rsmatch-without-queue", search="s1", tuning_trials=1),
        ),
        "tuning_trials": 1,
        "evaluation_seeds": (0, 1),
        "steps": 100,
        "source": "study: digits\n",
    }
    return StudyManifest(**{**fields, **changes})


def record(**changes: Any) -> TrialRecord:
    fields: dict[str, Any] = {
        "trial_id": "a1",
        "study": "digits",
        "cell": "c1",
        "arm": "rsmatch-without-queue",
        "condition": "r0.5",
        "algorithm": "rsmatch",
        "phase": "evaluate",
        "number": 1,
        "seed": 3,
        "status": "completed",
        "config": {"threshold": 0.95, "optimiser": {"lr": 0.03, "nesterov": True}, "widths": [1, 2], "name": "wrn"},
        "metrics": {"val_error": 12.0, "test_error": 13.0},
        "curves": {"val_error": [(50, 20.0), (100, 12.0)]},
        "steps": 100,
        "seconds": 10.0,
        "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "code": {"commit": "abc", "dirty": False, "source": "s0"},
        "data": {"dataset": "digits", "fingerprint": "f" * 64},
    }
    return TrialRecord(**{**fields, **changes})


def cell_of(records: list[TrialRecord], study: StudyManifest, arm: str = "rsmatch-without-queue") -> RunContent:
    at = place(records[0], arms_by_cell(study))
    return cell_content(at, records, study, select_records(study, records).get((arm, "r0.5")))


def study_of(records: list[TrialRecord], study: StudyManifest) -> RunContent:
    return study_content(records, study, select_records(study, records))


def test_a_trial_is_named_after_its_arm_phase_and_seed_or_number() -> None:
    assert trial_content(record(), manifest()).name == "rsmatch-without-queue evaluate seed 3"
    assert trial_content(record(phase="tune", number=2), manifest()).name == "rsmatch-without-queue tune 2"


def test_params_are_the_whole_config_flat_and_what_the_table_groups_by() -> None:
    params = trial_content(record(), manifest()).params
    assert params["optimiser.lr"] == "0.03"
    assert params["optimiser.nesterov"] == "true"
    assert params["widths"] == "[1, 2]"
    assert params["name"] == "wrn"
    assert [params[k] for k in ("arm", "condition", "phase", "seed")] == [
        "rsmatch-without-queue",
        "r0.5",
        "evaluate",
        "3",
    ]


def test_a_setting_that_is_called_like_an_identity_is_not_lost() -> None:
    params = trial_content(record(config={"seed": 99, "algorithm": "rsmatch"}), manifest()).params
    assert params["seed"] == "3"
    assert params["config.seed"] == "99"
    assert "config.algorithm" not in params


def test_a_curve_is_spread_over_the_trial_and_its_last_point_is_the_metric_itself() -> None:
    content = trial_content(record(), manifest())
    points = [p for p in content.points if p.key == "val_error"]
    assert [(p.step, p.value, p.timestamp - content.started) for p in points] == [(50, 20.0, 5000), (100, 12.0, 10000)]


def test_the_last_value_wins_over_a_curve_that_ends_elsewhere() -> None:
    content = trial_content(record(metrics={"val_error": 11.0}), manifest())
    newest = max((p for p in content.points if p.key == "val_error"), key=lambda p: (p.step, p.timestamp))
    assert newest.value == 11.0


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_becomes_nan_in_a_curve(value: float) -> None:
    points = trial_content(record(curves={"loss": [(50, value)]}, metrics={}), manifest()).points
    assert math.isnan(points[0].value)


@pytest.mark.parametrize(("status", "shown"), [("completed", "FINISHED"), ("pruned", "KILLED"), ("failed", "FAILED")])
def test_a_stopped_trial_is_not_among_the_finished(status: str, shown: str) -> None:
    assert trial_content(record(status=status, phase="tune"), manifest()).status == shown


def test_a_failed_trial_says_why_and_where_its_log_is() -> None:
    content = trial_content(record(status="failed", metrics={}, error="boom *x*", log="log/a.txt"), manifest())
    assert "boom \\*x\\*" in content.tags[NOTE_TAG]
    assert "log/a.txt" in content.tags[NOTE_TAG]
    assert content.log == "log/a.txt"


def test_a_trial_says_where_it_comes_from() -> None:
    content = trial_content(record(), manifest())
    assert content.tags["mlflow.source.git.commit"] == "abc"
    assert content.tags["ablate.data"] == "f" * 64
    assert content.tags["ablate.source"] == "s0"
    assert content.dataset is not None
    assert content.dataset.digest == "f" * 36


def test_what_is_too_long_moves_whole_to_an_artifact_that_the_value_names() -> None:
    long = {"a": "x" * (MAX_PARAM + 1), "b": "y" * MAX_PARAM}
    content = trial_content(record(config=long, status="failed", error="e" * 20_000, metrics={}), manifest())
    assert len(content.params["a"]) == MAX_PARAM
    assert "long_values/params/a.txt" in content.params["a"]
    assert content.files["long_values/params/a.txt"] == long["a"]
    assert content.params["b"] == long["b"]
    assert len(content.tags[NOTE_TAG]) == MAX_TAG
    assert "e" * 20_000 in content.files[f"long_values/tags/{NOTE_TAG}.txt"]


@given(st.text(max_size=400))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_param_name

    key = safe_key(name)
    _validate_param_name(key)
    assert 0 < len(key) <= MAX_KEY


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_names_stay_two(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)


def test_nested_settings_are_flat_and_an_empty_one_is_kept() -> None:
    assert flat({"a": {"b": {"c": None}}, "d": {}}) == {"a.b.c": "null", "d": "{}"}


def tuned(**changes: Any) -> TrialRecord:
    return record(
        **{"phase": "tune", "number": 0, "seed": 0, "search": "s1", "metrics": {"val_error": 10.0}, **changes}
    )


def test_a_cell_shows_the_mean_over_completed_evaluations_only() -> None:
    study = manifest(evaluation_seeds=(0, 1, 2))
    records = [
        tuned(trial_id="t"),
        record(trial_id="e0", seed=0, metrics={"test_error": 10.0, "val_error": 1.0}),
        record(trial_id="e1", seed=1, metrics={"test_error": 20.0, "val_error": 1.0}),
        record(trial_id="f", seed=2, status="failed", metrics={}),
    ]
    content = cell_of(records, study)
    values = {p.key: p.value for p in content.points}
    assert values["test_error"] == 15.0
    assert values["n"] == 2
    assert values["best_val_error"] == 10.0
    assert content.tags["off"] == "queue, class-wise"
    assert content.status == "RUNNING"
    assert cell_of(records, manifest()).status == "FINISHED"


def test_a_cell_shows_intervals_and_how_far_it_is_from_the_full_method() -> None:
    study = manifest(evaluation_seeds=(0, 1, 2))
    arms = {"rsmatch": (10.0, 12.0, 14.0), "rsmatch-without-queue": (13.0, 14.0, 18.0)}
    records = {
        arm: [
            record(
                trial_id=f"{arm}{seed}", arm=arm, cell=f"c{n}", seed=seed, suggested={}, metrics={"test_error": error}
            )
            for seed, error in enumerate(errors)
        ]
        for n, (arm, errors) in enumerate(arms.items())
    }
    cells = {
        arm: CellRecords(
            cell=cell(cell=f"c{n}", arm=arm), tuning=(), spent=0, confirmation=(), choice=None, evaluation=tuple(found)
        )
        for n, (arm, found) in enumerate(records.items())
    }
    ablated, full = cells["rsmatch-without-queue"], cells["rsmatch"]
    at = Place("c1", "rsmatch-without-queue")
    content = cell_content(at, records[at.arm], study, ablated, full)
    values = {p.key: p.value for p in content.points}
    assert values["test_error"] == pytest.approx(15.0)
    assert values["difference"] == pytest.approx(3.0)
    half = 4.302653 * 1.0 / math.sqrt(3)  # t(0.975, 2) and the sd of 3, 2, 4
    assert values["difference_low"] == pytest.approx(3 - half)
    assert values["difference_high"] == pytest.approx(3 + half)
    assert values["test_error_high"] - 15 == pytest.approx(4.302653 * math.sqrt(7) / math.sqrt(3))
    assert "+3.00 [+0.52, +5.48] percentage points over 3 seeds" in content.tags[NOTE_TAG]
    itself = cell_content(Place("c0", "rsmatch"), records["rsmatch"], study, full, full)
    assert "difference" not in {p.key for p in itself.points}


def test_a_cell_is_running_until_its_seeds_are_done() -> None:
    content = cell_of([tuned(), record()], manifest())
    assert content.status == "RUNNING"
    assert content.ended is None


def test_a_tuning_trial_of_other_search_settings_is_not_the_frozen_one() -> None:
    records = [
        tuned(trial_id="old", search="s9", metrics={"val_error": 1.0}),
        tuned(trial_id="new", metrics={"val_error": 5.0}),
    ]
    values = {p.key: p.value for p in cell_of(records, manifest()).points}
    assert values["best_val_error"] == 5.0


def test_evaluations_of_an_earlier_choice_are_not_in_the_mean() -> None:
    records = [
        tuned(suggested={"lr": 0.1}),
        record(trial_id="old", seed=0, suggested={"lr": 0.9}, metrics={"test_error": 90.0}),
        record(trial_id="new", seed=0, suggested={"lr": 0.1}, metrics={"test_error": 10.0}),
    ]
    values = {p.key: p.value for p in cell_of(records, manifest()).points}
    assert (values["test_error"], values["n"], values["trials"]) == (10.0, 1.0, 3.0)
    assert "10.00 (1)" in study_of(records, manifest()).tags[NOTE_TAG]


def test_twins_on_one_cell_have_a_run_each_and_the_first_keeps_its_key() -> None:
    arms = (
        ArmInfo(name="a", title="A", algorithm="rsmatch", role="ablated", twin="a-inherited"),
        ArmInfo(name="a-inherited", title="A, inherited", algorithm="rsmatch", role="ablated", tuning="inherited"),
    )
    cells = (
        cell(cell="c", arm="a", search="s1", tuning_trials=1),
        cell(cell="c", arm="a-inherited", inherits="a"),
    )
    study = manifest(arms=arms, cells=cells, reference="a")
    assert cell_key(study, Place("c", "a")) == "cell:digits:c"
    assert cell_key(study, Place("c", "a-inherited")) == "cell:digits:c:a-inherited"
    places = [place(record(cell="c", arm=a), arms_by_cell(study)) for a in ("a", "a-inherited", "old-name")]
    assert places == [Place("c", "a"), Place("c", "a-inherited"), Place("c", "a")]
    inherited = record(cell="c", arm="a-inherited", seed=0)
    content = cell_content(places[1], [inherited], study, select_records(study, [inherited])["a-inherited", "r0.5"])
    assert content.tags["tuning"] == "inherited"
    assert "takes over" in content.tags[NOTE_TAG]


def test_a_confirmation_is_named_as_one() -> None:
    study = manifest()
    study = dataclasses.replace(study, cells=(*study.cells[:1], dataclasses.replace(study.cells[1], confirm="k")))
    content = trial_content(tuned(search="k", number=4, seed=7), study)
    assert content.name == "rsmatch-without-queue tune 4 confirmed with seed 7"
    assert "tried again with tuning seed 7" in content.tags[NOTE_TAG]


def test_an_arm_that_sets_a_value_says_so() -> None:
    arm = ArmInfo(name="big", title="RSMatch with M 256", algorithm="rsmatch", role="ablated", values={"M": 256})
    content = trial_content(record(arm="big"), manifest(arms=(*manifest().arms, arm)))
    assert "Set: `M` 256." in content.tags[NOTE_TAG]


def test_the_study_note_holds_the_question_and_the_table() -> None:
    records = [tuned(), *(record(trial_id=f"e{s}", seed=s, metrics={"test_error": 10.0 + s}) for s in range(2))]
    note = study_of(records, manifest()).tags[NOTE_TAG]
    assert "Which parts earn their place?" in note
    assert "| RSMatch without queue | 10.50 ± 0.71 (2) |" in note
    assert "| RSMatch | – |" in note


def test_an_arm_that_the_study_no_longer_has_is_shown_under_its_name() -> None:
    stranger = record(arm="gone", cell="c9")
    assert "gone" in trial_content(stranger, manifest()).tags[NOTE_TAG]
    content = cell_of([stranger], manifest(), arm="gone")
    assert content.name == "gone · r0.5"
    assert {p.key: p.value for p in content.points}["test_error"] == 13.0


def test_a_study_without_records_has_a_run() -> None:
    assert study_of([], manifest()).status == "RUNNING"


def test_a_study_has_the_commit_of_its_last_run() -> None:
    studied = manifest(provenance={"code": {"commit": "abc", "dirty": False}})
    assert study_of([], studied).tags["mlflow.source.git.commit"] == "abc"
    assert "mlflow.source.git.commit" not in study_of([], manifest()).tags


def test_equal_content_has_an_equal_digest() -> None:
    one, other = (cell_of([record(seconds=s)], manifest()) for s in (1.0, 2.0))
    assert one.digest() == dataclasses.replace(one).digest()
    assert one.digest() != other.digest()


def test_the_experiment_opens_on_the_training_side_with_the_study_s_columns() -> None:
    tags = experiment_tags(manifest())
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "metrics.`test_error`" in json.loads(tags["mlflow.sharedViewState.ablate"])["selectedColumns"]


def test_training_starts_after_the_set_up_and_the_run_ends_with_the_process() -> None:
    content = trial_content(record(setup_seconds=2.0, wall_seconds=15.0), manifest())
    points = [p for p in content.points if p.key == "val_error"]
    assert [p.timestamp - content.started for p in points] == [8_500, 15_000]
    assert content.ended == content.started + 15_000
