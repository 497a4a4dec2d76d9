"""Which numbers a trial may report."""

from __future__ import annotations

LARGEST_NUMBER = 1e60
"""In magnitude: far beyond what single precision holds, and its fourth power is still a finite number."""


def is_usable(value: float) -> bool:
    """Whether a record takes it as a metric: finite, and not so large that no computation with it is."""
    return -LARGEST_NUMBER <= value <= LARGEST_NUMBER
