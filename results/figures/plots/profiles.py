"""Performance profiles as small multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.lines import Line2D

from results.analysis.robust import Profile
from results.figures.plots.canvas import GREY, ROLE_LOOKS, Drawing, columns_of, drawing, wrap
from results.figures.plots.multiples import multiples
from results.figures.plots.roles import role_handles
from results.figures.plots.scales import fraction_scale, value_scale
from results.records.manifest import Role


def draw_profiles(profiles: Sequence[Profile], reference: Profile | None, roles: Mapping[str, Role]) -> Drawing:
    """A panel per arm on common axes: the arm's profile with its band, the reference's behind it in grey."""
    kinds: list[Role] = [roles.get(one.arm, "ablated") for one in profiles]
    taus = [float(t) for one in profiles for t in (one.taus[0], one.taus[-1])]
    handles = role_handles(kinds, linewidth=1.6)
    if reference is not None and len(profiles) > 1:
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, label=wrap(reference.title, 60)))
    with drawing():
        figure, frames = multiples(
            [one.title for one in profiles],
            value_scale(taus, 3 if columns_of(len(profiles)) > 3 else 5, margin=0.0),
            fraction_scale(),
            xlabel="test error τ, %",
            ylabel="share of runs ≤ τ",
            handles=handles,
        )
        for frame, one, kind in zip(frames, profiles, kinds, strict=True):
            colour = ROLE_LOOKS[kind]["color"]
            if reference is not None and one is not reference:
                frame.line(reference.taus, reference.share, color=GREY, linewidth=1.2)
            frame.band(one.taus, one.low, one.high, colour)
            frame.line(one.taus, one.share, color=colour, linewidth=1.6)
        return Drawing(figure)
