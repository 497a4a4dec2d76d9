from __future__ import annotations

from itertools import chain

import pytest
from pydantic import ValidationError

from search_spaces import DATA_PREFIX, GROUPS, Choice, FloatRange, IntRange, Range, data_fields, space_of
from search_spaces.distributions import distributions
from trainables.algorithms import ALGORITHMS, closure, inactive_parameters
from trainables.specs import DataSpec

RANGES: dict[str, Range] = dict(chain.from_iterable(group.items() for group in GROUPS.values()))
DATA_RANGES = {field: r for field, r in RANGES.items() if field.startswith(DATA_PREFIX)}
ALGORITHM_GROUPS = [name for name, group in GROUPS.items() if not set(group) & set(DATA_RANGES)]
OWNED = [(name, field) for name, kind in ALGORITHMS.items() for field in kind.Config.model_fields if field in RANGES]


def test_a_field_stands_in_one_group() -> None:
    assert len(RANGES) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize("field", RANGES)
def test_every_range_is_of_a_field_that_an_algorithm_has(field: str) -> None:
    if field in DATA_RANGES:
        assert field.removeprefix(DATA_PREFIX) in DataSpec.model_fields
    else:
        assert any(field in kind.Config.model_fields for kind in ALGORITHMS.values())


def test_every_hyperparameter_can_be_searched() -> None:
    assert {field for kind in ALGORITHMS.values() for field in kind.Config.model_fields} == set(RANGES) - set(
        DATA_RANGES
    )


@pytest.mark.parametrize(("algorithm", "field"), OWNED)
def test_bounds_are_accepted_and_hold_the_default(algorithm: str, field: str) -> None:
    config, found = ALGORITHMS[algorithm].Config, RANGES[field]
    default = config.model_fields[field].default
    if isinstance(found, Choice):
        assert default in found.values
        assert all(getattr(config(**{field: value}), field) == value for value in found.values)
        return
    assert found.low <= default <= found.high
    kind = int if isinstance(found, IntRange) else float
    for value in (found.low, found.high):
        assert type(value) is kind
        assert getattr(config(**{field: value}), field) == value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_bound_at_once_is_accepted(algorithm: str) -> None:
    config = ALGORITHMS[algorithm].Config
    space = space_of(algorithm, (), ALGORITHM_GROUPS)
    for end in ("low", "high"):
        config(**{field: getattr(found, end) for field, found in space.items() if not isinstance(found, Choice)})
    with pytest.raises(ValidationError):
        config(**dict.fromkeys(space, -1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_space_has_the_fields_that_exist_sorted(algorithm: str) -> None:
    kind = ALGORITHMS[algorithm]
    for off in ((), *((c.name,) for c in kind.components)):
        closed = closure(kind.components, off)
        space = space_of(algorithm, closed, ALGORITHM_GROUPS)
        assert list(space) == sorted(space)
        assert set(space) == set(kind.Config.model_fields) - inactive_parameters(kind.components, closed)
        assert all(space[field] is RANGES[field] for field in space)
        assert list(distributions(space)) == list(space)


def test_groups_and_constants_narrow_a_space() -> None:
    assert list(space_of("fixmatch", (), ["thresholds"])) == ["threshold"]
    assert list(space_of("rsmatch", (), ["thresholds"])) == ["synthetic_threshold", "threshold"]
    assert list(space_of("rsmatch", (), ["thresholds"], fixed=["threshold"])) == ["synthetic_threshold"]
    assert space_of("supervised", (), ["thresholds", "loss-weights"]) == {}
    assert space_of("rsmatch", (), []) == {}
    components = ALGORITHMS["rsmatch"].components
    assert space_of("rsmatch", closure(components, {"detector"}), ALGORITHM_GROUPS) == space_of(
        "fixmatch", (), ALGORITHM_GROUPS
    )


def test_unknown_names_are_errors() -> None:
    with pytest.raises(KeyError, match="fixmach"):
        space_of("fixmach", (), ALGORITHM_GROUPS)
    with pytest.raises(KeyError, match="treshold"):
        space_of("fixmatch", (), ["treshold"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_arm_can_search_the_number_of_labels(algorithm: str) -> None:
    off = [c.name for c in ALGORITHMS[algorithm].components]
    space = space_of(algorithm, off, ["labels"])
    assert space == DATA_RANGES == {"data.labels_per_class": IntRange(1, 16, log=True)}
    assert space_of(algorithm, off, ["labels"], own={"data.labels_per_class": Choice((2, 4))}) == {
        "data.labels_per_class": Choice((2, 4))
    }


def test_suggestions_are_parted_into_hyperparameters_and_data() -> None:
    assert data_fields({"threshold": 0.9, "data.labels_per_class": 4}) == ({"threshold": 0.9}, {"labels_per_class": 4})
    assert data_fields({}) == ({}, {})


def test_a_studys_own_ranges_replace_and_extend_the_groups() -> None:
    own = {"threshold": FloatRange(0.5, 0.6), "queue_size": IntRange(2, 4), "queue_weight": Choice((0.25, 0.75))}
    space = space_of("rsmatch", (), ["thresholds"], own=own)
    assert space == {**own, "synthetic_threshold": RANGES["synthetic_threshold"]}
    components = ALGORITHMS["rsmatch"].components
    assert "queue_size" not in space_of("rsmatch", closure(components, {"queue"}), [], own=own)
    assert list(space_of("rsmatch", (), [], fixed=["threshold"], own=own)) == ["queue_size", "queue_weight"]
    assert list(space_of("fixmatch", (), [], own=own)) == ["threshold"]


def test_whole_numbers_for_a_real_field_are_real_ends() -> None:
    own = {"threshold": IntRange(0, 1), "unlabelled_weight": Choice((1, 2.5)), "queue_size": IntRange(2, 4)}
    space = space_of("rsmatch", (), [], own=own)
    assert space == {
        "queue_size": IntRange(2, 4),
        "threshold": FloatRange(0.0, 1.0),
        "unlabelled_weight": Choice((1.0, 2.5)),
    }
    assert [type(v) for v in space["unlabelled_weight"].values] == [float, float]  # type: ignore[union-attr]
