from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.order import BatchOrder
from trainables.seeds import stream_seed

sizes = st.tuples(st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000))


@settings(deadline=None)
@given(sizes, st.integers(1, 5))
def test_each_place_comes_once_an_epoch_and_epochs_join_without_a_gap(sizes: tuple[int, int, int], epochs: int) -> None:
    n, size, seed = sizes
    order = BatchOrder(n, size, seed, "labelled")
    places = torch.cat([order.batch(step) for step in range(-(-epochs * n // size))])
    for epoch in range(epochs):
        assert sorted(places[epoch * n : (epoch + 1) * n].tolist()) == list(range(n))


@settings(deadline=None)
@given(sizes, st.lists(st.integers(0, 200), min_size=1, max_size=20))
def test_a_batch_depends_on_its_step_alone(sizes: tuple[int, int, int], steps: list[int]) -> None:
    order = BatchOrder(*sizes, "labelled")
    found = {step: order.batch(step) for step in steps}
    for step in reversed(steps):
        fresh = BatchOrder(*sizes, "labelled").batch(step)
        assert torch.equal(found[step], fresh)
        assert torch.equal(order.batch(step), fresh)
        assert fresh.dtype == torch.int64
        assert len(fresh) == sizes[1]


def test_seeds_streams_and_epochs_have_orders_of_their_own() -> None:
    def epoch(seed: int, name: str, number: int = 0) -> list[int]:
        return BatchOrder(50, 50, seed, name).batch(number).tolist()

    orders = [epoch(0, "labelled"), epoch(1, "labelled"), epoch(0, "unlabelled"), epoch(0, "labelled", 1)]
    assert len({tuple(o) for o in orders}) == 4


def test_no_images_no_places() -> None:
    assert BatchOrder(0, 4, 0, "unlabelled").batch(7).tolist() == []


def test_the_random_state_of_the_process_is_left_alone() -> None:
    before = torch.get_rng_state()
    BatchOrder(50, 20, 0, "labelled").batch(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_are_fixed_numbers() -> None:
    assert stream_seed(0, "views", 3) == 1419275200204932320


@given(st.integers(0, 2**63), st.lists(st.text() | st.integers(), max_size=3))
def test_a_streams_seed_is_one_that_every_generator_takes(seed: int, path: list[str | int]) -> None:
    value = stream_seed(seed, *path)
    assert 0 <= value < 2**63
    assert stream_seed(seed, *path) == value
    torch.Generator().manual_seed(value)


@pytest.mark.parametrize("path", [("views",), ("views", 1), ("views", 11), ("order", 1), ()])
def test_streams_are_told_apart_by_name(path: tuple[str | int, ...]) -> None:
    others: list[tuple[str | int, ...]] = [("views",), ("views", 1), ("views", 11), ("order", 1), ()]
    assert [stream_seed(5, *path) == stream_seed(5, *other) for other in others].count(True) == 1
    assert stream_seed(5, *path) != stream_seed(6, *path)
