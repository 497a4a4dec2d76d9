"""What the colours of arms mean, in a legend's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from results.figures.plots.canvas import ROLE_LOOKS
from results.records.manifest import Role

_NAMES: Mapping[tuple[Role, ...], str] = {
    ("full",): "full method",
    ("ablated",): "ablated arm",
    ("full", "ablated"): "full method or ablated arm",
    ("baseline",): "baseline",
    ("oracle",): "oracle",
}
_SAME_LOOK: Sequence[tuple[Role, ...]] = (("full", "ablated"), ("baseline",), ("oracle",))


def role_handles(roles: Sequence[Role], **look: Any) -> list[Line2D]:
    """An entry for each colour among arms of these roles."""
    handles = []
    for same in _SAME_LOOK:
        if here := tuple(role for role in same if role in roles):
            handles.append(Line2D([], [], label=_NAMES[here], **{"color": ROLE_LOOKS[here[0]]["color"], **look}))
    return handles
