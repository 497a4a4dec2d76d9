from __future__ import annotations

import pickle

import pytest

from results.ledger.compact_values import PackedCurves
from results.ledger.parts import to_table
from results.ledger.rows import RecordBuilder
from tests.unit.results.factories import record

VERSIONS = {"torch": "2.9", "ray": "2.60"}


def some(number: int = 5) -> list:
    return [
        record(
            trial_id=f"a{n}",
            seed=n,
            versions=dict(VERSIONS),
            curves={"val_error": [(10, n / 7)]},
            error=None if n % 2 else "out of memory",
        )
        for n in range(number)
    ]


def test_records_come_back_from_their_columns():
    assert RecordBuilder().records(to_table(some())) == some()
    assert RecordBuilder().records(to_table([])) == []


def test_what_is_equal_is_one_object_across_tables():
    builder = RecordBuilder()
    first, second = builder.records(to_table(some(2))), builder.records(to_table(some(2)))
    for name in ("versions", "arm", "cell", "host", "error"):
        assert len({id(getattr(r, name)) for r in (first[0], second[0])}) == 1, name


def test_a_record_from_columns_keeps_the_rules_of_records():
    table = to_table(some(1))
    bad = table.set_column(table.schema.get_field_index("status"), "status", [["done"]])
    with pytest.raises(ValueError, match="status: 'done'"):
        RecordBuilder().records(bad)


@pytest.mark.parametrize("text", ["[]", "3", "{}, {}", ""])
@pytest.mark.parametrize("column", ["metrics", "suggested", "versions"])
def test_json_that_is_no_object_is_refused(column, text):
    table = to_table(some(1))
    bad = table.set_column(table.schema.get_field_index(column), column, [[text]])
    with pytest.raises(ValueError, match=r"JSON|Expecting|Extra data"):
        RecordBuilder().records(bad)


def test_a_lean_record_is_equal_and_shares():
    builder = RecordBuilder()
    plain = some(3)
    lean = [builder.lean(one) for one in plain]
    assert lean == plain
    assert lean[0].versions is lean[1].versions
    assert isinstance(lean[0].curves, PackedCurves)
    assert pickle.loads(pickle.dumps(lean)) == plain
    assert to_table(lean).equals(to_table(plain))
