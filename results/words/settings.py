"""Nested settings as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from results.words.numbers import NOTHING


def flatten(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) pairs; a list of plain values stays on one line."""
    if isinstance(value, Mapping) and value:
        return [pair for key, inner in value.items() for pair in flatten(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        return [pair for i, inner in enumerate(value) for pair in flatten(inner, f"{name}[{i}]")]
    if isinstance(value, list | tuple):
        return [(name, ", ".join(_plain(v) for v in value) or NOTHING)]
    return [(name, _plain(value))] if name else []


def _plain(value: Any) -> str:
    if value is None or value == {}:
        return NOTHING
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
