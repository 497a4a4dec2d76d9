import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.ledger.ledger import SCHEMA, Ledger, LedgerDamaged
from results.records.trial_record import TrialRecord
from tests.unit.results.factories import START, record
from trainables.numbers import LARGEST_NUMBER

finite = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER)
text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
curve = st.lists(st.tuples(st.integers(0, 10**6), finite), max_size=4)
records = st.builds(
    TrialRecord,
    trial_id=st.text("0123456789abcdef", min_size=8, max_size=8),
    study=text,
    cell=text,
    arm=text,
    condition=text,
    algorithm=text,
    phase=st.sampled_from(["tune", "evaluate"]),
    search=text,
    number=st.integers(0, 10**9),
    seed=st.integers(0, 2**62),
    attempt=st.integers(0, 2**31),
    status=st.sampled_from(["completed", "pruned", "failed"]),
    config=st.dictionaries(text, plain, max_size=3),
    suggested=st.dictionaries(text, plain, max_size=3),
    metrics=st.dictionaries(text, finite, max_size=3),
    curves=st.dictionaries(text, curve, max_size=2),
    steps=st.integers(0, 10**12),
    seconds=st.floats(0, 1e9),
    started_at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    host=text,
    process=st.integers(0, 2**31),
    versions=st.dictionaries(text, text, max_size=2),
    code=st.dictionaries(text, plain, max_size=2),
    data=st.dictionaries(text, plain, max_size=2),
    error=st.none() | text,
    log=st.none() | text,
    same_as=st.none() | text,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(records, min_size=1, max_size=4, unique_by=lambda r: r.trial_id), merge=st.booleans())
def test_records_come_back_as_they_were_written(tmp_path_factory, written, merge):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    for one in written:
        ledger.append(one)
    if merge:
        ledger.compact()
    assert ledger.records() == sorted(written, key=lambda r: (r.started_at, r.trial_id))


def test_folder_that_does_not_exist_holds_no_records(tmp_path):
    ledger = Ledger(tmp_path / "none")
    assert ledger.records() == []
    assert ledger.table().num_rows == 0
    ledger.compact()
    assert not (tmp_path / "none").exists()


def test_trial_is_written_once(tmp_path):
    ledger = Ledger(tmp_path)
    first = record(trial_id="aa", seconds=1.0)
    ledger.append(first)
    ledger.append(record(trial_id="aa", seconds=2.0))
    assert ledger.records() == [first]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_latest_attempt_counts_and_the_earlier_ones_are_kept(tmp_path, order):
    ledger = Ledger(tmp_path)
    attempts = [record(trial_id="aa", status="failed", metrics={}, attempt=n) for n in range(3)]
    for n in order:
        ledger.append(attempts[n])
    for _ in range(2):
        assert ledger.records() == [attempts[2]]
        assert sorted(ledger.history(), key=lambda r: r.attempt) == attempts
        ledger.compact()


def test_the_published_ledger_of_before_there_were_attempts_is_read():
    found = Ledger(Path(__file__).parents[4] / "docs" / "results" / "digits" / "ledger").records()
    assert found
    assert {r.attempt for r in found} == {0}


def test_compaction_leaves_one_file_with_the_same_records(tmp_path):
    ledger = Ledger(tmp_path)
    for n in range(5):
        ledger.append(record(trial_id=f"a{n}", started_at=START + timedelta(seconds=n)))
    before = ledger.records()
    ledger.compact()
    (path,) = ledger.parts()
    assert path.name.startswith("compact-5-")
    assert ledger.records() == before
    ledger.compact()
    assert ledger.parts() == [path]


def test_compaction_again_takes_in_later_records(tmp_path):
    ledger = Ledger(tmp_path)
    for n in range(6):
        ledger.append(record(trial_id=f"a{n}"))
        if n % 2:
            ledger.compact()
    assert len(ledger.parts()) == 1
    assert len(ledger.records()) == 6


