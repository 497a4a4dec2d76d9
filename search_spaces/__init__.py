"""Named groups of ranges to search, and their Optuna distributions. Importing this costs neither torch nor optuna."""

from __future__ import annotations

from search_spaces.groups import DATA_PREFIX, GROUPS, data_fields, space_of
from search_spaces.ranges import Choice, FloatRange, IntRange, Range, contains, nearest, parse_range

__all__ = [
    "DATA_PREFIX",
    "GROUPS",
    "Choice",
    "FloatRange",
    "IntRange",
    "Range",
    "contains",
    "data_fields",
    "nearest",
    "parse_range",
    "space_of",
]
