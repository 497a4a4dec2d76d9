from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records.constraints import Constraint, parse_constraint, violations

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True),
    st.sampled_from(["<=", ">="]),
    numbers,
    st.sampled_from(["", " ", "  "]),
)
def test_what_is_written_is_read(metric: str, side: str, bound: float, space: str) -> None:
    assert parse_constraint(f"{space}{metric}{space}{side}{space}{bound!r}{space}") == Constraint(metric, side, bound)  # type: ignore[arg-type]


@given(numbers, numbers)
def test_a_violation_is_above_zero_exactly_where_the_bound_is_broken(value: float, bound: float) -> None:
    assert (Constraint("m", "<=", bound).violation({"m": value}) > 0) == (value > bound)
    assert (Constraint("m", ">=", bound).violation({"m": value}) > 0) == (value < bound)


def test_a_metric_that_is_not_there_is_no_bound_met() -> None:
    assert violations([Constraint("m", "<=", 1.0), Constraint("n", ">=", 1.0)], {"n": 3.0}) == [math.inf, -2.0]


@given(st.text())
def test_any_text_is_a_bound_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert math.isfinite(parse_constraint(text).bound)


@pytest.mark.parametrize(
    "text", ["", "m", "m < 3", "m = 3", "m <= ", "m <= x", "<= 3", "m <= 1e", "m <= --1", "M <= 1", "m <= 3 or"]
)
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(ValueError, match="expected 'metric <= number' or 'metric >= number', got"):
        parse_constraint(text)


@pytest.mark.parametrize("text", ["m <= 1e999", "m >= -1e999"])
def test_a_bound_is_finite(text: str) -> None:
    with pytest.raises(ValueError, match="expected a finite bound"):
        parse_constraint(text)
