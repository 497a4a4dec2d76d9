"""How far a study went and what it stood on: the report's small print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from results.analysis.main_table import MainTable
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from results.words.numbers import NOTHING, count, duration

SHOWN_HASHES = 12


def page_facts(table: MainTable, manifest: StudyManifest, records: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    """(name, value) pairs: extent, training time and time by the clock, machines, and hashes of data and code."""
    rows = [row for c in table.conditions for row in c.rows]
    clock = NOTHING
    if records:
        began = min(r.started_at for r in records)
        ended = max(r.started_at.timestamp() + (r.wall_seconds or r.seconds) for r in records)
        span = duration(ended - began.timestamp())
        clock = f"from {_moment(began)}, {span} from the first trial's start to the last one's end"
    return [
        ("Trials counted", count(len(records))),
        ("Tuning trials per arm", count(manifest.tuning_trials)),
        ("Evaluation seeds", ", ".join(map(str, manifest.evaluation_seeds)) or NOTHING),
        ("Steps per full trial", count(manifest.steps)),
        ("Training", f"{count(sum(r.steps for r in rows))} steps, {duration(sum(r.seconds for r in rows))}"),
        ("By the clock", clock),
        ("Hosts", _listed({f"{r.host or 'unnamed'} ({r.device})" for r in records})),
        (
            "Data",
            _listed({f"{r.data.get('dataset', NOTHING)} {r.data.get('fingerprint', '')}".strip() for r in records}),
        ),
        ("Synthetic pools", _listed({f"{g} {_hash(v)}" for r in records for g, v in _pools(r).items()})),
        ("Training code", _listed({str(r.code.get("source", "")) for r in records} - {""})),
        ("Commits", _listed({str(r.code.get("commit") or "")[:12] for r in records} - {""})),
    ]


def _pools(record: TrialRecord) -> Mapping[str, object]:
    found = record.data.get("synthetic")
    return found if isinstance(found, Mapping) else {}


def _hash(value: object) -> str:
    return str(value.get("hash", "") if isinstance(value, Mapping) else value)[:12]


def _listed(values: set[str]) -> str:
    """Sorted; the first few of many."""
    ordered = sorted(values)
    more = f" and {count(len(ordered) - SHOWN_HASHES)} more" if len(ordered) > SHOWN_HASHES else ""
    return ", ".join(ordered[:SHOWN_HASHES]) + more or NOTHING


def _moment(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
