"""A part comes back as it was written, or is refused: whatever bits flip, wherever it is cut."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.ledger.compact_values import ContentDamaged
from results.ledger.ledger import Ledger
from results.ledger.parts import JSON_COLUMNS, SCHEMA, LedgerDamaged, encode, read, to_table
from results.ledger.rows import verify
from results.records.trial_record import TrialRecord
from tests.unit.results.factories import record


@pytest.fixture
def table() -> pa.Table:
    return to_table([record(trial_id="aa", curves={"val_error": [(10, 12.5), (20, 0.1)]})])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part-aa.parquet"


def whole(path: Path) -> pa.Table:
    return pa.concat_tables(list(read(path)))


def test_a_flipped_bit_is_found_or_harmless(table: pa.Table, path: Path) -> None:
    """One of each byte, and all of the mark before the digest: without it, a part passes for one of an older release."""
    content = bytearray(encode(table))
    mark = b"ablate-blake2b:"
    at = content.index(mark)
    bits = {8 * place + place % 8 for place in range(len(content))} | set(range(8 * at, 8 * (at + len(mark))))
    harmless = 0
    for bit in bits:
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            verify(path)
            assert whole(path).equals(table), f"bit {bit} went unnoticed"
            harmless += 1
        except LedgerDamaged:
            pass
        content[bit // 8] ^= 1 << bit % 8
    assert harmless <= 8 * len(mark)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_part_that_is_cut_or_overwritten_is_found(table: pa.Table, path: Path, data: st.DataObject) -> None:
    content = encode(table)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    cut += data.draw(st.binary(max_size=20).filter(lambda more: cut + more != content))
    path.write_bytes(cut)
    for look in (verify, whole):
        with pytest.raises(LedgerDamaged, match=r"part-aa\.parquet: not a readable ledger part"):
            look(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), length=st.integers(1, 4096))
def test_a_block_of_zeros_in_a_merged_file_is_found_or_harmless(path: Path, place: float, length: int) -> None:
    table = to_table(record(trial_id=f"a{n}", seed=n) for n in range(20))
    content = bytearray(encode(table))
    at = int(place * len(content))
    content[at : at + length] = bytes(len(content[at : at + length]))
    path.write_bytes(content)
    try:
        verify(path)
    except LedgerDamaged:
        return
    assert whole(path).equals(table)  # zeros where there were some, or over the digest alone


def test_pages_carry_the_checksums_that_other_programs_check(table: pa.Table, path: Path) -> None:
    plain = pq.read_table(pa.BufferReader(encode(table)), page_checksum_verification=True)
    assert plain.equals(table)


def replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.drop(["seed"]), "it has no column 'seed'"),
        (lambda t: replaced(t, "seed", pa.array(["1"])), "column 'seed' has type string, not int64"),
        (lambda t: replaced(t, "started_at", t["started_at"].cast("timestamp[us]")), "column 'started_at' has type"),
        (lambda t: replaced(t, "arm", pa.array([None], "string")), "column 'arm' has gaps"),
        (lambda t: replaced(t, "metrics", pa.array(["{"])), "Expecting"),
        (lambda t: replaced(t, "metrics", pa.array(["[]"])), "metrics is not a JSON object"),
        (lambda t: replaced(t, "curves", pa.array(["3"])), "no attribute .items."),
    ],
)
def test_a_part_of_another_program_must_have_the_columns(
    path: Path, table: pa.Table, change: object, reason: str
) -> None:
    pq.write_table(change(table), path)
    with pytest.raises(LedgerDamaged, match=reason):
        verify(path)


def test_columns_that_came_later_may_be_missing(path: Path, table: pa.Table) -> None:
    pq.write_table(table.drop(["attempt", "same_as"]), path)
    verify(path)
    assert whole(path).equals(table)


def test_a_part_that_may_not_be_read_is_not_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("results.ledger.parts.read_ordinary", refuse)
    for look in (verify, whole):
        with pytest.raises(PermissionError):
            look(path)


def test_a_disk_that_fails_to_read_and_a_folder_are_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    with pytest.raises(LedgerDamaged, match="a folder, not an ordinary file"):
        verify(path)

    def fail(self: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(self))

    monkeypatch.setattr("results.ledger.parts.read_ordinary", fail)
    with pytest.raises(LedgerDamaged, match="Input/output error"):
        verify(path)


def test_chosen_columns_come_in_their_order(path: Path, table: pa.Table) -> None:
    path.write_bytes(encode(table))
    (some,) = read(path, ["seed", "attempt", "arm"])
    assert some.column_names == ["seed", "attempt", "arm"]
    assert some.to_pylist() == [{"seed": 1, "attempt": 0, "arm": "rsmatch"}]


def test_json_columns_are_json_objects(table: pa.Table) -> None:
    (row,) = table.to_pylist()
    assert all(isinstance(json.loads(row[name]), dict) for name in JSON_COLUMNS)
    assert table.schema == SCHEMA


def curves(text: str) -> Callable[[pa.Table], pa.Table]:
    return lambda t: replaced(t, "curves", pa.array([text]))


def metrics(text: str) -> Callable[[pa.Table], pa.Table]:
    return lambda t: replaced(t, "metrics", pa.array([text]))


DEEP = "[" * 200_000 + "]" * 200_000
NO_TRIAL_WROTE = {
    "phase": lambda t: replaced(t, "phase", pa.array(["oops"])),
    "status": lambda t: replaced(t, "status", pa.array(["oops"])),
    "attempt": lambda t: replaced(t, "attempt", pa.array([-1])),
    "metric NaN": metrics('{"test_error": NaN}'),
    "metric infinite": metrics('{"test_error": 1e999}'),
    "metric too large": metrics('{"test_error": 1e308}'),
    "metrics that cancel": metrics('{"a": 1e308, "b": -1e308}'),
    "metric whole and too large": metrics('{"test_error": 1' + "0" * 400 + "}"),
    "metric text": metrics('{"test_error": "x"}'),
    "metric deep": metrics('{"test_error": ' + DEEP + "}"),
    "metrics no object": metrics("[]"),
    "started too early": lambda t: replaced(t, "started_at", pa.array([-(2**62)], SCHEMA.field("started_at").type)),
    "started too late": lambda t: replaced(t, "started_at", pa.array([2**62], SCHEMA.field("started_at").type)),
    "seconds": lambda t: replaced(t, "seconds", pa.array([1e308])),
    "config deep": lambda t: replaced(t, "config", pa.array(['{"a": ' + DEEP + "}"])),
    "config no object": lambda t: replaced(t, "config", pa.array(["3"])),
    "config with half a character": lambda t: replaced(t, "config", pa.array([r'{"a": "\ud800"}'])),
    "suggested with half a character": lambda t: replaced(t, "suggested", pa.array([r'{"\udfff": 1}'])),
    "code deep": lambda t: replaced(t, "code", pa.array(['{"a": ' + DEEP + "}"])),
    "curves deep": curves('{"val_error": ' + DEEP + "}"),
    "curves no object": curves("[]"),
    "curve text": curves('{"val_error": [[1, "x"]]}'),
    "curve NaN": curves('{"val_error": [[1, NaN]]}'),
    "curve cut": curves('{"val_error": [[1, 2.0], [2]]}'),
    "curve step": curves('{"val_error": [[1e300, 2.0]]}'),
}


@pytest.mark.parametrize("change", NO_TRIAL_WROTE.values(), ids=NO_TRIAL_WROTE)
def test_what_no_command_can_use_is_set_aside_though_its_digest_is_right(
    tmp_path: Path, table: pa.Table, change: Callable[[pa.Table], pa.Table]
) -> None:
    """The advice of the message, followed: afterwards every look at the ledger works."""
    ledger = Ledger(tmp_path / "ledger")
    good = record(trial_id="good")
    ledger.append(good)
    bad = ledger.folder / "part-bad.parquet"
    bad.write_bytes(encode(pa.Table.from_arrays(change(table).columns, schema=SCHEMA)))

    def look() -> list[TrialRecord]:
        records = ledger.records()
        assert all(dict(r.config) and dict(r.curves) is not None for r in records)
        return records

    with pytest.raises((LedgerDamaged, ContentDamaged), match=r"ablate run.* sets it aside"):
        look()
    (aside,) = ledger.set_aside_damaged()
    assert (aside.name, aside.moved_to) == (bad.name, ledger.folder / "damaged" / bad.name)
    assert look() == [good]
    assert not ledger.set_aside_damaged()


@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, lambda p: p.symlink_to("/dev/zero")], ids=["pipe", "folder", "device"]
)
def test_what_is_no_ordinary_file_is_set_aside(tmp_path: Path, make: Callable[[Path], None]) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(record(trial_id="good"))
    make(ledger.folder / "part-1.parquet")
    with pytest.raises(LedgerDamaged, match="not an ordinary file"):
        ledger.records()
    with pytest.raises(LedgerDamaged, match="not an ordinary file"):
        ledger.table()
    assert [a.name for a in ledger.set_aside_damaged()] == ["part-1.parquet"]
    assert [r.trial_id for r in ledger.records()] == ["good"]


@pytest.mark.parametrize(
    "value", [{"config": {"a": 1e61}}, {"curves": {"loss": [(1, 1e61)]}}, {"config": {"a": "\ud800"}}]
)
def test_nothing_is_written_that_would_not_be_read(tmp_path: Path, value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"beyond|finite|surrogate"):
        Ledger(tmp_path).append(record(**value))
    assert not list(tmp_path.iterdir())
