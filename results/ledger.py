"""The ledger: all records of a study as Parquet, the only truth. One immutable part per record, compacted now and then.

This is the only module that imports pyarrow for records. Parts appear by atomic rename, so a reader sees whole records
only and needs no lock. Nested values are JSON text: their keys differ between algorithms, and floats survive it to the bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from results.records import TrialRecord
from trainables.files import replacing

_JSON_COLUMNS = ("config", "suggested", "metrics", "curves", "versions", "code", "data")

SCHEMA = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("study", pa.string(), nullable=False),
        pa.field("cell", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("algorithm", pa.string(), nullable=False),
        pa.field("phase", pa.string(), nullable=False),
        pa.field("search", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in _JSON_COLUMNS[:4]),
        pa.field("steps", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in ("seconds", "setup_seconds", "wall_seconds")),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("process", pa.int64(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in _JSON_COLUMNS[4:]),
        pa.field("error", pa.string()),
        pa.field("log", pa.string()),
        pa.field("same_as", pa.string()),
    ]
)

_COLUMNS = tuple(f.name for f in fields(TrialRecord))
assert set(_COLUMNS) == set(SCHEMA.names)


class LedgerDamaged(Exception):
    """A part that is no readable Parquet file of records; the message names it and says what to do."""


class Ledger:
    """The records below one folder.

    Args:
        folder: `runs/STUDY/ledger`; made at the first write.

    A record is appended with `append` and is durable when that returns. Where one trial stands in several parts (a crash
    between compaction's two halves), it counts once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def append(self, record: TrialRecord) -> Path:
        """Write one record as a part of its own; returns the part. An attempt that is there already is left as it is."""
        path = self.folder / f"part-{_file_stem(record)}.parquet"
        if not path.exists():
            _write(path, [record])
        return path

    def parts(self) -> list[Path]:
        """Files that hold records, compacted ones first."""
        return sorted(self.folder.glob("compact-*.parquet")) + sorted(self.folder.glob("part-*.parquet"))

    def records(self) -> list[TrialRecord]:
        """Each trial's latest attempt, ordered by start time; LedgerDamaged names a file that cannot be read."""
        latest: dict[str, TrialRecord] = {}
        for record in self.history():
            known = latest.setdefault(record.trial_id, record)
            if record.attempt > known.attempt:
                latest[record.trial_id] = record
        return sorted(latest.values(), key=lambda r: (r.started_at, r.trial_id))

    def history(self) -> list[TrialRecord]:
        """Every attempt of every trial once, in no order; LedgerDamaged names a file that cannot be read."""
        while True:
            seen: dict[tuple[str, int], TrialRecord] = {}
            try:
                for path in self.parts():
                    for record in _read(path):
                        seen.setdefault((record.trial_id, record.attempt), record)
            except FileNotFoundError:  # a part was compacted away between listing and reading: list again
                continue
            return list(seen.values())

    def table(self) -> pa.Table:
        """The records as one pyarrow table with columns as in `SCHEMA`."""
        return _to_table(self.records())

    def compact(self) -> Path | None:
        """Merge all parts into one file; returns it, or None where there is nothing to merge.

        The merged file is complete before the first part goes, so a crash in between leaves duplicates (which readers
        fold) and never a gap.
        """
        old = self.parts()
        if len(old) < 2:
            return None
        records = self.history()
        digest = hashlib.sha256("\n".join(sorted(_file_stem(r) for r in records)).encode()).hexdigest()[:16]
        path = self.folder / f"compact-{digest}.parquet"
        _write(path, records)
        for part in old:
            if part != path:
                part.unlink(missing_ok=True)
        return path


def _file_stem(record: TrialRecord) -> str:
    if not record.trial_id.isalnum():
        raise ValueError(f"trial_id: {record.trial_id!r} is not a hash; a part's name must stay in its folder")
    return f"{record.trial_id}-{record.attempt}" if record.attempt else record.trial_id


def _write(path: Path, records: Sequence[TrialRecord]) -> None:
    with replacing(path) as temporary:
        pq.write_table(_to_table(records), temporary, compression="zstd")


def _to_table(records: Iterable[TrialRecord]) -> pa.Table:
    rows = [_to_row(r) for r in records]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _to_row(record: TrialRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _COLUMNS}
    for name in _JSON_COLUMNS:
        row[name] = json.dumps(row[name], sort_keys=True, allow_nan=False, default=dict)
    return row


def _read(path: Path) -> Iterator[TrialRecord]:
    try:
        rows = pq.ParquetFile(path).read().to_pylist()
        for row in rows:
            for name in _JSON_COLUMNS:
                row[name] = json.loads(row[name])
            row["curves"] = {k: [(int(s), float(v)) for s, v in points] for k, points in row["curves"].items()}
            row.setdefault("attempt", 0)  # ledgers of the first releases have neither column
            row.setdefault("same_as", None)
            row["started_at"] = row["started_at"].astimezone(UTC)
            yield TrialRecord(**{name: row[name] for name in _COLUMNS})
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise LedgerDamaged(
            f"{path}: not a readable ledger part ({' '.join(str(problem).split())}); move it away and run the study again: "
            "its trials run anew, nothing else does"
        ) from problem
