"""The rows of a study's table: the full method, the arms that its designs give, the baselines, and the oracles.

Identical arms run once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.design.designs import (
    Draft,
    FactorialDraft,
    Parts,
    add_one_in,
    factorial,
    leave_one_out,
    one_at_a_time,
    pairs,
)
from results.records.manifest import ArmInfo, Factor, Factorial, LeftOut
from trainables.algorithms import ALGORITHMS, Algorithm, closure, inactive_parameters

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec


@dataclass(frozen=True, kw_only=True)
class Arms:
    """A study's arms in table order, and what its designs named besides them."""

    arms: tuple[ArmInfo, ...]
    left_out: tuple[LeftOut, ...] = ()
    factorial: Factorial | None = None


def derive_arms(study: StudySpec) -> Arms:
    """All arms. What is ablated follows from the components that the method declares."""
    collected = _Collected(study)
    full = collected.full
    crossing: FactorialDraft | None = None
    parts = parts_of(study)
    for design in study.ablation.design:
        if design == "factorial":
            resolution = study.ablation.resolution
            crossing = factorial(crossed_parts(study), None if resolution == "full" else resolution)
            collected.add(draft for _, draft in crossing.runs)
        else:
            collected.add(_drafts(design, parts, study))
    collected.add_custom(parts)
    ablated = [*collected.arms]
    crossed = None if crossing is None else collected.factorial(crossing, parts)
    mode = study.search.mode if study.search.trials else "retuned"
    if mode == "inherited":
        ablated = [dataclasses.replace(arm, tuning="inherited") for arm in ablated]
    elif mode == "both":
        ablated = [arm for each in ablated for arm in _both_ways(each)]
    others = [(key, ALGORITHMS[key]) for key in study.baselines]
    baselines = [
        ArmInfo(name=a.name, title=a.title, algorithm=key, role="baseline") for key, a in others if not a.reads_origin
    ]
    oracles = [ArmInfo(name=a.name, title=a.title, algorithm=key, role="oracle") for key, a in others if a.reads_origin]
    return Arms(arms=(full, *ablated, *baselines, *oracles), left_out=tuple(collected.left_out), factorial=crossed)


def parts_of(study: StudySpec) -> Parts:
    """What the study's designs work on: the components it asks about, and the values to try."""
    components = ALGORITHMS[study.method].components
    off = closure(components, study.off)
    asked = study.ablation.components
    names = [c.name for c in components] if asked == "all" else list(asked)
    about = tuple(n for n in names if n not in off)
    return Parts(components=components, off=off, about=about, alternatives=alternatives_of(study, about))


def crossed_parts(study: StudySpec) -> Parts:
    """What a factorial crosses: of values only those that the study gives; declared ones are for one at a time."""
    return dataclasses.replace(parts_of(study), alternatives=study.ablation.alternatives)


def alternatives_of(study: StudySpec, about: Iterable[str]) -> Mapping[str, tuple[Any, ...]]:
    """Values that the study gives to try, or those that the components declare."""
    if study.ablation.alternatives:
        return study.ablation.alternatives
    if "one-at-a-time" not in study.ablation.design:
        return {}
    components = ALGORITHMS[study.method].components
    return {n: tuple(v) for c in components if c.name in set(about) for n, v in c.alternatives.items()}


def arm_parameters(arm: ArmInfo) -> tuple[str, ...]:
    """The configuration fields that mean something in `arm`, in declaration order."""
    algorithm = ALGORITHMS[arm.algorithm]
    inactive = inactive_parameters(algorithm.components, arm.off)
    return tuple(name for name in algorithm.Config.model_fields if name not in inactive)


def _drafts(design: str, parts: Parts, study: StudySpec) -> list[Draft]:
    match design:
        case "leave-one-out":
            return leave_one_out(parts)
        case "pairs":
            return pairs(parts)
        case "one-at-a-time":
            return one_at_a_time(parts)
        case "add-one-in":
            return add_one_in(parts, cumulative=study.ablation.path == "cumulative")
        case _:
            return []


