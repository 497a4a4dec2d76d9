"""One file of the ledger: records as Parquet bytes that carry their own digest, and back.

Nested values are JSON text: their keys differ between algorithms, and floats survive it to the bit. Parquet's page
checksums cover the pages alone, not the footer that says what they mean, so a part also holds a digest of all its bytes:
a flipped bit anywhere is found before anything is decoded. Parts of older releases have none. Whoever can
write a part can write its digest, so what the rows hold is checked besides (`results.ledger.rows`).
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from results.ledger.compact_values import Packed, check_curves
from results.records.documents import parse
from results.records.trial_record import TrialRecord
from trainables.files import NotOrdinary, read_ordinary

JSON_COLUMNS = ("config", "suggested", "metrics", "curves", "versions", "code", "data")
REPEATED_COLUMNS = (
    *("study", "cell", "arm", "condition", "algorithm", "phase", "search", "status", "host", "device"),
    *("versions", "code", "data", "error", "log", "same_as"),
)
"""Columns of few different values."""

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
        *(pa.field(name, pa.string(), nullable=False) for name in JSON_COLUMNS[:4]),
        pa.field("steps", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in ("seconds", "setup_seconds", "wall_seconds")),
        pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("process", pa.int64(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in JSON_COLUMNS[4:]),
        pa.field("error", pa.string()),
        pa.field("log", pa.string()),
        pa.field("same_as", pa.string()),
    ]
)
assert set(SCHEMA.names) == {field.name for field in fields(TrialRecord)}

_SINCE_ADDED: dict[str, Any] = {"attempt": 0, "same_as": None}
"""Columns that ledgers of the first releases lack, and what their absence means."""
ROWS_AT_ONCE = 1024
"""Most rows of a row group, so that reading a big file takes little memory."""
_MANY_BYTES = 2**18  # a small part is decoded sooner than it is handed to threads
_DIGEST_KEY = "ablate.digest"
_DIGEST_PREFIX = b"ablate-blake2b:"
_NO_DIGEST = b"0" * 32
_DAMAGE = (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError)  # what decoding garbage raises
_DAMAGED_DISK = (errno.EIO, errno.EISDIR)  # others, such as a missing right, say nothing about the content


class LedgerDamaged(Exception):
    """A part that is no readable Parquet file of records; the message names it and says what to do.

    Args:
        path: The part.
        reason: What is wrong with it, without a full stop.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path}: not a readable ledger part ({reason}); `ablate run` sets it aside and runs its trials again, "
            "or move it away yourself"
        )


class LedgerNotWritten(OSError):
    """A record could not be written, such as on a full disk; nothing of it is left in the ledger."""

    def __init__(self, folder: Path, trial_id: str, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        self.message = (
            f"{folder}: the record of trial {trial_id} could not be written ({problem.strerror or problem}); make room there "
            "and run the study again: what is recorded is kept, and this trial runs again"
        )

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class SetAside:
    """A damaged part that was moved out of the way.

    Args:
        name: The file's name in the ledger.
        reason: What is wrong with it.
        moved_to: Where it is now.
    """

    name: str
    reason: str
    moved_to: Path

    def __str__(self) -> str:
        return f"ledger/{self.name} is damaged ({self.reason}); set aside as {self.moved_to}, its trials run again"


def to_table(records: Iterable[TrialRecord]) -> pa.Table:
    """Records as a table with columns as in `SCHEMA`. Raises ValueError for a value that JSON lacks, such as NaN."""
    records = list(records)
    columns = []
    for field in SCHEMA:
        values = [getattr(record, field.name) for record in records]
        if field.name in JSON_COLUMNS:
            values = [_text(field.name, value) for value in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _text(name: str, value: Any) -> str:
    if isinstance(value, Packed):
        return value.text
    text = json.dumps(value, sort_keys=True, allow_nan=False, default=dict)
    if name == "curves":  # nothing is written that would not be read again
        check_curves(text)
    else:
        parse(text)
    return text


def encode(table: pa.Table) -> bytes:
    """A Parquet file of `table`, with its digest."""
    sink = pa.BufferOutputStream()
    single = table.num_rows == 1  # where dictionaries and hard compression cost the driver time and save nothing
    with pq.ParquetWriter(
        sink,
        SCHEMA,
        compression="snappy" if single else "zstd",
        use_dictionary=False if single else list(REPEATED_COLUMNS),
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=ROWS_AT_ONCE)
        writer.add_key_value_metadata({_DIGEST_KEY: (_DIGEST_PREFIX + _NO_DIGEST).decode()})
    content = bytearray(sink.getvalue())
    at = content.rindex(_DIGEST_PREFIX) + len(_DIGEST_PREFIX)
    content[at : at + len(_NO_DIGEST)] = _digest(content)
    return bytes(content)


def _digest(content: bytes | bytearray) -> bytes:
    return hashlib.blake2b(content, digest_size=len(_NO_DIGEST) // 2).hexdigest().encode()


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a part as tables of at most some thousand rows, with `columns` (default: all) in that order.

    Raises:
        FileNotFoundError: The part is gone, which a merge may do at any time.
        OSError: The system does not let it be read, for a reason that is not the part's.
        LedgerDamaged: It is no part, or not as it was written.
    """
    content = _content(path)
    try:
        file = _open(content)
        chosen = list(SCHEMA.names if columns is None else columns)
        there = set(file.schema_arrow.names)
        groups = range(file.num_row_groups)
    except _DAMAGE as problem:
        raise _damaged(path, problem) from problem
    for group in groups:
        try:
            raw = file.read_row_group(
                group, columns=[name for name in chosen if name in there], use_threads=len(content) > _MANY_BYTES
            )
            table = _conform(raw, chosen)
        except _DAMAGE as problem:
            raise _damaged(path, problem) from problem
        for start in range(0, table.num_rows, ROWS_AT_ONCE):
            yield table.slice(start, ROWS_AT_ONCE)


def _content(path: Path) -> bytes:
    try:
        return read_ordinary(path)
    except NotOrdinary as problem:
        raise _damaged(path, problem) from problem
    except OSError as problem:
        if problem.errno in _DAMAGED_DISK:
            raise _damaged(path, problem) from problem
        raise


def _open(content: bytes) -> Any:
    at = content.rfind(_DIGEST_PREFIX)
    if at >= 0:
        at += len(_DIGEST_PREFIX)
        end = at + len(_NO_DIGEST)
        if _digest(b"".join((content[:at], _NO_DIGEST, content[end:]))) != content[at:end]:
            raise ValueError("its digest does not fit: it was changed or cut after it was written")
    return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)


def _conform(table: pa.Table, names: Sequence[str]) -> pa.Table:
    columns = []
    for name in names:
        field = SCHEMA.field(name)
        if name in _SINCE_ADDED and name not in table.column_names:
            columns.append(pa.chunked_array([pa.repeat(pa.scalar(_SINCE_ADDED[name], field.type), table.num_rows)]))
            continue
        if name not in table.column_names:
            raise ValueError(f"it has no column {name!r}")
        column = table.column(name)
        if column.type != field.type:
            raise ValueError(f"column {name!r} has type {column.type}, not {field.type}")
        if column.null_count and not field.nullable:
            raise ValueError(f"column {name!r} has gaps")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=pa.schema([SCHEMA.field(name) for name in names]))


def _damaged(path: Path, problem: BaseException) -> LedgerDamaged:
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return LedgerDamaged(path, " ".join(text.split()) or type(problem).__name__)
