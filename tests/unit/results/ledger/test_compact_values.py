from __future__ import annotations

import gc
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.ledger.compact_values import TEXTS_PER_BLOCK, Packed, PackedCurves
from trainables.numbers import LARGEST_NUMBER

finite = st.floats(-LARGEST_NUMBER, LARGEST_NUMBER)
text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
curve = st.lists(st.tuples(st.integers(0, 10**6), finite), max_size=4)
curves = st.dictionaries(text, curve, max_size=3)


@given(plain=curves)
def test_packed_curves_equal_the_plain_ones_to_the_bit(plain):
    packed = PackedCurves.of(plain)
    assert packed == plain
    assert plain == packed
    assert dict(packed) == plain
    assert len(packed) == len(plain)
    assert pickle.loads(pickle.dumps(packed)) == plain
    assert [[v.hex() for _, v in c] for c in packed.values()] == [[v.hex() for _, v in plain[k]] for k in packed]
    assert all(type(step) is int and type(value) is float for c in packed.values() for step, value in c)


@given(many=st.lists(curves, max_size=3 * TEXTS_PER_BLOCK))
def test_each_of_many_is_itself(many):
    assert PackedCurves.of_texts([PackedCurves.of(one).text for one in many]) == many


@given(
    plain=st.dictionaries(
        st.sampled_from(["a", "b", 'b": [', "a, ", "{", ', "a": [[1, 2.0]]', "é", "loss a", ""]), curve
    )
)
def test_a_look_at_one_curve_gives_that_one(plain):
    packed = PackedCurves.of(plain)
    for name in ("a", "b", "loss", "é", "", *plain):
        assert packed.get(name) == plain.get(name)


def test_text_of_another_program_is_read_too():
    packed = PackedCurves.of_texts(['{"a":[[1,2]],"b" : [[3, 4.5]]}'])[0]
    assert packed["a"] == [(1, 2.0)]
    assert packed["b"] == [(3, 4.5)]


def test_absent_names_are_absent():
    packed = PackedCurves.of({"val_error": [(1, 2.0)]})
    assert packed.get("test_error", ()) == ()
    assert "test_error" not in packed
    with pytest.raises(KeyError):
        packed["test_error"]
    assert packed != {"val_error": [(1, 2.5)]}
    assert repr(packed) == "{'val_error': [(1, 2.0)]}"


def test_equal_texts_are_one_object():
    first, other, second = Packed.of_texts(['{"a": 1}', '{"a": 2}', '{"a": 1}'])
    assert first is second
    assert first == {"a": 1} != other
    assert Packed.of(first) is first


def test_a_value_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        PackedCurves.of({"val_error": [(1, float("nan"))]})


def test_curves_that_were_looked_at_are_let_go_again():
    many = PackedCurves.of_texts([f'{{"val_error": [[{n}, 0.5]]}}' for n in range(2000)])
    assert sum(points[0][0] for one in many for points in one.values()) == sum(range(2000))
    gc.collect()
    kept = sum(type(o) is tuple and len(o) == 2 and type(o[0]) is int and o[1] == 0.5 for o in gc.get_objects())
    assert kept < 1000
