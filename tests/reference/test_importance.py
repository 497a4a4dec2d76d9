"""PED-ANOVA against Optuna's."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from results.analysis.importance import DRAWS, FEWEST_TRIALS, TOP, by_chance, divergences
from results.records.manifest import RangeInfo

SPACE: dict[str, tuple[RangeInfo, BaseDistribution]] = {
    "float": (RangeInfo(low=0.7, high=0.99), FloatDistribution(0.7, 0.99)),
    "log_float": (RangeInfo(low=1e-5, high=1e-2, log=True), FloatDistribution(1e-5, 1e-2, log=True)),
    "int": (RangeInfo(low=-3, high=8), IntDistribution(-3, 8)),
    "wide_int": (RangeInfo(low=0, high=1000), IntDistribution(0, 1000)),
    "log_int": (RangeInfo(low=8, high=128, log=True), IntDistribution(8, 128, log=True)),
    "choice": (RangeInfo(choices=("linear", "log", "exp")), CategoricalDistribution(("linear", "log", "exp"))),
    "switch": (RangeInfo(choices=(False, True, 1.5)), CategoricalDistribution((False, True, 1.5))),
}
RANGES = {name: found for name, (found, _) in SPACE.items()}


def draw(random: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, found in RANGES.items():
        if found.choices:
            values[name] = found.choices[random.integers(len(found.choices))]
            continue
        low, high = (math.log(found.low), math.log(found.high)) if found.log else (found.low, found.high)
        value = float(random.uniform(low, high))
        value = math.exp(value) if found.log else value
        values[name] = min(max(round(value), int(found.low)), int(found.high)) if found.whole else value
    return values


def optunas(suggested: list[dict[str, Any]], losses: list[float]) -> dict[str, float]:
    """Its raw importances without the factor that all of them have in common."""
    study = optuna.create_study()
    distributions = {name: distribution for name, (_, distribution) in SPACE.items()}
    for values, loss in zip(suggested, losses, strict=True):
        study.add_trial(optuna.trial.create_trial(params=values, distributions=distributions, value=loss))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = PedAnovaImportanceEvaluator(target_quantile=TOP).evaluate(study)
    last = sorted(losses)[math.ceil(TOP * len(losses)) - 1]
    common = (sum(loss <= last for loss in losses) / len(losses)) ** 2
    return {name: value / common for name, value in found.items()}


@pytest.mark.parametrize("trials", [2, 11, 50, 137])
@pytest.mark.parametrize("seed", range(4))
def test_divergences_are_optunas(seed: int, trials: int) -> None:
    random = np.random.default_rng([seed, trials])
    suggested = [draw(random) for _ in range(trials)]
    losses = [
        round(100 * abs(v["float"] - 0.9) + v["int"] + 5 * (v["choice"] == "exp") + float(random.normal()), 1)
        for v in suggested
    ]
    expected = optunas(suggested, losses)
    assert divergences(RANGES, suggested, losses) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_values_at_the_ends_and_ties_are_optunas() -> None:
    ends = [{n: (r.choices[0] if r.choices else r.low) for n, r in RANGES.items()} for _ in range(6)]
    others = [{n: (r.choices[-1] if r.choices else r.high) for n, r in RANGES.items()} for _ in range(6)]
    losses = [1.0] * 4 + [2.0] * 8
    assert divergences(RANGES, ends + others, losses) == pytest.approx(optunas(ends + others, losses), rel=1e-6)
    assert divergences(RANGES, ends + others, [1.0] * 12) == pytest.approx(dict.fromkeys(RANGES, 0.0))


def test_p_is_the_share_of_random_orders_that_do_as_well() -> None:
    random = np.random.default_rng(5)
    suggested = [draw(random) for _ in range(60)]
    losses = [100 * abs(v["float"] - 0.9) + float(random.normal()) for v in suggested]
    found = by_chance(RANGES, suggested, losses)
    true = divergences(RANGES, suggested, losses)
    shuffles = [divergences(RANGES, suggested, list(random.permutation(losses))) for _ in range(200)]
    for name, p in found.items():
        counted = sum(one[name] >= true[name] for one in shuffles) / 200
        assert abs(p - counted) < 4 * math.sqrt(0.25 / 200 + 0.25 / DRAWS), name
    assert found["float"] == 1 / (DRAWS + 1)
    assert found == by_chance(RANGES, suggested, losses)


def searches(trials: int, count: int) -> list[tuple[list[dict[str, Any]], list[float]]]:
    """Random searches of five hyperparameters, of which the first makes half of the variance."""
    found = []
    for seed in range(count):
        random = np.random.default_rng([trials, seed])
        values = random.uniform(size=(trials, 5))
        losses = values[:, 0] * math.sqrt(12) + random.normal(size=trials)
        found.append(([{f"x{i}": float(v) for i, v in enumerate(row)} for row in values], list(losses)))
    return found


def first_is_first(trials: int, count: int = 60) -> float:
    """The share of searches in which the hyperparameter that matters has the largest divergence."""
    space = {f"x{i}": RangeInfo(low=0.0, high=1.0) for i in range(5)}
    found = [divergences(space, suggested, losses) for suggested, losses in searches(trials, count)]
    return sum(max(one, key=one.__getitem__) == "x0" for one in found) / count


def test_at_the_fewest_trials_what_matters_comes_first_and_with_few_it_does_not() -> None:
    assert first_is_first(FEWEST_TRIALS) > 0.75
    assert first_is_first(16) < 0.5
