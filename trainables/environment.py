"""The installed versions that could change a result."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

CHANGES_RESULTS = ("torch", "torchvision", "numpy")
"""Packages that compute what a trial's outcome is made of; the others hand it on."""


@cache
def environment() -> str:
    """Their versions, as `torch 2.14.1, torchvision 0.29.1, numpy 2.4.0`; imports none of them.

    A build's own suffix (`+cpu`, `+cu128`) is left out: a driver without a GPU plans trials for workers that have one.
    """
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in CHANGES_RESULTS)
