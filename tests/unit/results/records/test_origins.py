from __future__ import annotations

from results.records.origins import UNKNOWN, Origin, origin_of, origin_rank
from tests.unit.results.factories import record

NOW, BEFORE = Origin("b", "torch 2", "digits"), Origin("a", "torch 2", "digits")


def made(origin: Origin, **changes: object):
    code = {"source": origin.source, "environment": origin.environment}
    return record(code=code, data={"fingerprint": origin.fingerprint}, **changes)


def test_an_origin_is_read_from_the_record() -> None:
    assert origin_of(made(NOW)) == NOW
    assert origin_of(record()) == UNKNOWN


def test_current_counts_most_then_accepted_then_nothing() -> None:
    current = {"cell-rsmatch": NOW}
    assert origin_rank(made(NOW), current, ()) == 2
    assert origin_rank(made(BEFORE), current, {BEFORE}) == 1
    assert origin_rank(made(BEFORE), current, ()) == 0
    assert origin_rank(made(NOW, cell="another"), current, {NOW}) == 0


def test_any_part_that_differs_is_another_origin() -> None:
    for part in Origin._fields:
        assert origin_rank(made(NOW._replace(**{part: "x"})), {"cell-rsmatch": NOW}, ()) == 0
