from __future__ import annotations

from itertools import chain

import pytest
from pydantic import ValidationError

from search_spaces import GROUPS, Choice, IntRange, Range, space_of
from search_spaces.distributions import distributions
from trainables.algorithms import ALGORITHMS, closure, inactive_parameters

RANGES: dict[str, Range] = dict(chain.from_iterable(group.items() for group in GROUPS.values()))
OWNED = [(name, field) for name, kind in ALGORITHMS.items() for field in kind.Config.model_fields if field in RANGES]


def test_a_field_stands_in_one_group() -> None:
    assert len(RANGES) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize("field", RANGES)
def test_every_range_is_of_a_field_that_an_algorithm_has(field: str) -> None:
    assert any(field in kind.Config.model_fields for kind in ALGORITHMS.values())


def test_every_hyperparameter_can_be_searched() -> None:
    assert {field for kind in ALGORITHMS.values() for field in kind.Config.model_fields} == set(RANGES)


@pytest.mark.parametrize(("algorithm", "field"), OWNED)
def test_bounds_are_accepted_and_hold_the_default(algorithm: str, field: str) -> None:
    config, found = ALGORITHMS[algorithm].Config, RANGES[field]
    default = config.model_fields[field].default
    assert not isinstance(found, Choice)
    assert found.low <= default <= found.high
    kind = int if isinstance(found, IntRange) else float
    for value in (found.low, found.high):
        assert type(value) is kind
        assert getattr(config(**{field: value}), field) == value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_bound_at_once_is_accepted(algorithm: str) -> None:
    config = ALGORITHMS[algorithm].Config
    space = space_of(algorithm, (), GROUPS)
    for end in ("low", "high"):
        config(**{field: getattr(found, end) for field, found in space.items()})
    with pytest.raises(ValidationError):
        config(**dict.fromkeys(space, -1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_space_has_the_fields_that_exist_sorted(algorithm: str) -> None:
    kind = ALGORITHMS[algorithm]
    for off in ((), *((c.name,) for c in kind.components)):
        closed = closure(kind.components, off)
        space = space_of(algorithm, closed, GROUPS)
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
    assert space_of("rsmatch", closure(components, {"detector"}), GROUPS) == space_of("fixmatch", (), GROUPS)


def test_unknown_names_are_errors() -> None:
    with pytest.raises(KeyError, match="fixmach"):
        space_of("fixmach", (), GROUPS)
    with pytest.raises(KeyError, match="treshold"):
        space_of("fixmatch", (), ["treshold"])