class _Collected:
    """Arms by what they are, so that a second one that comes out the same is named and not run."""

    def __init__(self, study: StudySpec) -> None:
        self._study = study
        self._method = ALGORITHMS[study.method]
        method = self._method
        self.full = ArmInfo(
            name=method.name,
            title=method.title,
            algorithm=study.method,
            role="full",
            off=tuple(sorted(closure(method.components, study.off))),
            meaning=_full_meaning(method, study.off),
        )
        self.arms: list[ArmInfo] = []
        self.left_out: list[LeftOut] = []
        self._by_identity = {self._identity(frozenset(self.full.off), {}): self.full}
        self._seen: set[str] = set()

    def add(self, drafts: Iterable[Draft]) -> None:
        """Take a design's arms in."""
        for draft in drafts:
            self._add(draft, f"{self._method.name}-{draft.name}", f"{self._method.title} {draft.title}", draft.removed)

    def add_custom(self, parts: Parts) -> None:
        """Take the arms in that the study writes out."""
        for name, arm in self._study.ablation.arms.items():
            off = closure(parts.components, parts.off | set(arm.without))
            draft = Draft(name=name, title=name, removed=parts.ordered(arm.without), off=off, values=arm.set)
            self._add(draft, name, arm.title or f"{self._method.title}, {name}", draft.removed)

    def _add(self, draft: Draft, name: str, title: str, removed: tuple[str, ...]) -> None:
        if name in self._seen:  # two designs have the arm
            return
        identity = self._identity(draft.off, draft.values)
        known = self._by_identity.get(identity)
        if draft.nonsense is not None:
            self._seen.add(name)
            self.left_out.append(LeftOut(name=name, reason=draft.nonsense))
        elif known is self.full:
            if draft.name:  # the full method itself is a run of every factorial
                self._seen.add(name)
                reason = "it is the full method as this study has it"
                self.left_out.append(LeftOut(name=name, reason=reason, same_as=known.name))
        elif known is not None:
            self._seen.add(name)
            self.left_out.append(LeftOut(name=name, reason=f"the same as {known.name}", same_as=known.name))
        else:
            self._seen.add(name)
            arm = ArmInfo(
                name=name,
                title=title,
                algorithm=self._study.method,
                role="ablated",
                removed=removed,
                off=tuple(sorted(draft.off)),
                values=dict(draft.values),
                meaning=self._meaning(draft),
            )
            self._by_identity[identity] = arm
            self.arms.append(arm)

    def _identity(self, off: frozenset[str], values: Mapping[str, Any]) -> tuple[Any, ...]:
        """What an arm is: what is off, and the values that it fixes, as far as they mean something and are no default.

        A value that equals the study's constant changes something only where the full method searches that field.
        """
        study = self._study
        inactive = inactive_parameters(self._method.components, off)
        constants = study.constants(study.method)
        searched = study.searched(study.method, off)
        fixed = {n: v for n, v in values.items() if n not in inactive and (n in searched or v != constants[n])}
        return (tuple(sorted(off)), tuple(sorted((n, repr(v)) for n, v in fixed.items())))

    def _meaning(self, draft: Draft) -> str:
        by_name = {c.name: c for c in self._method.components}
        parts = [by_name[n].off for n in draft.removed]
        fell = [
            c.title
            for c in self._method.components
            if c.name in draft.off and c.name not in draft.removed and c.name not in self.full.off
        ]
        if fell:
            parts.append(f"also off: {', '.join(fell)}")
        parts += [f"{name} is {value}" for name, value in draft.values.items()]
        return "; ".join(parts)

    def factorial(self, crossing: FactorialDraft, parts: Parts) -> Factorial:
        """Which arm stands at which combination of levels."""
        constants = self._study.constants(self._study.method)
        searched = self._study.searched(self._study.method, parts.off)
        factors = [Factor(name=n, title=parts.component(n).title, levels=("on", "off")) for n in crossing.components]
        for name, values in crossing.values.items():
            own = "tuned" if name in searched else str(constants[name])
            factors.append(Factor(name=name, title=name, levels=(own, *map(str, values))))
        runs = []
        for levels, draft in crossing.runs:
            if draft.nonsense is None:
                runs.append((levels, self._by_identity[self._identity(draft.off, draft.values)].name))
        names = [f.name for f in factors]
        aliases = () if crossing.fraction is None else crossing.fraction.aliases
        return Factorial(
            factors=tuple(factors),
            runs=tuple(runs),
            resolution=None if crossing.fraction is None else crossing.fraction.resolution,
            aliases=tuple(" + ".join(":".join(names[i] for i in effect) for effect in group) for group in aliases),
        )


def _both_ways(arm: ArmInfo) -> Iterator[ArmInfo]:
    name = f"{arm.name}-inherited"
    yield dataclasses.replace(arm, twin=name)
    yield dataclasses.replace(arm, name=name, title=f"{arm.title}, inherited", tuning="inherited", twin=arm.name)


def _full_meaning(method: type[Algorithm], off: tuple[str, ...]) -> str:
    missing = [c.title for c in method.components if c.name in off]
    if missing:
        return f"off in this study: {', '.join(missing)}"
    return "every component on" if method.components else ""


def names_of(arm: ArmInfo) -> tuple[str, ...]:
    """The names by which `resources.arms` may mean an arm, the most particular one first."""
    return arm.name, ALGORITHMS[arm.algorithm].name
