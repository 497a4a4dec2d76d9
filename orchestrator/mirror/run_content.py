"""What one run in MLflow holds, within what MLflow takes. Pure: no MLflow, no files, no clock."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

MAX_KEY = 250
MAX_PARAM = 6_000
MAX_TAG = 8_000
MAX_NAME = 250
MAX_DIGEST = 36

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Point(NamedTuple):
    """One value of one metric."""

    key: str
    value: float
    timestamp: int
    """Milliseconds since 1970."""
    step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetUse:
    """The data that a trial trained on, as MLflow's inputs show it."""

    name: str
    digest: str
    source: str
    profile: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContent:
    """One run: what is written to MLflow under one key."""

    key: str
    """Identity of the run in the store: at most one run carries it."""
    name: str
    status: RunStatus
    started: int
    """Milliseconds since 1970, as is `ended`."""
    ended: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    dataset: DatasetUse | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Artifact path to text."""
    log: str | None = None
    """A log to attach, relative to the study's folder."""
    attached: Mapping[str, str] = field(default_factory=dict)
    """Further files to attach: their path relative to the study's folder, which is the artifact's too, to a hash of them."""

    model: str | None = None
    """An evaluated network's path below the study's folder (`trainables.evaluated_model`), logged as a model of the run."""

    def last_values(self) -> dict[str, float]:
        """What MLflow shows of each metric: the value at the largest step, of the latest time there, the largest of these."""
        last: dict[str, tuple[int, int, float]] = {}
        for p in self.points:
            last[p.key] = max(last.get(p.key, (p.step, p.timestamp, p.value)), (p.step, p.timestamp, p.value))
        return {key: value for key, (_, _, value) in last.items()}

    def artifacts_digest(self) -> str:
        """A hash over its files: equal where none needs to be sent again. Empty where there is none."""
        files = [dict(self.files), dict(self.attached), self.log, *([self.model] if self.model else [])]
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32] if any(files) else ""

    def digest(self) -> str:
        """A hash over everything in it: equal where nothing needs to be written again."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def safe_key(name: str) -> str:
    """`name` as MLflow takes it for a param or a metric; a hash keeps apart what was changed to look alike."""
    safe = re.sub(r"[^\w./: -]", "_", name)
    safe = "/".join("_" if part in ("", ".", "..") else part for part in safe.split("/"))
    if safe == name and len(name) <= MAX_KEY:
        return name
    suffix = "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return safe[: MAX_KEY - len(suffix)] + suffix


def fitted(content: RunContent) -> RunContent:
    """`content` within MLflow's limits: a value that is too long moves, whole, to an artifact that the value names."""
    files = dict(content.files)

    def fit(kind: str, values: Mapping[str, str], limit: int) -> dict[str, str]:
        fitted = {}
        for name, value in values.items():
            key = safe_key(name) if kind == "params" else name
            if len(value) > limit:
                path = f"long_values/{kind}/{re.sub(r'[^A-Za-z0-9_.-]', '_', key)}.txt"
                files[path] = value
                value = cut(value, limit, path)
            if value or kind == "params":
                fitted[key] = value
        return fitted

    tags, params = fit("tags", content.tags, MAX_TAG), fit("params", content.params, MAX_PARAM)
    name = cut(content.name, MAX_NAME, "tag arm")
    changed = {"name": name, "tags": tags, "params": params, "files": files}
    return RunContent(**{f: changed.get(f, getattr(content, f)) for f in RunContent.__dataclass_fields__})


def cut(text: str, limit: int, where: str) -> str:
    """`text` within `limit` characters, saying where the whole of it is."""
    if len(text) <= limit:
        return text
    suffix = f" … ({len(text):,} characters; whole in {where})"
    return text[: limit - len(suffix)] + suffix
