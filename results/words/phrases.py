"""Parts of sentences that the answer in words is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LISTED = 10
"""Things that a sentence names before it points to the table."""


def seeds(n: int) -> str:
    """`1 seed`, `6 seeds`."""
    return f"{n} seed" if n == 1 else f"{n} seeds"


def paired_seeds(n: int) -> str:
    """`1 paired seed`, `6 paired seeds`."""
    return f"{n} paired seed" if n == 1 else f"{n} paired seeds"


def seeds_between(numbers: set[int]) -> str:
    """`6 seeds`, `3 to 6 seeds`."""
    low, high = min(numbers), max(numbers)
    return seeds(low) if low == high else f"{low} to {high} seeds"


def listed(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    found = list(items)
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} and {found[-1]}"


def first_listed(items: Sequence[str]) -> str:
    """The first few of a long list, which the table has in full."""
    if len(items) <= LISTED:
        return listed(items)
    return f"{', '.join(items[:LISTED])} and {len(items) - LISTED} more (see the table)"


def spans(numbers: Sequence[int]) -> str:
    """`0 to 5`, `0 to 2, 7`: runs of three and more whole numbers are shortened."""
    ordered = sorted(set(numbers))
    runs: list[list[int]] = []
    for n in ordered:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
