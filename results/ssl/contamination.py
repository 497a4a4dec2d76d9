"""Contamination response: how an arm's test error moves as the share of synthetic images among the unlabelled ones grows.

Conditions that differ in nothing but that share belong together. A seed fixes the labelled, the validation and the real
unlabelled images whatever the share, so that one arm under two conditions is compared in pairs over seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from results.records.manifest import ArmInfo, ConditionInfo, Role, StudyManifest
from results.ssl.headroom import Errors
from results.statistics.paired import ALPHA, MeanInterval, PairedDifference, bounded_mean, holm, mean_difference

RATIO = "contamination"
"""Field of a condition: synthetic images as a share of all unlabelled ones, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponsePoint:
    """One arm at one share of synthetic images."""

    condition: str
    ratio: float
    error: MeanInterval
    """Test error in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmResponse:
    """One arm over all shares of a response. A rise is the test error at the largest share minus that at the smallest."""

    arm: str
    title: str
    role: Role
    points: tuple[ResponsePoint, ...]
    """By ratio, those that were measured."""
    rises: tuple[tuple[int, float], ...]
    """(seed, rise in percentage points) where both ends completed."""
    rise: PairedDifference | None
    """Positive where the arm errs more with more synthetic images. None without pairs."""
    rise_p_holm: float | None
    """`rise.p`, corrected over all arms but oracles; None for those."""
    steeper: PairedDifference | None
    """This arm's rise minus the full method's, over seeds that both have: positive where this arm suffers more. None for the
    full method itself and without pairs."""
    steeper_p_holm: float | None
    """`steeper.p`, corrected over all arms but the full method and oracles; None for those."""

    @property
    def steeper_significant(self) -> bool:
        """Whether the rises of this arm and of the full method differ after correction."""
        return self.steeper_p_holm is not None and self.steeper_p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """All arms over conditions that differ in the share of synthetic images alone."""

    title: str
    """What sets these conditions apart from the study's other ones; empty where there are none."""
    reference: str
    """The full method's arm."""
    ratios: tuple[float, ...]
    """Increasing, at least two."""
    arms: tuple[ArmResponse, ...]
    """In table order."""

    @property
    def measured(self) -> tuple[ArmResponse, ...]:
        """Arms that have a test error at two shares or more: what a line can be drawn of."""
        return tuple(a for a in self.arms if len(a.points) > 1)


def contamination_responses(
    manifest: StudyManifest, errors: Mapping[str, Mapping[str, Errors]]
) -> tuple[Response, ...]:
    """Every set of a study's conditions that differ in the share of synthetic images alone.

    Args:
        manifest: Says what the conditions are.
        errors: Test error in percent by condition, arm and seed.
    """
    groups = _groups(manifest.conditions)
    return tuple(
        _response(manifest, title, group, errors) for title, group in zip(_titles(groups), groups, strict=True)
    )


def _groups(conditions: Sequence[ConditionInfo]) -> list[list[ConditionInfo]]:
    """Conditions by all but their ratio, each by ratio. One without synthetic images belongs to every group that has its real
    ones: how synthetic images would have been made counts for nothing there.
    """
    known = [c for c in conditions if isinstance(c.fields.get(RATIO), int | float)]
    alone = [c for c in known if not c.fields[RATIO]]
    groups: dict[str, list[ConditionInfo]] = {}
    for condition in known:
        if condition.fields[RATIO]:
            groups.setdefault(_rest(condition), []).append(condition)
    for key, group in groups.items():
        named = {c.real_only for c in group}
        group += [c for c in alone if c.name in named or _rest(c) == key][:1]
    found = []
    for group in groups.values():
        by_ratio = {float(c.fields[RATIO]): c for c in reversed(group)}
        if len(by_ratio) > 1:
            found.append([by_ratio[ratio] for ratio in sorted(by_ratio)])
    return found


def _rest(condition: ConditionInfo) -> str:
    fields = {name: value for name, value in condition.fields.items() if name != RATIO}
    return json.dumps(fields, sort_keys=True, default=str)


def _titles(groups: Sequence[Sequence[ConditionInfo]]) -> list[str]:
    """A single contaminated condition speaks for its group; otherwise the fields that differ between groups do."""
    if len(groups) < 2:
        return [""] * len(groups)
    most = [group[-1] for group in groups]
    names = sorted({name for c in most for name in c.fields if name != RATIO})
    telling = [name for name in names if len({json.dumps(c.fields.get(name), default=str) for c in most}) > 1]
    return [
        c.title
        if sum(bool(one.fields[RATIO]) for one in group) == 1
        else ", ".join(f"{name.replace('_', ' ')} {_text(c.fields.get(name))}" for name in telling)
        for c, group in zip(most, groups, strict=True)
    ]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _response(
    manifest: StudyManifest,
    title: str,
    group: Sequence[ConditionInfo],
    errors: Mapping[str, Mapping[str, Errors]],
) -> Response:
    least, most = errors.get(group[0].name, {}), errors.get(group[-1].name, {})
    planned = {arm for c in group for arm in errors.get(c.name, {})}
    arms = [arm for arm in manifest.arms if arm.name in planned]
    ends = {a.name: (least.get(a.name, {}), most.get(a.name, {})) for a in arms}
    rises = {name: {s: high[s] - low[s] for s in low if s in high} for name, (low, high) in ends.items()}
    scale = max((abs(e) for pair in ends.values() for end in pair for e in end.values()), default=0.0)
    own = rises.get(manifest.reference, {})

    def draft(arm: ArmInfo) -> ArmResponse:
        rise = rises[arm.name]
        beyond = [rise[s] - own[s] for s in rise if s in own and arm.name != manifest.reference]
        return ArmResponse(
            arm=arm.name,
            title=arm.title,
            role=arm.role,
            points=tuple(
                ResponsePoint(
                    condition=c.name,
                    ratio=float(c.fields[RATIO]),
                    error=bounded_mean(list(found.values()), 0.0, 100.0),
                )
                for c in group
                if (found := errors.get(c.name, {}).get(arm.name))
            ),
            rises=tuple(rise.items()),
            rise=mean_difference(list(rise.values()), scale) if rise else None,
            rise_p_holm=None,
            steeper=mean_difference(beyond, scale) if beyond else None,
            steeper_p_holm=None,
        )

    return Response(
        title=title,
        reference=manifest.reference,
        ratios=tuple(float(c.fields[RATIO]) for c in group),
        arms=_corrected([draft(arm) for arm in arms], manifest.reference),
    )


def _corrected(drafts: Sequence[ArmResponse], reference: str) -> tuple[ArmResponse, ...]:
    """With Holm's correction; arms without a pair yet count as p = 1."""
    methods = [a for a in drafts if a.role != "oracle"]
    rises = [(a.arm, a.rise.p) for a in methods if a.rise]
    steeper = [(a.arm, a.steeper.p) for a in methods if a.steeper]
    others = sum(a.arm != reference for a in methods)
    by_rise = dict(zip([n for n, _ in rises], holm([p for _, p in rises], len(methods)), strict=True))
    by_steeper = dict(zip([n for n, _ in steeper], holm([p for _, p in steeper], others), strict=True))
    return tuple(replace(a, rise_p_holm=by_rise.get(a.arm), steeper_p_holm=by_steeper.get(a.arm)) for a in drafts)
