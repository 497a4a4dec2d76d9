from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables.configuration import content_hash
from trainables.data.faults import FAULTS
from trainables.specs import DataSpec, Stage, TrainingSpec, TrialSpec, told_apart

BASE: dict[str, Any] = {
    "algorithm": "rsmatch",
    "off": ("class-wise", "queue"),
    "hyperparameters": {"learning_rate": 0.03, "queue_size": 8, "threshold": 0.9},
    "data": DataSpec(dataset="digits"),
    "training": TrainingSpec(),
    "seed": 3,
    "phase": "tune",
    "search": "abc",
    "threads": 1,
    "stop_above": ((40, 55.5), (80, 40.0)),
    "fingerprint": "f",
    "source": "s",
    "environment": "torch 2.8.0",
    "stages": (Stage(until=40), Stage(until=80, changes={"threshold": 0.8})),
}
CHANGES: dict[str, Any] = {
    "algorithm": "fixmatch",
    "off": ("queue",),
    "hyperparameters": {"learning_rate": 0.03, "queue_size": 8, "threshold": 0.91},
    "data": DataSpec(dataset="digits", labels_per_class=5),
    "training": TrainingSpec(steps=401),
    "seed": 4,
    "phase": "evaluate",
    "search": "abd",
    "threads": 2,
    "stop_above": ((40, 55.5),),
    "fingerprint": "g",
    "source": "t",
    "environment": "torch 2.8.1",
    "stages": (Stage(until=40), Stage(until=80, changes={"threshold": 0.7})),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=6), st.randoms())
def test_a_content_hash_is_stable_under_key_order_and_json(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    digest = content_hash(value)
    assert content_hash({k: value[k] for k in keys}) == digest
    assert content_hash(json.loads(json.dumps(value))) == digest
    assert len(digest) == 20
    assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, {"a": float("-inf")}]])
def test_numbers_without_a_json_form_have_no_hash(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_hash(value)


@given(st.permutations(list(BASE)), st.permutations(list(BASE["hyperparameters"])))
def test_a_trials_id_is_stable_under_the_order_of_everything(fields: list[str], names: list[str]) -> None:
    shuffled = {name: BASE[name] for name in fields}
    shuffled["hyperparameters"] = {name: BASE["hyperparameters"][name] for name in names}
    assert TrialSpec(**shuffled).trial_id == TrialSpec(**BASE).trial_id


def test_every_field_is_part_of_the_id() -> None:
    assert CHANGES.keys() == BASE.keys() == TrialSpec.model_fields.keys()
    ids = {TrialSpec.model_construct(**{**BASE, name: value}).trial_id for name, value in CHANGES.items()}
    assert len(ids | {TrialSpec(**BASE).trial_id}) == len(BASE) + 1


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (
            DataSpec,
            {
                "dataset": "fashion-mnist",
                "labels_per_class": 5,
                "validation_per_class": 9,
                "contamination": 0.1,
                "generators": ("vae",),
                "unlabelled_real": 7,
                "class_skew": 3.0,
                "few_modes": 0.1,
                "semantic_drift": 0.2,
                "uneven_quality": 0.3,
                "domain_gap": 0.4,
            },
        ),
        (
            TrainingSpec,
            {
                "steps": 401,
                "reports": 11,
                "batch_size": 17,
                "unlabelled_ratio": 5,
                "momentum": 0.8,
                "average_decay": 0.9,
                "precision": "bfloat16",
                "compiled": True,
                "dense": True,
            },
        ),
    ],
)
def test_every_field_of_a_part_is_part_of_the_id(kind: type[DataSpec | TrainingSpec], changes: dict[str, Any]) -> None:
    assert changes.keys() | {"network"} == kind.model_fields.keys() | {"network"}
    part = {DataSpec: "data", TrainingSpec: "training"}[kind]
    values = BASE[part].model_dump()
    base = {**BASE, "stages": ()}  # whose ends must suit the training
    ids = {TrialSpec(**{**base, part: kind(**{**values, name: value})}).trial_id for name, value in changes.items()}
    assert len(ids | {TrialSpec(**base).trial_id}) == len(changes) + 1


def test_json_and_back() -> None:
    spec = TrialSpec(**BASE)
    again = TrialSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.trial_id == spec.trial_id
    assert TrialSpec.model_validate(json.loads(json.dumps(spec.values()))).trial_id == spec.trial_id


def test_a_changed_copy_has_its_own_id() -> None:
    spec = TrialSpec(**BASE)
    before = spec.trial_id
    changed = spec.model_copy(update={"seed": 4})
    assert changed.trial_id == TrialSpec(**{**BASE, "seed": 4}).trial_id != before
    assert spec.trial_id == before
    assert spec.model_copy().trial_id == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": "3"},
        {"phase": "test"},
        {"surprise": 1},
        {"off": "queue"},
        {"algorithm": 3},
    ],
)
def test_wrong_values_and_unknown_names_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrialSpec(**{**BASE, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"contamination": 1.0},
        {"contamination": -0.1},
        {"contamination": float("nan")},
        {"contamination": "0.5"},
        {"labels_per_class": 0},
        {"labels_per_class": 2.5},
        {"labels_per_class": True},
        {"validation_per_class": 0},
        {"generators": "vae"},
        {"colour": "red"},
    ],
)
def test_data_out_of_range_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DataSpec(**{"dataset": "digits", **wrong})


