"""From the ledger's columns to records, column by column, with equal values shared between records."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from results.ledger.compact_values import DAMAGE, Packed, PackedCurves, check_curves
from results.ledger.parts import JSON_COLUMNS, REPEATED_COLUMNS, LedgerDamaged, read
from results.records.documents import parse, parse_all
from results.records.trial_record import TrialRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHARED_DOCUMENTS = ("versions", "code", "data")


class RecordBuilder:
    """Makes records from tables of rows; what is equal in many records is one object in memory.

    The mappings of its records are shared between them and must not be changed, as a record's must not anyway.
    """

    def __init__(self) -> None:
        self._texts: dict[str | None, str | None] = {}
        self._documents: dict[str, dict[str, Any]] = {}

    def of_part(self, path: Path, table: Any) -> list[TrialRecord]:
        """A record for each row of a pyarrow table with all columns of the ledger, of the part `path`.

        Raises LedgerDamaged where a value breaks a record's rules. Curves and configurations are looked at when somebody asks for
        them; `verify` looks at once.
        """
        try:
            return self.records(table)
        except (TypeError, ValueError, OverflowError) as problem:
            raise LedgerDamaged(path, " ".join(str(problem).split())) from problem

    def records(self, table: Any) -> list[TrialRecord]:
        """The same of a table that is nobody's. Raises ValueError, TypeError or OverflowError."""
        names = table.column_names
        columns = [self._column(name, table.column(name)) for name in names]
        setters = [getattr(TrialRecord, name).__set__ for name in names]
        return [_record(setters, row) for row in zip(*columns, strict=True)]

    def lean(self, record: TrialRecord) -> TrialRecord:
        """An equal record that takes little memory: curves and configuration packed, what others have too shared with them."""
        return replace(
            record,
            curves=PackedCurves.of(record.curves),
            config=Packed.of(record.config),
            versions=self._shared(_as_json(record.versions)),
            code=self._shared(_as_json(record.code)),
            data=self._shared(_as_json(record.data)),
        )

    def _column(self, name: str, column: Any) -> Sequence[Any]:
        if name == "curves":
            return PackedCurves.of_texts(column.to_pylist())
        if name == "config":
            return Packed.of_texts(column.to_pylist())
        if name == "started_at":
            return [_EPOCH + timedelta(microseconds=n) for n in column.cast("int64").to_pylist()]
        if name in REPEATED_COLUMNS:
            kinds = column.combine_chunks().dictionary_encode()
            values = [self._repeated(name, value) for value in kinds.dictionary.to_pylist()]
            return [None if i is None else values[i] for i in kinds.indices.to_pylist()]
        if name in JSON_COLUMNS:
            return _documents(name, column.to_pylist())
        return list(column.to_pylist())  # to_numpy would import pandas

    def _repeated(self, name: str, value: str) -> Any:
        return self._shared(value) if name in _SHARED_DOCUMENTS else self._texts.setdefault(value, value)

    def _shared(self, text: str) -> dict[str, Any]:
        if text not in self._documents:
            self._documents[text] = _object("versions, code or data", parse(text))
        return self._documents[text]


def verify(path: Path) -> None:
    """Raise as reading a part would, whatever of its records a command looks at: LedgerDamaged, FileNotFoundError, OSError.

    A digest does not spare the look, for whoever can write a part can write its digest.
    """
    builder = RecordBuilder()
    with collector_paused():
        for table in read(path):
            builder.of_part(path, table)
            try:
                for text in dict.fromkeys(table.column("curves").to_pylist()):
                    check_curves(text)
                _documents("config", table.column("config").to_pylist())
            except DAMAGE as problem:
                raise LedgerDamaged(path, " ".join(str(problem).split())) from problem


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the search for cycles, which takes a quarter of the time in which many records are made and finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _record(setters: Sequence[Callable[[TrialRecord, Any], None]], row: Sequence[Any]) -> TrialRecord:
    """As `TrialRecord(...)`: with all fields set and its rules checked, in a quarter of the time."""
    record = object.__new__(TrialRecord)
    for setter, value in zip(setters, row, strict=True):
        setter(record, value)
    record.__post_init__()
    return record


def _as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=dict)


def _documents(name: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Parsed JSON objects: equal texts give one object, and all share the strings of their keys."""
    kinds = dict.fromkeys(texts)
    parsed = parse_all(kinds)
    by_text = {text: _object(name, value) for text, value in zip(kinds, parsed, strict=True)}
    return [by_text[text] for text in texts]


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")
    return value