def test_crash_between_the_halves_of_compaction_leaves_duplicates_that_fold(tmp_path):
    ledger = Ledger(tmp_path)
    parts = [ledger.append(record(trial_id=f"a{n}")) for n in range(3)]
    kept = {part: part.read_bytes() for part in parts}
    ledger.compact()
    for part, content in kept.items():
        part.write_bytes(content)
    assert len(ledger.parts()) == 4
    assert [r.trial_id for r in ledger.records()] == ["a0", "a1", "a2"]
    ledger.compact()
    assert len(ledger.parts()) == 1


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_damaged_part_is_named(tmp_path, content):
    ledger = Ledger(tmp_path)
    ledger.append(record(trial_id="aa"))
    bad = tmp_path / "part-bb.parquet"
    bad.write_bytes(content)
    with pytest.raises(LedgerDamaged, match=r"(?s)part-bb\.parquet.*move it away"):
        ledger.records()
    with pytest.raises(LedgerDamaged):
        ledger.compact()
    assert bad.exists()


def test_truncated_part_is_damaged(tmp_path):
    ledger = Ledger(tmp_path)
    part = ledger.append(record(trial_id="aa"))
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(LedgerDamaged):
        ledger.records()


def test_parquet_of_something_else_is_damaged(tmp_path):
    pq.write_table(pa.table({"trial_id": ["aa"]}), tmp_path / "part-aa.parquet")
    with pytest.raises(LedgerDamaged):
        Ledger(tmp_path).records()


def test_temporary_file_of_a_killed_writer_is_ignored(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append(record(trial_id="aa"))
    (tmp_path / ".tmp-123-part-bb.parquet").write_bytes(b"half")
    assert [r.trial_id for r in ledger.records()] == ["aa"]


@pytest.mark.parametrize("trial_id", ["../escape", "a/b", "", "a.b", "a b"])
def test_trial_id_must_stay_in_the_folder(tmp_path, trial_id):
    with pytest.raises(ValueError, match="trial_id"):
        Ledger(tmp_path / "ledger").append(record(trial_id=trial_id))
    assert not list(tmp_path.rglob("*.parquet"))


def test_value_that_json_lacks_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Ledger(tmp_path).append(record(trial_id="aa", config={"threshold": math.nan}))
    assert not list(tmp_path.iterdir())


def test_table_has_the_columns_that_others_rely_on(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append(record(trial_id="aa"))
    table = ledger.table()
    assert table.schema == SCHEMA
    promised = "trial_id study phase status arm algorithm condition seed config metrics curves steps seconds started_at"
    assert {*promised.split(), "host", "device", "versions", "code", "data"} <= set(table.column_names)


def test_chosen_columns_come_as_they_stand_in_the_records(tmp_path):
    ledger = Ledger(tmp_path)
    for n, attempt in ((2, 0), (1, 0), (1, 1), (0, 0)):
        ledger.append(record(trial_id=f"a{n}", seed=10 * n, attempt=attempt, started_at=START + timedelta(seconds=n)))
    for _ in range(2):
        table = ledger.table(["seed", "attempt"])
        assert table.to_pylist() == [
            {"seed": 0, "attempt": 0},
            {"seed": 10, "attempt": 1},
            {"seed": 20, "attempt": 0},
        ]
        assert ledger.table(["trial_id"]).column(0).to_pylist() == [r.trial_id for r in ledger.records()]
        ledger.compact()


def test_follower_gets_each_record_once_and_later_attempts_again(tmp_path):
    ledger = Ledger(tmp_path)
    follower = ledger.follow()
    assert follower.new_records() == []
    first = [record(trial_id=f"a{n}", status="failed", metrics={}) for n in range(3)]
    for one in first:
        ledger.append(one)
    assert follower.new_records() == first
    ledger.compact()
    assert follower.new_records() == []
    again = [record(trial_id="a1", attempt=n) for n in (1, 2)]
    for one in again:
        ledger.append(one)
    assert follower.new_records() == [again[1]]
    ledger.compact()
    assert follower.new_records() == []
    assert ledger.follow().new_records() == [first[0], again[1], first[2]]


def test_follower_goes_on_after_damage_was_set_aside(tmp_path):
    ledger = Ledger(tmp_path)
    follower = ledger.follow()
    ledger.append(record(trial_id="aa"))
    (tmp_path / "part-bb.parquet").write_bytes(b"")
    with pytest.raises(LedgerDamaged):
        follower.new_records()
    ledger.set_aside_damaged()
    assert [r.trial_id for r in follower.new_records()] == ["aa"]
