from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.stopping import EarlierCurves, first_stop

errors = st.floats(0, 100, allow_nan=False)


@given(st.lists(errors, min_size=2, max_size=12), st.floats(0.01, 1))
def test_limits_are_numpys_quantiles_of_the_earlier_trials(values: list[float], keep: float) -> None:
    earlier = EarlierCurves([10, 20], after=0)
    for value in values:
        earlier.add([(10, value), (20, 0.0)])
    [(step, limit)] = earlier.limits(keep)
    assert step == 10
    assert limit == pytest.approx(float(np.quantile(values, keep)), abs=1e-9)


def test_nothing_stops_at_the_last_step_or_before_its_time_or_against_one_trial_alone() -> None:
    earlier = EarlierCurves([10, 20, 30, 40], after=0.5)
    earlier.add([(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0)])
    assert earlier.limits(0.5) == ()
    earlier.add([(10, 3.0), (20, 3.0)])
    assert earlier.limits(0.5) == ((20, 2.0),)


def test_the_first_step_above_its_limit_ends_a_trial() -> None:
    curve = [(10, 50.0), (20, 40.0), (30, 35.0)]
    assert first_stop(curve, ((20, 39.0), (30, 39.0))) == 20
    assert first_stop(curve, ((20, 40.0), (30, 36.0))) is None
    assert first_stop(curve, ()) is None


@given(st.lists(errors, min_size=1, max_size=12), st.sampled_from([0.25, 0.34, 0.5, 1.0]))
def test_asha_keeps_the_best_share_at_each_rung(values: list[float], keep: float) -> None:
    earlier = EarlierCurves([10, 20], after=0)
    for n, value in enumerate(values, start=1):
        earlier.add([(10, value)])
        ahead = sum(v < value for v in values[:n])
        assert earlier.above(10, value, keep) == (n * keep >= 1 and ahead >= max(int(n * keep), 1))
        assert not earlier.above(20, value, keep)
