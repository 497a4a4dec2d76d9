"""Pydantic's validation errors as sentences for people: what was found, the rule, and the nearest valid name."""

from __future__ import annotations

import inspect
import operator
import typing
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from orchestrator.common.errors import did_you_mean, nearest, quoted
from orchestrator.study.yaml_source import KeyPath, as_text, describe


class Finding(NamedTuple):
    """One thing that is wrong with a study, before it is known where the study was written."""

    at: KeyPath
    """The value or key that is wrong."""
    message: str
    shown: KeyPath | None = None
    """The path to name in the message, where that is not `at`: for an unknown key it is the mapping around it."""
    meant: KeyPath | None = None
    """Of an unknown key, the one that the message suggests: what else is said of that would be told twice."""


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "on or off",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
}


def findings(error: ValidationError, model: type[BaseModel], prefix: KeyPath = ()) -> list[Finding]:
    """One finding for each of pydantic's errors; `prefix` is where the validated mapping stands in the study."""
    return [_finding(details, model, prefix) for details in error.errors(include_url=False)]


def _finding(details: Any, model: type[BaseModel], prefix: KeyPath) -> Finding:
    place: KeyPath = tuple(details["loc"])
    at = (*prefix, *place)
    kind, value, limits = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(model, place, at)
    if kind == "missing":
        described = _model_at(model, place[:-1]).model_fields[str(place[-1])].description
        return Finding(at, f"key '{place[-1]}' is missing" + (f": {described}" if described else ""), at[:-1])
    if kind in _EXPECTED:
        return Finding(
            at, f"expected {_EXPECTED[kind]}, got {describe(value)}{_type_remedy(kind, value, _entries(model, place))}"
        )
    if kind == "literal_error":
        expected = str(limits["expected"])
        names = expected.replace("'", "").replace(" or ", ", ").split(", ")
        near = did_you_mean(value, names) if isinstance(value, str) else ""
        return Finding(at, f"expected {expected}, got {describe(value)}" + (near if "did you" in near else ""))
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        bounds = _bounds(model, place)
        got = describe(value).removeprefix("the number ")
        return Finding(at, f"must be {_range(bounds)}, got {got}{_share_meant(bounds, value)}")
    if kind == "string_too_long":
        return Finding(at, f"at most {limits['max_length']} characters, got {len(value)}")
    if kind == "string_too_short":
        return Finding(at, f"at least {limits['min_length']} character, got {describe(value)}")
    message = str(details["msg"]).removeprefix("Value error, ")
    return Finding(at, message[:1].lower() + message[1:])


def _unknown_key(model: type[BaseModel], place: KeyPath, at: KeyPath) -> Finding:
    name, prefix = str(place[-1]), at[: len(at) - len(place)]
    known = list(_model_at(model, place[:-1]).model_fields)
    ending, near, meant = did_you_mean(name, known), nearest(name, known), None
    if near is not None:
        meant = (*at[:-1], near)
    elif homes := [p for p in _field_paths(model) if p[-1] == name]:
        home = min(homes, key=lambda p: len(".".join(p)))
        ending, meant = f"; did you mean '{'.'.join(home)}'?", (*prefix, *home)
    return Finding(at, f"no key {quoted(name)} here{ending}", at[:-1], meant)


def _type_remedy(kind: str, value: Any, entries: object) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes if it is text"
    if kind in ("model_type", "dict_type", "tuple_type", "list_type") and value is None:
        return "; remove the key, or write something under it"
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    if kind in ("tuple_type", "list_type") and plain and entries is not dict:
        return f"; write {_as_list(value)}"
    return ""


def _entries(model: type[BaseModel], place: KeyPath) -> object:
    """The class of what a list at `place` holds; None where that is not known."""
    field = _model_at(model, place[:-1]).model_fields.get(str(place[-1])) if place else None
    inner = typing.get_args(field.annotation) if field is not None else ()
    return typing.get_origin(inner[0]) or inner[0] if inner else None


def _as_list(value: Any) -> str:
    """What a list of it looks like in YAML; text with commas was meant as several entries."""
    entries = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else [value]
    return as_text(entries, flow=True).strip()


def _share_meant(limits: Mapping[str, Any], value: Any) -> str:
    """The remedy for percent where a share is wanted, which is the usual slip."""
    share = value / 100 if isinstance(value, int | float) and 2 <= value <= 100 else None
    if (
        share is None
        or limits.get("le", limits.get("lt", 2)) > 1
        or not all(_WITHIN[k](share, v) for k, v in limits.items())
    ):
        return ""
    return f"; for {value:g}% write {share:g}"


_WITHIN = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}


def _bounds(model: type[BaseModel], place: KeyPath) -> dict[str, Any]:
    field = _model_at(model, place[:-1]).model_fields[str(place[-1])]
    return {k: getattr(m, k) for m in field.metadata for k in ("ge", "gt", "le", "lt") if hasattr(m, k)}


def _range(limits: Mapping[str, Any]) -> str:
    """The bounds of a field in words: `from 0 to 0.95`, `1 or more`, `above 0 and below 1`."""
    if "ge" in limits and "le" in limits:
        return f"from {limits['ge']} to {limits['le']}"
    words = {"ge": "{} or more", "gt": "above {}", "le": "{} or less", "lt": "below {}"}
    return " and ".join(words[k].format(limits[k]) for k in words if k in limits)


def _model_at(model: type[BaseModel], place: KeyPath) -> type[BaseModel]:
    """The class of the mapping at `place` in a mapping that `model` describes."""
    for name in place:
        inner = _inner_model(model, str(name))
        if inner is None:
            return model
        model = inner
    return model


def _inner_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = model.model_fields.get(name)
    if field is None:
        return None
    for candidate in (field.annotation, *typing.get_args(field.annotation)):
        if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _field_paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = [(*prefix, name) for name in model.model_fields]
    for name in model.model_fields:
        inner = _inner_model(model, name)
        paths += _field_paths(inner, (*prefix, name)) if inner else []
    return paths


def without(data: Mapping[str, Any], paths: Iterable[KeyPath]) -> dict[str, Any]:
    """A copy of nested `data` in which these values are gone; a path into a list takes the whole list away."""
    result = _copy(data)
    for path in paths:
        place, name, rest = result, path[0], path[1:]
        while rest and isinstance(rest[0], str) and isinstance(place.get(str(name)), dict):
            place, name, rest = place[str(name)], rest[0], rest[1:]
        place.pop(str(name), None)
    return result


def _copy(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, Mapping) else value for name, value in data.items()}