def test_specifications_are_frozen() -> None:
    with pytest.raises(ValidationError):
        TrialSpec(**BASE).seed = 5  # type: ignore[misc]


def test_validation_is_as_large_as_the_labelled_part_unless_given() -> None:
    assert DataSpec(dataset="digits", labels_per_class=7).validation_size == 7
    assert DataSpec(dataset="digits", labels_per_class=7, validation_per_class=3).validation_size == 3


@given(st.integers(1, 100_000), st.integers(1, 10_000))
def test_reports_are_evenly_spaced_and_end_at_the_last_step(steps: int, reports: int) -> None:
    found = TrainingSpec(steps=steps, reports=reports).report_steps()
    assert len(found) == min(steps, reports)
    assert found[-1] == steps
    assert found[0] >= 1
    gaps = [b - a for a, b in zip((0, *found), found, strict=False)]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 2


def staged(*stages: tuple[int, dict[str, Any]], **changes: Any) -> TrialSpec:
    """A trial of 400 steps that validates every 40."""
    return TrialSpec(**{**BASE, "stages": tuple(Stage(until=u, changes=c) for u, c in stages), **changes})


def test_hyperparameters_change_where_a_stage_begins() -> None:
    spec = staged((40, {}), (120, {"threshold": 0.5}), (200, {}), (400, {"threshold": 0.6, "learning_rate": 0.1}))
    assert spec.until == 400
    start = BASE["hyperparameters"]
    for step, changes in {
        0: {},
        39: {},
        40: {"threshold": 0.5},
        199: {"threshold": 0.5},
        200: {"threshold": 0.6, "learning_rate": 0.1},
        399: {"threshold": 0.6, "learning_rate": 0.1},
    }.items():
        assert spec.hyperparameters_at(step) == {**start, **changes}
    assert spec.hyperparameters == start


def test_without_stages_a_trial_trains_all_steps_with_one_configuration() -> None:
    spec = staged()
    assert spec.until == spec.training.steps
    assert spec.parent() is None
    assert spec.hyperparameters_at(0) == spec.hyperparameters_at(399) == spec.hyperparameters


def test_a_parent_is_the_trial_without_the_last_stage() -> None:
    first = staged((40, {}))
    second = first.followed_by(120, {"threshold": 0.5})
    third = second.followed_by(400, {})
    assert [s.until for s in third.stages] == [40, 120, 400]
    assert (third.parent(), second.parent(), first.parent()) == (second, first, None)
    assert third.parent().trial_id == second.trial_id  # type: ignore[union-attr]
    assert len({s.trial_id for s in (first, second, third)}) == 3
    assert TrialSpec.model_validate_json(third.model_dump_json()) == third
    for step in range(0, 120, 40):
        assert third.hyperparameters_at(step) == second.hyperparameters_at(step)
    with pytest.raises(ValueError, match="each ends after the one before"):
        third.followed_by(400, {})
    with pytest.raises(ValueError, match="each ends after the one before"):
        staged().followed_by(400, {})


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (((80, {}), (40, {})), "each ends after the one before; got ends at [80, 40]"),
        (((40, {}), (40, {})), "each ends after the one before"),
        (((41, {}),), "a stage ends where the trial validates"),
        (((440, {}),), "a stage ends where the trial validates"),
        (((40, {"threshold": 0.5}),), "the first one has nothing to change"),
        (((40, {}), (80, {"treshold": 0.5})), "treshold not among the hyperparameters"),
    ],
)
def test_stages_that_do_not_follow_each_other_are_refused(stages: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        staged(*stages)
    assert message in str(caught.value)


def test_an_evaluation_trains_to_the_last_step() -> None:
    assert staged((40, {}), (400, {}), phase="evaluate").until == 400
    with pytest.raises(ValidationError, match="an evaluation trains all 400 steps"):
        staged((40, {}), (80, {}), phase="evaluate")


def test_how_synthetic_images_are_made_counts_only_where_there_are_any() -> None:
    faults = {"few_modes": 0.1, "semantic_drift": 0.2, "uneven_quality": 0.3, "domain_gap": 0.4, "class_skew": 5}
    for name, value in {**faults, "generators": ("pca",)}.items():
        changed = {name: value}
        assert DataSpec(dataset="digits", **changed).identity() != DataSpec(dataset="digits").identity()
        clean = DataSpec(dataset="digits", contamination=0)
        assert DataSpec(dataset="digits", contamination=0, **changed).identity() == clean.identity()
    real = DataSpec(dataset="digits", contamination=0, unlabelled_real=9)
    assert real.identity() != DataSpec(dataset="digits", contamination=0).identity()


def test_faults_are_those_fields_that_are_called_so() -> None:
    data = DataSpec(dataset="digits", few_modes=0.1, domain_gap=1)
    assert data.faults == {"few_modes": 0.1, "semantic_drift": 0, "uneven_quality": 0, "domain_gap": 1}
    assert set(data.faults) == set(FAULTS)


def test_generators_are_told_apart_by_name_without_their_place():
    assert told_apart(("vae", "folder:/one/fakes", "folder:/two/fakes")) == ("vae", "folder:fakes", "folder:fakes-2")
