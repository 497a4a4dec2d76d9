import pytest

from results.words.phrases import LISTED, first_listed, listed, paired_seeds, seeds, seeds_between, spans


def test_counted_things_have_the_right_number():
    assert (seeds(1), seeds(6)) == ("1 seed", "6 seeds")
    assert (paired_seeds(1), paired_seeds(2)) == ("1 paired seed", "2 paired seeds")
    assert (seeds_between({4}), seeds_between({3, 6, 5})) == ("4 seeds", "3 to 6 seeds")


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_end_with_and(items, text):
    assert listed(items) == first_listed(items) == text


def test_long_lists_are_cut_off():
    items = [str(i) for i in range(LISTED + 3)]
    assert first_listed(items).endswith(f"{LISTED - 1} and 3 more (see the table)")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((3,), "3"), ((0, 1), "0, 1"), ((0, 1, 2, 7), "0 to 2, 7"), ((9, 3, 2, 1, 1, 8, 7), "1 to 3, 7 to 9")],
)
def test_spans_of_numbers(numbers, text):
    assert spans(numbers) == text
