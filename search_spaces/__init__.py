"""Named groups of ranges to search, and their Optuna distributions. Importing this costs neither torch nor optuna."""

from __future__ import annotations

from search_spaces.groups import GROUPS, space_of
from search_spaces.ranges import Choice, FloatRange, IntRange, Range, parse_range

__all__ = ["GROUPS", "Choice", "FloatRange", "IntRange", "Range", "parse_range", "space_of"]
