"""Ablation designs: which combinations of a method's components and values become arms. Pure functions of declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from orchestrator.design.fractional_factorial import Fraction, fraction
from results.records.manifest import BARE
from trainables.algorithms import Component, closure


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An arm that a design asks for."""

    name: str
    """Without the method's name: `without-queue`."""
    title: str
    """Without the method's title: `without queue`."""
    removed: tuple[str, ...] = ()
    """Components that the arm is about, in the order of their declaration."""
    off: frozenset[str] = frozenset()
    """Everything that is off, dependents included."""
    values: Mapping[str, Any] = field(default_factory=dict)
    nonsense: str | None = None
    """Why the arm makes no sense; None where it does."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a design works on.

    Args:
        components: All that the method declares.
        off: What is off in the full method already, closed under needs.
        about: Names of the components that the designs are about, in order; none of them in `off`.
        alternatives: Values to try, by hyperparameter.
    """

    components: tuple[Component, ...]
    off: frozenset[str]
    about: tuple[str, ...]
    alternatives: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def component(self, name: str) -> Component:
        """By name; KeyError where there is none."""
        return next(c for c in self.components if c.name == name)

    def without(self, names: Iterable[str]) -> Draft:
        """These components off, and with them what needs them."""
        removed = self.ordered(names)
        titles = [self.component(n).title for n in removed]
        return Draft(
            name=f"without-{'+'.join(removed)}",
            title=f"without {_listed(titles)}",
            removed=removed,
            off=closure(self.components, self.off | set(removed)),
        )

    def only(self, names: Iterable[str]) -> Draft:
        """These of the components in question on and the others off; nonsense where one lacks what it needs."""
        on = self.ordered(names)
        off = self.off | (set(self.about) - set(on))
        closed = closure(self.components, off)
        fallen = [n for n in on if n in closed]
        titles = [self.component(n).title for n in on]
        return Draft(
            name="+".join((BARE, *on)),
            title=f"with {_listed(titles)} only" if on else "with every component off",
            removed=tuple(n for n in self.about if n not in on),
            off=closed,
            nonsense=self._lacking(fallen[0], off) if fallen else None,
        )

    def with_value(self, name: str, value: Any) -> Draft:
        """One hyperparameter at this value."""
        text = _text(value)
        return Draft(name=f"with-{name}={text}", title=f"with {name} {text}", off=self.off, values={name: value})

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """In the order of `about`, then of declaration."""
        names = set(names)
        order = [*self.about, *(c.name for c in self.components if c.name not in self.about)]
        return tuple(n for n in order if n in names)

    def needed(self, name: str) -> frozenset[str]:
        """The component and everything that it needs, directly or not."""
        found = {name}
        while True:
            more = {need for n in found for need in self.component(n).needs} - found
            if not more:
                return frozenset(found)
            found |= more

    def _lacking(self, name: str, off: frozenset[str] | set[str]) -> str:
        missing = self.ordered(self.needed(name) & off)
        return f"{name} needs {_listed(missing)}"


def leave_one_out(parts: Parts) -> list[Draft]:
    """Each component off."""
    return [parts.without([name]) for name in parts.about]


def pairs(parts: Parts) -> list[Draft]:
    """Each two components off together."""
    return [parts.without(two) for two in combinations(parts.about, 2)]


def one_at_a_time(parts: Parts) -> list[Draft]:
    """Each component off, and each alternative value of each hyperparameter by itself."""
    return [
        *leave_one_out(parts),
        *(parts.with_value(n, v) for n, values in parts.alternatives.items() for v in values),
    ]


def add_one_in(parts: Parts, *, cumulative: bool) -> list[Draft]:
    """From the bare method up: with all components off, then one more on at a time, or each by itself with its needs.

    Cumulative steps follow `parts.about`, but a component waits for those that it needs.
    """
    drafts = [parts.only(())]
    if not cumulative:
        return drafts + [parts.only(parts.needed(name) - parts.off) for name in parts.about]
    on: list[str] = []
    waiting = list(parts.about)
    while waiting:
        ready = [n for n in waiting if parts.needed(n) - {n} - set(on) - (parts.off | _fixed_on(parts)) == frozenset()]
        name = ready[0] if ready else waiting[0]
        waiting.remove(name)
        on.append(name)
        drafts.append(parts.only(on))
    return drafts


@dataclass(frozen=True, kw_only=True)
class FactorialDraft:
    """A crossing of factors. Components have the levels on and off; a hyperparameter has the full method's value and others."""

    components: tuple[str, ...]
    values: Mapping[str, Sequence[Any]]
    runs: tuple[tuple[tuple[int, ...], Draft], ...]
    fraction: Fraction | None


def factorial(parts: Parts, resolution: int | None = None) -> FactorialDraft:
    """Every combination, or a regular two-level fraction of the given resolution.

    Raises ValueError for a fraction over a hyperparameter of more than one alternative.
    """
    values = {name: tuple(v) for name, v in parts.alternatives.items()}
    sizes = [2] * len(parts.about) + [len(v) + 1 for v in values.values()]
    part = None
    if resolution is not None:
        if any(size > 2 for size in sizes):
            raise ValueError("a fraction takes one alternative of each hyperparameter")
        part = fraction(len(sizes), resolution)
    combos: Iterable[tuple[int, ...]] = product(*(range(s) for s in sizes)) if part is None else part.runs
    runs = tuple((levels, _combination(parts, values, levels)) for levels in combos)
    return FactorialDraft(components=parts.about, values=values, runs=runs, fraction=part)


def _combination(parts: Parts, values: Mapping[str, Sequence[Any]], levels: tuple[int, ...]) -> Draft:
    k = len(parts.about)
    removed = [n for n, level in zip(parts.about, levels[:k], strict=True) if level]
    fixed = {n: v[level - 1] for (n, v), level in zip(values.items(), levels[k:], strict=True) if level}
    draft = parts.without(removed) if removed else Draft(name="", title="", off=parts.off)
    orphan = next((n for n in parts.about if n in draft.off and n not in removed), None)
    unused = next((p for p in fixed if any(p in c.parameters for c in parts.components if c.name in draft.off)), None)
    nonsense = None
    if orphan is not None:
        nonsense = parts._lacking(orphan, parts.off | set(removed))
    elif unused is not None:
        nonsense = f"{unused} means nothing where its component is off"
    names = [draft.name] if removed else []
    titles = [draft.title] if removed else []
    names += [f"with-{n}={_text(v)}" for n, v in fixed.items()]
    titles += [f"with {n} {_text(v)}" for n, v in fixed.items()]
    return Draft(
        name="-".join(names),
        title=", ".join(titles),
        removed=draft.removed,
        off=draft.off,
        values=fixed,
        nonsense=nonsense,
    )


def _fixed_on(parts: Parts) -> frozenset[str]:
    """Components that no design touches: on in every arm."""
    return frozenset(c.name for c in parts.components) - parts.off - set(parts.about)


def _text(value: Any) -> str:
    return (
        f"{value:.10g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
