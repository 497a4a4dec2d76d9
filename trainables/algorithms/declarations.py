"""Whether a class declares all that an algorithm needs, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from pydantic import ValidationError

from trainables.algorithms.base import Algorithm, AlgorithmConfig, Component, closure

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def declaration_problems(kind: type[Algorithm]) -> list[str]:
    """What is wrong with the declaration of `kind`: each as `part: rule and remedy`; empty where all is well."""
    problems = list(_class_problems(kind))
    components: Any = getattr(kind, "components", ())
    if not isinstance(components, tuple) or not all(isinstance(c, Component) for c in components):
        return [*problems, "components: a tuple of Component(...) is needed, with a comma after a single one"]
    problems += _component_problems(components)
    config: Any = getattr(kind, "Config", None)
    if isinstance(config, type) and issubclass(config, AlgorithmConfig):
        try:
            config()
        except ValidationError as problem:
            fields = ", ".join(str(e["loc"][0]) for e in problem.errors())
            problems.append(f"Config: every field needs a default that its own rules allow; {fields} has none")
        else:
            problems += chain.from_iterable(_field_problems(c, config) for c in components)
            problems += [
                f"fixed: {config.__name__} has no field '{f}'" for f in kind.fixed if f not in config.model_fields
            ]
    return problems


def _class_problems(kind: type[Algorithm]) -> Iterator[str]:
    name, title, config = (getattr(kind, attribute, None) for attribute in ("name", "title", "Config"))
    if not isinstance(name, str):
        yield "name: it is missing; write for example name = 'my-match', as arms and folders will be called"
    elif not _NAME.fullmatch(name) or len(name) > 40:
        yield f"name: {name!r} is not made of a-z, 0-9 and single dashes (at most 40); files and arms are called by it"
    if not isinstance(title, str) or not title.strip():
        yield "title: it is missing; write for example title = 'MyMatch', as tables will say"
    if not isinstance(config, type) or not issubclass(config, AlgorithmConfig):
        yield "Config: it is missing, or not derived from trainables.algorithms.AlgorithmConfig"
    for method in ("build", "loss"):
        if getattr(kind, method) is getattr(Algorithm, method):
            yield f"{method}: it is missing; {(getattr(Algorithm, method).__doc__ or '').splitlines()[0]}"


def _component_problems(components: tuple[Component, ...]) -> Iterator[str]:
    names = [c.name for c in components]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"components: '{name}' is declared twice"
    owned = list(chain.from_iterable(c.parameters for c in components))
    for field in sorted({f for f in owned if owned.count(f) > 1}):
        yield f"components: parameter '{field}' belongs to two components; it exists while its one owner is on"
    for component in components:
        if not _NAME.fullmatch(component.name):
            yield f"components: '{component.name}' is not made of a-z, 0-9 and single dashes"
        unknown = [n for n in component.needs if n not in names]
        if unknown:
            yield f"components: '{component.name}' needs '{unknown[0]}', which is not declared; there are {', '.join(names)}"
            return
    for component in components:
        if set(component.needs) & closure(components, {component.name}):
            yield f"components: '{component.name}' needs itself, in a circle"


def _field_problems(component: Component, config: type[AlgorithmConfig]) -> Iterator[str]:
    for field in sorted({*component.parameters, *component.alternatives}):
        if field not in config.model_fields:
            has = ", ".join(config.model_fields)
            yield f"components: '{component.name}' names the parameter '{field}', which {config.__name__} lacks; it has {has}"
            continue
        values = component.alternatives.get(field, ())
        for value in values:
            try:
                config(**{field: value})
            except ValidationError as problem:
                message = problem.errors()[0]["msg"]
                yield f"components: the alternative {field} = {value!r} of '{component.name}' is not allowed: {message}"
        if len(set(map(repr, values))) < len(values):
            yield f"components: the alternatives of {field} in '{component.name}' repeat a value"
