"""A run's params, metric points and tags, cut to what one of MLflow's calls takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Metric, Param, RunTag

from orchestrator.mirror.run_content import RunContent

MAX_PARAMS = 100
MAX_METRICS = 900
"""Below MLflow's 1,000, since params, tags and metrics of one batch together may not exceed that either."""
MAX_BYTES = 500_000

Batch = tuple[Sequence[Metric], Sequence[Param], Sequence[RunTag]]


def batches(content: RunContent, tags: Mapping[str, str]) -> list[Batch]:
    """`content`'s params and points in as few batches as MLflow's limits allow; `tags` in the last one."""
    result: list[tuple[list[Metric], list[Param], list[RunTag]]] = [([], [], [])]
    size = 0
    entries: list[Any] = [Param(key, value) for key, value in content.params.items()]
    entries += [Metric(p.key, p.value, p.timestamp, p.step) for p in content.points]
    for entry in entries:
        place, limit = (1, MAX_PARAMS) if isinstance(entry, Param) else (0, MAX_METRICS)
        cost = len(json.dumps([entry.key, entry.value])) + 60
        if len(result[-1][place]) >= limit or size + cost > MAX_BYTES:
            result.append(([], [], []))
            size = 0
        result[-1][place].append(entry)
        size += cost
    # So far the last batch has no tags; where they do not fit, they get one of their own.
    if len(result[-1][0]) + len(result[-1][1]) + len(tags) > 1000 or size > MAX_BYTES // 2:
        result.append(([], [], []))
    result[-1][2].extend(RunTag(key, value) for key, value in tags.items())
    return list(result)
