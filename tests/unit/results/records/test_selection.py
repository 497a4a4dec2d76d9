"""Which trial a cell's tuning ends with. That searches are followed through their histories stands in test_tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records.manifest import CellInfo
from results.records.selection import RecordIndex, candidates, choose, taken_over, to_confirm
from tests.unit.results.factories import record, tuning


def cell(**changes):
    values = {"cell": "cell-rsmatch", "arm": "rsmatch", "condition": "half", "search": "s", "tuning_trials": 4}
    return CellInfo(**{**values, **changes})


def chosen(records, one=None):
    one = one or cell()
    index = RecordIndex([one])
    for each in records:
        index.add(each)
    return choose(one, [r for r in records if r.search != one.confirm], index)


def again(original, seed, val_error, status="completed"):
    """The original's configuration on another tuning seed."""
    metrics = {} if val_error is None else {"val_error": val_error}
    kept = {"suggested": original.suggested, "number": original.number}
    return tuning(**kept, seed=seed, search="confirm", metrics=metrics, status=status)


def test_best_has_the_lowest_validation_error():
    assert chosen([tuning(0, 12.0), tuning(1, 11.0), tuning(2, 13.0)]).best.number == 1


def test_tie_goes_to_the_lower_loss_then_to_the_earlier_suggestion():
    loss = {"val_error": 10.0, "val_loss": 0.5}
    assert chosen([tuning(0, 10.0), tuning(1, metrics=loss), tuning(2, metrics=loss)]).best.number == 1


def test_pruned_and_failed_trials_never_win():
    found = chosen([tuning(0, 1.0, status="pruned"), tuning(1, None, status="failed"), tuning(2, 50.0)])
    assert found.best.number == 2


def test_there_is_no_choice_where_none_completed():
    assert chosen([]) is None
    assert chosen([tuning(0, 1.0, status="pruned")]) is None


@given(order=st.permutations(range(5)))
def test_choice_does_not_depend_on_the_order_of_records(order):
    records = [tuning(n, float(n % 3)) for n in range(5)]
    assert chosen([records[n] for n in order]).best is records[0]


def test_a_met_constraint_comes_before_a_lower_error():
    cheap = tuning(0, metrics={"val_error": 12.0, "coverage": 0.5})
    greedy = tuning(1, metrics={"val_error": 5.0, "coverage": 0.1})
    assert candidates(cell(constraints=("coverage >= 0.2",)), [greedy, cheap])[0] is cheap
    assert candidates(cell(), [greedy, cheap])[0] is greedy


def test_confirmation_waits_for_its_trials_and_decides_by_the_mean():
    one = cell(confirm="confirm", confirm_top=2, confirm_seeds=(7, 8))
    lucky, steady, third = tuning(0, 5.0), tuning(1, 6.0), tuning(2, 9.0)
    tuned = [lucky, steady, third]
    assert to_confirm(one, tuned) == [(lucky, 7), (lucky, 8), (steady, 7), (steady, 8)]
    assert chosen(tuned, one) is None
    trials = [again(lucky, 7, 11.0), again(lucky, 8, 11.0), again(steady, 7, 6.0), again(steady, 8, 9.0)]
    found = chosen([*tuned, *trials], one)
    assert (found.best, found.first, found.val_error) == (steady, lucky, 7.0)
    assert found.optimism == pytest.approx(6.0)


def test_a_candidate_that_failed_on_a_seed_is_out():
    one = cell(confirm="confirm", confirm_top=2, confirm_seeds=(7,))
    best, second = tuning(0, 5.0), tuning(1, 6.0)
    found = chosen([best, second, again(best, 7, None, status="failed"), again(second, 7, 20.0)], one)
    assert found.best is second
    assert found.optimism is None


def test_an_inheriting_cell_takes_its_own_fields_alone():
    trial = record(suggested={"learning_rate": 0.1, "queue_size": 64})
    assert taken_over(cell(takes=("learning_rate",)), trial) == {"learning_rate": 0.1}
