"""Durations and sizes as people read them."""

from __future__ import annotations


def duration(hours: float) -> str:
    """`3.2 h`, `4.5 min`, `2.1 days`."""
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{max(hours * 60, 0.1):.1f} min"


def size(count: float) -> str:
    """`12 MB`; powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} bytes"
