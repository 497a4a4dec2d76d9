from __future__ import annotations

from itertools import combinations, product

import pytest

from orchestrator.design.fractional_factorial import MOST_FACTORS, Fraction, fraction

SIZES = [(k, r) for k in range(1, 12) for r in (3, 4, 5)]


def contrast(found: Fraction, effect: tuple[int, ...]) -> tuple[int, ...]:
    """The column of an effect, +1 and -1 over the runs."""
    return tuple(1 - 2 * (sum(run[i] for i in effect) % 2) for run in found.runs)


def words(found: Fraction, factors: int) -> list[tuple[int, ...]]:
    """The defining relation by brute force: effects whose column is constant."""
    effects = (e for size in range(1, factors + 1) for e in combinations(range(factors), size))
    return [e for e in effects if len(set(contrast(found, e))) == 1]


@pytest.mark.parametrize(("factors", "resolution"), SIZES)
def test_the_resolution_is_the_shortest_word_of_the_defining_relation(factors: int, resolution: int) -> None:
    found = fraction(factors, resolution)
    shortest = min(map(len, words(found, factors)), default=factors + 1)
    assert found.resolution == shortest
    assert shortest >= min(resolution, factors + 1)


@pytest.mark.parametrize(("factors", "resolution"), SIZES)
def test_columns_are_balanced_and_orthogonal_and_the_full_method_is_a_run(factors: int, resolution: int) -> None:
    found = fraction(factors, resolution)
    assert len(set(found.runs)) == len(found.runs)
    assert (0,) * factors in found.runs
    for i in range(factors):
        assert sum(contrast(found, (i,))) == 0
    for i, j in combinations(range(factors), 2):
        assert sum(a * b for a, b in zip(contrast(found, (i,)), contrast(found, (j,)), strict=True)) == 0


@pytest.mark.parametrize(("factors", "resolution"), SIZES)
def test_aliases_are_the_effects_with_equal_columns(factors: int, resolution: int) -> None:
    found = fraction(factors, resolution)
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for effect in [e for size in (1, 2) for e in combinations(range(factors), size)]:
        column = contrast(found, effect)
        groups.setdefault(max(column, tuple(-c for c in column)), []).append(effect)
    assert sorted(found.aliases) == sorted(tuple(g) for g in groups.values() if len(g) > 1)
    if found.resolution >= 5:
        assert found.aliases == ()


def smallest_regular(factors: int, resolution: int) -> int:
    """Runs of the smallest regular fraction, over all choices of columns."""
    for m in range(1, factors):
        for columns in combinations(range(1, 1 << m), factors):
            if all(_sum(some) for size in range(1, resolution) for some in combinations(columns, size)):
                return 1 << m
    return 1 << factors


def _sum(columns: tuple[int, ...]) -> int:
    total = 0
    for c in columns:
        total ^= c
    return total


@pytest.mark.parametrize(
    ("factors", "resolution"), [(k, r) for k in range(1, 8) for r in (3, 4, 5) if (k, r) != (7, 5)]
)
def test_no_regular_fraction_is_smaller(factors: int, resolution: int) -> None:
    assert len(fraction(factors, resolution).runs) == smallest_regular(factors, resolution)


@pytest.mark.parametrize(
    ("factors", "resolution", "runs"),
    [(3, 3, 4), (4, 4, 8), (5, 3, 8), (5, 5, 16), (6, 4, 16), (7, 3, 8), (7, 4, 16), (7, 5, 64), (8, 4, 16), (8, 5, 64),
     (11, 3, 16), (15, 3, 16), (16, 4, 32)],
)  # fmt: skip
def test_sizes_as_in_the_tables_of_box_hunter_and_hunter(factors: int, resolution: int, runs: int) -> None:
    assert len(fraction(factors, resolution).runs) == runs


def test_what_it_refuses() -> None:
    for factors in (0, MOST_FACTORS + 1):
        with pytest.raises(ValueError, match=f"from 1 to 20 factors, got {factors}"):
            fraction(factors, 3)


@pytest.mark.parametrize("resolution", [3, 4, 5])
def test_the_largest_one_is_found(resolution: int) -> None:
    found = fraction(MOST_FACTORS, resolution)
    assert found.resolution >= resolution
    assert all(len(run) == MOST_FACTORS for run in found.runs)


def test_two_factors_are_crossed_in_full() -> None:
    assert sorted(fraction(2, 5).runs) == sorted(product((0, 1), repeat=2))
