"""Regular two-level fractional factorial designs 2^(k-p) of a stated resolution (Box, Hunter and Hunter 2005, chapter 6)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

MOST_FACTORS = 20
MOST_LOOKED_AT = 3000
"""Columns that the search for a fraction of one size looks at before it takes twice the runs."""


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
    """A small regular fraction of at least this resolution; the full design where none was found.

    A factor is a column of GF(2)^m over the 2^m runs. Resolution R means that every R - 1 columns are linearly independent:
    columns are picked greedily with backtracking. The fraction has the sizes of the tables in Box, Hunter and Hunter; none
    is smaller for up to 7 factors, and for more the search may end before it has looked at everything.

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
    """k columns of m bits of which no R - 1 or fewer add up to 0; the unit columns come first. None where none were found."""
    chosen = [1 << i for i in range(m)]
    # by number of terms: what so many of the chosen columns, or fewer, add up to; a further column must not be among these
    sums = [{0}] * (resolution - 1)
    for column in chosen:
        sums = _with(sums, column)
    others = [c for c in range(1, 1 << m) if c not in sums[-1]]
    others.sort(key=lambda c: (-c.bit_count(), c))
    looked = 0

    def extend(sums: list[set[int]], open_: list[int]) -> bool:
        nonlocal looked
        if len(chosen) == factors:
            return True
        for i, column in enumerate(open_):
            looked += 1
            if len(open_) - i < factors - len(chosen) or looked > MOST_LOOKED_AT:
                return False
            more = _with(sums, column)
            chosen.append(column)
            if extend(more, [c for c in open_[i + 1 :] if c not in more[-1]]):
                return True
            chosen.pop()
        return False

    return list(chosen) if extend(sums, others) else None


def _with(sums: list[set[int]], column: int) -> list[set[int]]:
    """The sums with one more column to choose from; entry s has those of s terms or fewer."""
    return [sums[0], *(old | {one ^ column for one in fewer} for fewer, old in pairwise(sums))]


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
