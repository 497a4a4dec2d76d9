import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.statistics.paired import seeds_needed
from results.statistics.power import detectable_effect, seeds_to_detect, sign_flip_power


@pytest.mark.parametrize(("seeds", "comparisons"), [(1, 1), (5, 1), (6, 8), (8, 8)])
def test_too_few_seeds_detect_nothing_of_any_size(seeds, comparisons):
    assert detectable_effect(seeds, comparisons) == math.inf
    assert sign_flip_power(seeds, 1e6, comparisons) == 0.0
    assert math.isfinite(detectable_effect(seeds_needed(comparisons=comparisons), comparisons))


@settings(max_examples=20, deadline=None)
@given(st.integers(6, 18), st.floats(0, 3))
def test_power_rises_with_the_effect_and_falls_with_the_comparisons(seeds, effect):
    power = sign_flip_power(seeds, effect)
    assert 0 <= power <= sign_flip_power(seeds, effect + 0.2) + 0.005 <= 1.005
    assert sign_flip_power(seeds, effect, comparisons=4) <= power + 0.02  # draws are few for the larger seeds


def test_without_an_effect_power_is_the_level():
    assert sign_flip_power(12, 0.0) == pytest.approx(0.05, abs=0.01)


def test_an_effect_of_either_sign_needs_as_many_seeds():
    assert seeds_to_detect(-1.1, 2) == seeds_to_detect(1.1, 2)


def test_no_effect_is_never_detected():
    assert seeds_to_detect(0.0) is None


def test_more_seeds_than_the_exact_test_counts():
    assert detectable_effect(10_000) == pytest.approx(2.802 / 100, rel=0.01)  # (z_0.975 + z_0.8) / √n


def test_the_same_question_has_the_same_answer():
    first = detectable_effect(10, 3)
    detectable_effect.cache_clear()
    assert detectable_effect(10, 3) == first


def test_a_rough_answer_is_near_and_never_below_what_significance_needs():
    for effect in (0.5, 1.0, 1.5, 4.0):
        exact, rough = seeds_to_detect(effect, 3), seeds_to_detect(effect, 3, roughly=True)
        assert exact is not None
        assert rough is not None
        assert seeds_needed(comparisons=3) <= rough <= exact <= rough + 3
