"""Regular two-level fractional factorial designs 2^(k-p) of a stated resolution (Box, Hunter and Hunter 2005, chapter 6)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

MOST_FACTORS = 20


@dataclass(frozen=True)
class Fraction:
    """Runs of a fraction and what it cannot tell apart."""

    resolution: int
    """The shortest word of the defining relation; infinite designs (the full factorial) have k + 1."""
    runs: tuple[tuple[int, ...], ...]
    """Level 0 or 1 of each factor."""
    aliases: tuple[tuple[tuple[int, ...], ...], ...]
    """Groups of effects (tuples of factor indices, main effects and interactions of two) that share a contrast."""


def fraction(factors: int, resolution: int) -> Fraction:
    """The smallest regular fraction of at least this resolution; the full design where no smaller one has it.

    A factor is a column of GF(2)^m over the 2^m runs. Resolution R means that every R - 1 columns are linearly independent:
    columns are picked greedily, in increasing order, with backtracking.

    Args:
        factors: k, from 1 to 20.
        resolution: 3, 4 or 5.
    """
    if not 1 <= factors <= MOST_FACTORS:
        raise ValueError(f"a fraction has from 1 to {MOST_FACTORS} factors, got {factors}")
    for m in range(1, factors):
        columns = _columns(factors, m, resolution)
        if columns is not None:
            break
    else:
        m, columns = factors, [1 << i for i in range(factors)]
    # level 0 is the full method, which is run anyway: the all-zero run is in every regular fraction
    runs = tuple(tuple((column & run).bit_count() % 2 for column in columns) for run in range(1 << m))
    return Fraction(_resolution(columns), runs, _aliases(columns))


def _columns(factors: int, m: int, resolution: int) -> list[int] | None:
    """k columns of m bits of which no R - 1 or fewer add up to 0; the unit columns come first."""
    chosen = [1 << i for i in range(m)]
    others = sorted((c for c in range(1, 1 << m) if c.bit_count() > 1), key=lambda c: (-c.bit_count(), c))
    others = [c for c in others if c.bit_count() >= resolution - 1]

    def extend(start: int) -> bool:
        if len(chosen) == factors:
            return True
        if len(others) - start < factors - len(chosen):
            return False
        for i in range(start, len(others)):
            if _independent(chosen, others[i], resolution):
                chosen.append(others[i])
                if extend(i + 1):
                    return True
                chosen.pop()
        return False

    return list(chosen) if extend(0) else None


def _independent(chosen: list[int], column: int, resolution: int) -> bool:
    """Whether no R - 2 or fewer of the chosen columns add up to `column`."""
    for size in range(1, resolution - 1):
        for some in combinations(chosen, size):
            total = column
            for c in some:
                total ^= c
            if total == 0:
                return False
    return True


def _resolution(columns: list[int]) -> int:
    for size in range(1, len(columns) + 1):
        for some in combinations(columns, size):
            total = 0
            for c in some:
                total ^= c
            if total == 0:
                return size
    return len(columns) + 1


def _aliases(columns: list[int]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    by_contrast: dict[int, list[tuple[int, ...]]] = {}
    for i, column in enumerate(columns):
        by_contrast.setdefault(column, []).append((i,))
    for i, j in combinations(range(len(columns)), 2):
        by_contrast.setdefault(columns[i] ^ columns[j], []).append((i, j))
    return tuple(tuple(group) for group in by_contrast.values() if len(group) > 1)
