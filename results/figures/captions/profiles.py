"""The figure of performance profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.analysis.robust import Profile, Robust
from results.figures.captions.page_figure import PageFigure
from results.records.manifest import Role
from results.words.numbers import number

MOST_PANELS = 12


def profiles_figure(found: Robust, profiles: Sequence[Profile], roles: Mapping[str, Role] | None = None) -> PageFigure:
    """Share of runs by error, a panel per arm; `roles` by arm give lines their colours."""
    from results.figures.plots.profiles import draw_profiles

    shown = profiles[:MOST_PANELS]
    reference = next((p for p in profiles if p.arm == found.reference), None)
    medians = "; ".join(f"{p.title} {number(_median(p))}%" for p in shown)
    grey = f" Grey: {reference.title}." if reference and len(shown) > 1 else ""
    over = f"all {found.conditions} conditions" if found.conditions > 1 else "all seeds"
    more = f" The first {len(shown)} of {len(profiles)} arms." if len(shown) < len(profiles) else ""
    return PageFigure(
        name="profiles",
        drawing=draw_profiles(shown, reference, roles or {}),
        title="How many runs get how low",
        caption=f"Performance profiles (Agarwal et al. 2021): the share of an arm's runs over {over} whose test error is at most "
        f"τ. Further left and up is better; where curves cross, neither arm is better throughout.{grey} The band is a "
        f"pointwise 95% bootstrap interval over seeds, which arms share, so bands may overlap although arms differ in pairs.{more}",
        alt=f"Test error that half of the runs stay at or below: {medians}.",
        head=("arm", "title", "tau", "share", "low", "high", "runs"),
        rows=[
            (p.arm, p.title, float(tau), float(share), float(low), float(high), p.runs)
            for p in profiles
            for tau, share, low, high in zip(p.taus, p.share, p.low, p.high, strict=True)
        ],
    )


def _median(profile: Profile) -> float:
    return next(float(t) for t, share in zip(profile.taus, profile.share, strict=True) if share >= 0.5)
