"""Effects of factorial designs against averages by hand, and against least squares in another coding."""

from itertools import combinations, product
from statistics import fmean

import numpy as np
import pytest

from results.analysis.effects import factorial_effects
from results.records.cell_records import select_records
from tests.unit.results.factories import factorial_study

SWITCH = ("on", "off")


def study_of(levels, runs, seeds=(1, 2, 3, 4), lost=()):
    random = np.random.default_rng([len(runs), len(levels)])
    errors = {(run, s): random.uniform(2, 40) for s in seeds for run in runs if (run, s) not in lost}
    factors = {f"f{i}": SWITCH if n == 2 else tuple("abcde"[:n]) for i, n in enumerate(levels)}
    study, records = factorial_study(factors, runs, errors)
    return factorial_effects(study.factorial, "half", select_records(study, records)), errors


def average(errors, seed, **at):
    return fmean(e for (run, s), e in errors.items() if s == seed and all(run[int(f[1:])] == k for f, k in at.items()))


@pytest.mark.parametrize("levels", [(2, 2), (2, 2, 2), (2, 2, 2, 2), (2, 3), (3, 2, 4)])
def test_full_designs_are_differences_of_averages(levels):
    found, errors = study_of(levels, list(product(*map(range, levels))))
    effects = iter(found.effects)
    for i, n in enumerate(levels):
        for k in range(1, n):
            effect, f = next(effects), f"f{i}"
            expected = {s: average(errors, s, **{f: k}) - average(errors, s, **{f: 0}) for s in (1, 2, 3, 4)}
            assert dict(effect.by_seed) == pytest.approx(expected)
    for i, j in combinations(range(len(levels)), 2):
        for k, m in product(range(1, levels[i]), range(1, levels[j])):
            effect, f, g = next(effects), f"f{i}", f"f{j}"
            expected = {
                s: average(errors, s, **{f: k, g: m})
                - average(errors, s, **{f: 0, g: m})
                - average(errors, s, **{f: k, g: 0})
                + average(errors, s, **{f: 0, g: 0})
                for s in (1, 2, 3, 4)
            }
            assert dict(effect.by_seed) == pytest.approx(expected)
    assert next(effects, None) is None


@pytest.mark.parametrize(("levels", "lost"), [((2, 2, 2), [3]), ((2, 2, 2, 2), [0, 5, 9]), ((2, 2, 3), [4])])
def test_unbalanced_seeds_are_least_squares_in_dummy_coding(levels, lost):
    """Fit with 0/1 dummies (another basis of the same model), predict every combination, average the predictions."""
    runs = list(product(*map(range, levels)))
    found, errors = study_of(levels, runs, lost=[(runs[i], 2) for i in lost])

    def row(run):
        dummies = [[float(run[i] == k) for k in range(1, n)] for i, n in enumerate(levels)]
        pairs = [a * b for one, other in combinations(dummies, 2) for a in one for b in other]
        return [1.0, *(d for one in dummies for d in one), *pairs]

    kept = [run for run in runs if (run, 2) in errors]
    fitted = np.linalg.lstsq(np.array([row(r) for r in kept]), np.array([errors[r, 2] for r in kept]), rcond=None)[0]
    predicted = {(run, 2): float(np.dot(row(run), fitted)) for run in runs}
    mains = [e for e in found.effects if not e.interaction]
    expected = [
        average(predicted, 2, **{f"f{i}": k}) - average(predicted, 2, **{f"f{i}": 0})
        for i, n in enumerate(levels)
        for k in range(1, n)
    ]
    assert [dict(e.by_seed)[2] for e in mains] == pytest.approx(expected)
    first = next(e for e in found.effects if e.interaction)
    at = [average(predicted, 2, f0=a, f1=b) for a, b in ((1, 1), (0, 1), (1, 0), (0, 0))]
    assert dict(first.by_seed)[2] == pytest.approx(at[0] - at[1] - at[2] + at[3])


def test_a_design_with_senseless_combinations_is_least_squares_without_the_interaction():
    """f1 needs f0: with f0 off, f1 is off. Three combinations per level of f2, no interaction of f0 and f1."""
    runs = [(a, b, c) for a, b, c in product(range(2), repeat=3) if not (a == 1 and b == 0)]
    found, errors = study_of((2, 2, 2), runs)
    matrix = np.array([[1.0, a, b, c, a * c, b * c] for a, b, c in runs])
    for seed in (1, 2, 3, 4):
        fitted = np.linalg.lstsq(matrix, np.array([errors[r, seed] for r in runs]), rcond=None)[0]
        effect = {e.name: dict(e.by_seed).get(seed) for e in found.effects}
        assert effect["f0"] == pytest.approx(fitted[1] + fitted[4] / 2)
        assert effect["f1"] == pytest.approx(fitted[2] + fitted[5] / 2)
        assert effect["f2"] == pytest.approx(fitted[3] + fitted[4] / 2 + fitted[5] / 2)
        assert effect["f0:f2"] == pytest.approx(fitted[4])
        assert effect["f0:f1"] is None
