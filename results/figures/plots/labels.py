"""Where names stand in a picture that is full of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_RADII = np.arange(0.17, 1.5, 0.09)
_OVER_POINT, _OVER_BOX, _OVER_ANCHOR = 0.03, 5.0, 2.0
"""Inches further away that a box goes rather than cover one."""


def beside(
    anchors: NDArray[Any], sizes: NDArray[Any], points: NDArray[Any], extent: tuple[float, float]
) -> list[NDArray[np.float64]]:
    """Middles of boxes near their anchors, one after the other where it covers least and is not far away.

    Args:
        anchors: What the boxes name, [n, 2] in inches.
        sizes: Widths and heights of the boxes, [n, 2].
        points: What else is drawn, [m, 2].
        extent: Width and height that the boxes stay within.
    """
    turns = np.pi * (0.5 + np.arange(16) / 8)
    circle = np.stack([1.5 * np.cos(turns), np.sin(turns)], axis=1)
    offsets = (_RADII[:, None, None] * circle).reshape(-1, 2)
    found: list[NDArray[np.float64]] = []
    for i, anchor in enumerate(anchors):
        half = sizes[i] / 2
        places = np.clip(anchor + offsets, half, np.array(extent) - half)
        cost = np.hypot(*(places - anchor).T)
        cost += _OVER_POINT * _covered(places, points, half)
        cost += _OVER_ANCHOR * _covered(places, anchors, half + 0.04)
        if found:
            cost += _OVER_BOX * _covered(places, np.array(found), half + sizes[:i] / 2 + 0.02)
        found.append(places[int(cost.round(9).argmin())])
    return found


def _covered(places: NDArray[Any], there: NDArray[Any], room: NDArray[Any]) -> NDArray[np.int64]:
    """How many of `there` lie within `room` of each place."""
    inside = (np.abs(places[:, None] - there) < room).all(axis=2)
    return np.asarray(inside.sum(axis=1), np.int64)
