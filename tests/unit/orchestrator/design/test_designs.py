from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.design.designs import Draft, Parts, add_one_in, factorial, leave_one_out, one_at_a_time, pairs
from trainables.algorithms import ALGORITHMS, Component, closure

# a needs nothing, b needs a, c stands alone
TINY = (
    Component(name="a", title="part A", off="no A", parameters=("x",)),
    Component(name="b", title="part B", off="no B", needs=("a",), parameters=("y",)),
    Component(name="c", title="part C", off="no C"),
)


def parts(about: tuple[str, ...] = ("a", "b", "c"), off: tuple[str, ...] = (), **alternatives: Any) -> Parts:
    return Parts(components=TINY, off=frozenset(off), about=about, alternatives=alternatives)


def short(drafts: list[Draft]) -> list[tuple[str, str, dict[str, Any]]]:
    """(name, what is off, values); nonsense has a ! before its name."""
    return [(("!" if d.nonsense else "") + d.name, "".join(sorted(d.off)), dict(d.values)) for d in drafts]


def test_leave_one_out() -> None:
    assert short(leave_one_out(parts())) == [("without-a", "ab", {}), ("without-b", "b", {}), ("without-c", "c", {})]
    assert short(leave_one_out(parts(("c", "b"), ("a", "b"))))[0] == ("without-c", "abc", {})
    assert [d.title for d in leave_one_out(parts())] == ["without part A", "without part B", "without part C"]


def test_pairs() -> None:
    assert short(pairs(parts())) == [("without-a+b", "ab", {}), ("without-a+c", "abc", {}), ("without-b+c", "bc", {})]
    assert pairs(parts())[1].title == "without part A and part C"


def test_one_at_a_time() -> None:
    assert short(one_at_a_time(parts(("c",), x=(1, 2.5), y=(True,)))) == [
        ("without-c", "c", {}),
        ("with-x=1", "", {"x": 1}),
        ("with-x=2.5", "", {"x": 2.5}),
        ("with-y=true", "", {"y": True}),
    ]


def test_add_one_in_step_by_step_waits_for_what_a_component_needs() -> None:
    assert short(add_one_in(parts(("b", "a", "c")), cumulative=True)) == [
        ("bare", "abc", {}),
        ("bare+a", "bc", {}),
        ("bare+b+a", "c", {}),
        ("bare+b+a+c", "", {}),
    ]
    assert [d.title for d in add_one_in(parts(), cumulative=True)][:2] == [
        "with every component off",
        "with part A only",
    ]


def test_add_one_in_each_by_itself_brings_what_it_needs() -> None:
    assert short(add_one_in(parts(), cumulative=False)) == [
        ("bare", "abc", {}),
        ("bare+a", "bc", {}),
        ("bare+a+b", "c", {}),
        ("bare+c", "ab", {}),
    ]


def test_add_one_in_leaves_on_what_it_is_not_about() -> None:
    assert short(add_one_in(parts(("b", "c")), cumulative=True)) == [
        ("bare", "bc", {}),
        ("bare+b", "c", {}),
        ("bare+b+c", "", {}),
    ]


def test_a_full_factorial() -> None:
    crossing = factorial(parts(("a", "b"), x=(5,)))
    assert [(levels, *short([draft])[0]) for levels, draft in crossing.runs] == [
        ((0, 0, 0), "", "", {}),
        ((0, 0, 1), "with-x=5", "", {"x": 5}),
        ((0, 1, 0), "without-b", "b", {}),
        ((0, 1, 1), "without-b-with-x=5", "b", {"x": 5}),
        ((1, 0, 0), "!without-a", "ab", {}),
        ((1, 0, 1), "!without-a-with-x=5", "ab", {"x": 5}),
        ((1, 1, 0), "without-a+b", "ab", {}),
        ((1, 1, 1), "!without-a+b-with-x=5", "ab", {"x": 5}),
    ]
    reasons = [draft.nonsense for _, draft in crossing.runs]
    assert reasons[4] == "b needs a"
    assert reasons[7] == "x means nothing where its component is off"


def test_a_fraction_has_its_runs_and_takes_one_alternative() -> None:
    crossing = factorial(parts(("a", "b", "c")), 3)
    assert [levels for levels, _ in crossing.runs] == list(crossing.fraction.runs)  # type: ignore[union-attr]
    assert len(crossing.runs) == 4
    with pytest.raises(ValueError, match="one alternative"):
        factorial(parts(("a",), x=(1, 2)), 3)


RSMATCH = ALGORITHMS["rsmatch"].components
RSMATCH_NAMES = tuple(c.name for c in RSMATCH)


def test_rsmatch_from_bare_to_full() -> None:
    found = Parts(components=RSMATCH, off=frozenset(), about=RSMATCH_NAMES)
    steps = add_one_in(found, cumulative=True)
    assert [d.name.removeprefix("bare") for d in steps] == [
        "",
        "+detector",
        "+detector+queue",
        "+detector+queue+class-wise",
        "+detector+queue+class-wise+synthetic",
        "+detector+queue+class-wise+synthetic+dummy-head",
        "+detector+queue+class-wise+synthetic+dummy-head+score-memory",
        "+detector+queue+class-wise+synthetic+dummy-head+score-memory+refill",
    ]
    assert steps[0].off == set(RSMATCH_NAMES)
    assert steps[-1].off == frozenset()
    assert all(d.nonsense is None for d in steps)


@st.composite
def declared(draw: st.DrawFn) -> Parts:
    """Components that need earlier or later ones without a circle, some off, some in question."""
    n = draw(st.integers(1, 5))
    order = draw(st.permutations(range(n)))
    made = []
    for place, i in enumerate(order):
        needs = tuple(f"c{j}" for j in sorted(draw(st.sets(st.sampled_from(order[:place]))))) if place else ()
        made.append(Component(name=f"c{i}", title=f"C{i}", off="-", needs=needs))
    made.sort(key=lambda c: c.name)
    off = closure(made, draw(st.sets(st.sampled_from([c.name for c in made]), max_size=2)))
    on = [c.name for c in made if c.name not in off]
    about = draw(st.permutations(on).flatmap(lambda p: st.integers(0, len(p)).map(lambda k: p[:k])))
    return Parts(components=tuple(made), off=off, about=tuple(about), alternatives={"v": (1, 2)})


@given(declared())
def test_whatever_is_declared_every_arm_is_closed_and_add_one_in_goes_from_bare_to_full(found: Parts) -> None:
    cumulative, single = add_one_in(found, cumulative=True), add_one_in(found, cumulative=False)
    crossing = factorial(found)
    for draft in [
        *leave_one_out(found),
        *pairs(found),
        *one_at_a_time(found),
        *cumulative,
        *single,
        *(d for _, d in crossing.runs),
    ]:
        assert draft.off == closure(found.components, draft.off)
        assert draft.off >= found.off
        assert set(draft.removed) <= draft.off or draft.nonsense
    assert len(cumulative) == len(found.about) + 1
    assert cumulative[-1].off == found.off
    assert cumulative[0].off == closure(found.components, found.off | set(found.about))
    for before, after in pairwise(cumulative):
        assert after.off <= before.off
    levels = [levels for levels, _ in crossing.runs]
    assert levels == list(product(*([range(2)] * len(found.about)), range(3)))
    for combination, draft in crossing.runs:
        off = {n for n, level in zip(found.about, combination, strict=False) if level}
        sensible = {n for n in closure(found.components, found.off | off) if n in found.about} == off
        assert sensible == (draft.nonsense is None)
