from __future__ import annotations

import typing
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.algorithms import ALGORITHMS, Component, closure, inactive_parameters

every_algorithm = pytest.mark.parametrize("name", ALGORITHMS)


@st.composite
def declarations(draw: st.DrawFn) -> tuple[Component, ...]:
    """Components of which each may need some that stand before it, in any order."""
    n = draw(st.integers(1, 7))
    found = [
        Component(
            name=str(i),
            title=str(i),
            off="is off",
            needs=tuple(str(j) for j in range(i) if draw(st.booleans())),
            parameters=tuple(f"p{i}{j}" for j in range(draw(st.integers(0, 2)))),
        )
        for i in range(n)
    ]
    return tuple(draw(st.permutations(found)))


@st.composite
def switched_off(draw: st.DrawFn) -> tuple[tuple[Component, ...], frozenset[str], frozenset[str]]:
    components = draw(declarations())
    names = st.frozensets(st.sampled_from([c.name for c in components]))
    return components, draw(names), draw(names)


@given(switched_off())
def test_closure_is_a_closure(case: tuple[tuple[Component, ...], frozenset[str], frozenset[str]]) -> None:
    components, off, more = case
    closed = closure(components, off)
    assert off <= closed
    assert closure(components, closed) == closed
    assert closed <= closure(components, off | more)
    assert closure(components, off | more) == closed | closure(components, more)
    assert closure(reversed(components), off) == closed
    for component in components:  # exactly the dependents
        assert (component.name in closed) == (component.name in off or any(n in closed for n in component.needs))


@given(switched_off())
def test_inactive_parameters_are_those_of_what_is_off(
    case: tuple[tuple[Component, ...], frozenset[str], frozenset[str]],
) -> None:
    components, off, more = case
    found = inactive_parameters(components, off)
    assert found == {p for c in components if c.name in off for p in c.parameters}
    assert inactive_parameters(components, off | more) == found | inactive_parameters(components, more)
    assert inactive_parameters(components, ()) == frozenset()


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError, match="queu"):
        closure(ALGORITHMS["rsmatch"].components, {"queu"})


@every_algorithm
def test_declarations_hold(name: str) -> None:
    kind = ALGORITHMS[name]
    assert kind.name == name
    names = [c.name for c in kind.components]
    assert len(set(names)) == len(names)
    assert len({c.title for c in kind.components}) == len(names)
    owned = [p for c in kind.components for p in c.parameters]
    assert len(set(owned)) == len(owned)  # one owner each
    for component in kind.components:
        assert set(component.needs) <= set(names) - {component.name}
        assert set(component.parameters) <= set(kind.Config.model_fields)
        assert component.name not in closure(kind.components, component.needs) - {component.name} or component.needs
        assert component.off
        assert not component.off.endswith(".")
        assert component.name == component.name.lower().replace(" ", "-")
    for component in kind.components:  # no circle: switching a need's dependents off leaves the need on
        assert not set(component.needs) & closure(kind.components, {component.name})


@every_algorithm
def test_every_hyperparameter_is_described_and_bounded(name: str) -> None:
    for field, info in ALGORITHMS[name].Config.model_fields.items():
        assert info.description, field
        assert info.metadata or typing.get_origin(info.annotation) is typing.Literal, field
        assert not info.is_required(), field


def test_rsmatch_has_the_designs_components() -> None:
    components = ALGORITHMS["rsmatch"].components
    assert {c.name for c in components} == {
        "detector", "queue", "class-wise", "dummy-head", "synthetic", "score-memory", "refill",
    }  # fmt: skip
    assert closure(components, {"detector"}) == {c.name for c in components}
    assert closure(components, {"queue"}) == {"queue", "class-wise"}
    assert closure(components, {"synthetic"}) == {"synthetic", "dummy-head"}
    without = inactive_parameters(components, closure(components, {"detector"}))
    assert set(ALGORITHMS["rsmatch"].Config.model_fields) - without == set(ALGORITHMS["fixmatch"].Config.model_fields)


def test_every_set_of_switches_closes_to_one_that_leaves_no_dependent_on() -> None:
    components = ALGORITHMS["rsmatch"].components
    names = [c.name for c in components]
    for off in chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)):
        closed = closure(components, off)
        assert all(not set(c.needs) & closed for c in components if c.name not in closed)


@every_algorithm
def test_alternatives_are_other_values_than_the_default(name: str) -> None:
    kind = ALGORITHMS[name]
    for component in kind.components:
        for field, values in component.alternatives.items():
            assert field in component.parameters
            for value in values:
                assert getattr(kind.Config(**{field: value}), field) == value
                assert value != kind.Config.model_fields[field].default


def test_fixmatch_can_be_taken_apart_down_to_supervised_learning() -> None:
    components = ALGORITHMS["fixmatch"].components
    off = closure(components, {"unlabelled"})
    assert off == {c.name for c in components}
    left = set(ALGORITHMS["fixmatch"].Config.model_fields) - inactive_parameters(components, off)
    assert left == set(ALGORITHMS["supervised"].Config.model_fields)
