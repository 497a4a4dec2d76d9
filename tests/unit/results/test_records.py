import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records import best_tuning_record
from tests.unit.results.factories import record, tuning


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": "train"}, "phase: 'train'"),
        ({"status": "done"}, "status: 'done'"),
        ({"attempt": -1}, "attempt: -1"),
        ({"started_at": datetime(2025, 1, 1)}, "started_at"),
        ({"metrics": {"val_error": math.nan}}, "val_error not finite"),
        ({"metrics": {"val_loss": math.inf}}, "val_loss not finite"),
    ],
)
def test_record_that_breaks_a_rule_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        record(trial_id="aa", **changes)


def test_best_has_the_lowest_validation_error():
    assert best_tuning_record([tuning(0, 12.0), tuning(1, 11.0), tuning(2, 13.0)]).number == 1


def test_tie_goes_to_the_lower_loss_then_to_the_earlier_suggestion():
    loss = {"val_error": 10.0, "val_loss": 0.5}
    assert best_tuning_record([tuning(0, 10.0), tuning(1, metrics=loss), tuning(2, metrics=loss)]).number == 1


def test_pruned_and_failed_trials_never_win():
    found = best_tuning_record(
        [tuning(0, 1.0, status="pruned"), tuning(1, None, status="failed"), tuning(2, 50.0), record()]
    )
    assert found.number == 2


def test_there_is_no_best_where_none_completed():
    assert best_tuning_record([]) is None
    assert best_tuning_record([tuning(0, 1.0, status="pruned"), record()]) is None


@given(order=st.permutations(range(5)))
def test_best_does_not_depend_on_the_order_of_records(order):
    records = [tuning(n, float(n % 3)) for n in range(5)]
    assert best_tuning_record([records[n] for n in order]) is records[0]
