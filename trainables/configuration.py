"""The base of every typed configuration: keyword-only, frozen, strict, with ranges on its fields."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Configuration(BaseModel):
    """A frozen set of named, typed, bounded values. Unknown names and wrong types are errors, never dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def values(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return self.model_dump(mode="json")


def content_hash(value: Any) -> str:
    """20 hex digits over a JSON value; the same for every order of keys.

    Raises ValueError for NaN and infinity, which have no JSON form.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
