from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.design.conditions import changes_of, conditions_of, infos, make_condition
from orchestrator.study.spec import StudySpec
from trainables.specs import DataSpec, TrainingSpec

DATA, TRAINING = DataSpec(dataset="digits"), TrainingSpec()


def names(conditions: Any, **data: Any) -> list[str]:
    spec = StudySpec(
        study="t", question="q", method="rsmatch", data={"dataset": "digits", **data}, conditions=conditions
    )  # type: ignore[arg-type]
    return [c.info.name for c in conditions_of(spec)]


def test_without_conditions_there_is_the_studys_own() -> None:
    assert names(()) == ["digits-4l-50s"]
    assert make_condition(DATA, TRAINING, {}).info.title == "digits, 4 labels per class, 50% synthetic"


def test_a_grid_is_every_combination_the_last_field_fastest() -> None:
    grid = {"data.contamination": [0.0, 0.125], "data.labels_per_class": [1, 4]}
    assert names(grid) == ["digits-1l-0s", "digits-4l-0s", "digits-1l-12_5s", "digits-4l-12_5s"]


def test_a_list_is_its_entries_in_order_with_titles_of_their_own() -> None:
    entries = [
        {"training.steps": 80},
        {"data.generators": ["vae"], "title": "Blurry images only"},
        {"training.steps": 40},
    ]
    spec = StudySpec(study="t", question="q", method="rsmatch", data={"dataset": "digits"}, conditions=entries)  # type: ignore[arg-type]
    found = conditions_of(spec)
    assert [c.info.name for c in found] == [
        "digits-4l-50s-steps=80",
        "digits-4l-50s-generators=vae",
        "digits-4l-50s-steps=40",
    ]
    assert found[1].info.title == "Blurry images only"
    assert found[0].info.title.endswith(", steps 80")
    assert found[1].data.generators == ("vae",)
    assert (found[2].training.steps, found[2].data) == (40, spec.data)


FIELDS: dict[str, Any] = {
    "data.contamination": st.sampled_from([0.0, 0.1, 0.12345678, 0.1234567, 0.3, 1 / 3, 0.95]),
    "data.labels_per_class": st.integers(1, 9),
    "data.validation_per_class": st.integers(1, 9),
    "data.generators": st.sampled_from([["vae"], ["flow"], ["flow", "vae"], ["vae", "flow"]]),
    "training.steps": st.integers(1, 500),
    "training.average_decay": st.floats(0, 0.9999, allow_nan=False),
    "training.momentum": st.sampled_from([0.9, 0.90000001, 0.5]),
}
changes = st.fixed_dictionaries({}, optional=FIELDS)


@given(changes, changes)
def test_names_are_equal_exactly_where_the_conditions_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = make_condition(DATA, TRAINING, one), make_condition(DATA, TRAINING, other)
    assert (a.info.name == b.info.name) == ((a.data, a.training) == (b.data, b.training))


@given(st.lists(changes, min_size=1, max_size=4), changes)
def test_a_condition_keeps_its_name_when_others_join(entries: list[dict[str, Any]], more: dict[str, Any]) -> None:
    before = [make_condition(DATA, TRAINING, c).info for c in changes_of(tuple(entries))]
    after = [make_condition(DATA, TRAINING, c).info for c in changes_of((more, *entries))]
    assert after[1:] == before


@given(changes)
def test_a_name_is_a_safe_file_name_and_fields_are_those_of_the_specifications(entry: dict[str, Any]) -> None:
    condition = make_condition(DATA, TRAINING, entry)
    assert set(condition.info.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_=+")
    assert condition.info.fields == {**condition.data.values(), **condition.training.values()}


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.95"):
        make_condition(DATA, TRAINING, {"data.contamination": 0.99})


def alone(entries: Any, **data: Any) -> list[str]:
    spec = StudySpec(study="t", question="q", method="rsmatch", data={"dataset": "digits", **data}, conditions=entries)  # type: ignore[arg-type]
    return [info.real_only for info in infos(conditions_of(spec))]


def test_a_condition_knows_the_one_with_its_real_images_alone() -> None:
    assert alone({"data.contamination": [0.0, 0.25, 0.5]}) == ["", "digits-4l-0s", "digits-4l-0s"]
    entries = [
        {"data.contamination": 0.5, "data.generators": ["vae"], "data.semantic_drift": 0.5},
        {"data.contamination": 0.0, "data.generators": []},
        {"data.contamination": 0.5, "data.class_skew": 9.0, "data.unlabelled_real": 50},
        {"data.contamination": 0.5, "training.steps": 90},
    ]
    assert [name.partition("-generators")[0] for name in alone(entries)] == ["digits-4l-0s", "", "", ""]
    assert alone(()) == [""]
