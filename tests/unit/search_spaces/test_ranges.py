from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import distribution_to_json, json_to_distribution

from search_spaces import Choice, FloatRange, IntRange, Range, contains, nearest, parse_range
from search_spaces.distributions import distribution, distributions


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    kind = draw(st.sampled_from(["float", "int", "choice"]))
    if kind == "choice":
        return Choice(tuple(draw(st.lists(st.text() | st.integers(2), min_size=2, max_size=5, unique=True))))
    log = draw(st.booleans())
    if kind == "int":
        low = draw(st.integers(1 if log else -1000, 1000))
        return IntRange(low, low + draw(st.integers(1, 1000)), log)
    low_float = draw(st.floats(1e-6 if log else -1e6, 1e6))
    return FloatRange(low_float, low_float + draw(st.floats(1.0, 1e6)), log)


@settings(deadline=None)
@given(ranges())
def test_a_distribution_has_the_ranges_values_and_scale(value: Range) -> None:
    found = distribution(value)
    assert json_to_distribution(distribution_to_json(found)) == found
    if isinstance(value, Choice):
        assert found.choices == value.values  # type: ignore[attr-defined]
        return
    assert (found.low, found.high, found.log) == (value.low, value.high, value.log)  # type: ignore[attr-defined]
    for bound in (value.low, value.high):
        assert found._contains(found.to_internal_repr(bound))


def test_a_spaces_distributions_keep_its_order() -> None:
    space: dict[str, Range] = {"b": FloatRange(0, 1), "a": IntRange(1, 2), "c": Choice(("x", "y"))}
    assert list(distributions(space)) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (FloatRange, (1.0, 1.0), "low: 1.0 is not below high 1.0"),
        (FloatRange, (2.0, 1.0), "is not below"),
        (FloatRange, (0.0, 1.0, True), "has no logarithm"),
        (FloatRange, (-1.0, 1.0, True), "has no logarithm"),
        (FloatRange, (float("nan"), 1.0), "is not below"),
        (FloatRange, (0.0, float("nan")), "is not below"),
        (FloatRange, (0.0, float("inf")), "is not finite"),
        (FloatRange, (float("-inf"), 0.0), "is not finite"),
        (IntRange, (3, 3), "is not below"),
        (IntRange, (0, 3, True), "has no logarithm"),
        (Choice, ((),), "leaves nothing to choose"),
        (Choice, (("a",),), "leaves nothing to choose"),
        (Choice, (("a", "a"),), "leaves nothing to choose"),
    ],
)
def test_a_range_without_values_is_an_error(kind: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(*arguments)


@given(ranges())
def test_a_range_is_read_as_it_is_written(value: Range) -> None:
    written = {"choices": list(value.values)} if isinstance(value, Choice) else dict(vars(value))
    assert parse_range(written) == value
    if not isinstance(value, Choice) and not value.log:
        assert parse_range({"low": value.low, "high": value.high}) == value


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({"low": 1, "high": 8}, IntRange(1, 8)),
        ({"low": 1, "high": 8.0}, FloatRange(1.0, 8.0)),
        ({"low": 0.1, "high": 1.0, "log": True}, FloatRange(0.1, 1.0, log=True)),
        ({"choices": [1, "a", 2.5]}, Choice((1, "a", 2.5))),
    ],
)
def test_the_forms_of_a_study_file(written: Any, found: Range) -> None:
    assert parse_range(written) == found
    assert type(parse_range(written)) is type(found)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "expected {low, high}"),
        ({"low": 1}, "expected {low, high}"),
        ({"low": 1, "high": 2, "step": 1}, "expected {low, high}"),
        ({"choices": [1, 2], "log": True}, "expected {low, high}"),
        ({"low": "1", "high": 2}, "low: expected a number"),
        ({"low": 1, "high": None}, "high: expected a number"),
        ({"low": False, "high": True}, "low: expected a number"),
        ({"low": 1, "high": 2, "log": 1}, "log: expected on or off"),
        ({"low": 2, "high": 1}, "low: 2 is not below high 1"),
        ({"low": 0, "high": 1, "log": True}, "has no logarithm"),
        ({"low": 0.0, "high": float("inf")}, "is not finite"),
        ({"choices": 3}, "choices: expected a list"),
        ({"choices": [[1], [2]]}, "choices: expected a list"),
        ({"choices": [1]}, "leaves nothing to choose"),
    ],
)
def test_a_range_that_is_none_says_why(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_range(written)


@given(st.floats(-5, 5) | st.integers(-5, 5) | st.booleans() | st.text(max_size=2))
def test_the_nearest_value_is_in_the_range_and_is_the_value_itself_where_it_can_be(
    value: bool | int | float | str,
) -> None:
    for found in (FloatRange(-1.0, 2.0), IntRange(-1, 2), Choice((0.5, 2)), Choice(("a", True)), Choice((1, 2, 3))):
        near = nearest(found, value)
        assert contains(found, near)
        if contains(found, value):
            assert near == value


@pytest.mark.parametrize(
    ("found", "value", "near"),
    [
        (FloatRange(0.5, 0.9), 0.95, 0.9),
        (FloatRange(0.5, 0.9), 0, 0.5),
        (IntRange(8, 64), 7.2, 8),
        (Choice((16, 64)), 32, 16),
        (Choice((16, 64)), 50, 64),
        (Choice(("sgd", "adam")), 3, "sgd"),
    ],
)
def test_nearest_values(found: Range, value: float, near: float | str) -> None:
    assert nearest(found, value) == near
