"""Score memory and queues against dictionaries and sorting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import readings
from trainables.algorithms import Task
from trainables.algorithms.score_memory import ScoreMemory


def both(
    n: int, classes: int, *, decay: float, queue_size: int, class_wise: bool
) -> tuple[ScoreMemory, readings.Memory]:
    task = Task(
        num_classes=classes,
        image_shape=(1, 8, 8),
        num_unlabelled=n,
        total_steps=1,
        network="small-cnn",
        device=torch.device("cpu"),
        generator=torch.Generator(),
        weak_views=lambda index: index,
        strong_views=lambda index: index,
    )
    ours = ScoreMemory(task, decay=decay, queue_size=queue_size, class_wise=class_wise)
    return ours, readings.Memory(classes, decay=decay, queue_size=queue_size, class_wise=class_wise)


def queues(queue: torch.Tensor, count: torch.Tensor) -> list[list[int]]:
    return [row[:n].tolist() for row, n in zip(queue, count.tolist(), strict=True)]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    classes=st.integers(2, 5),
    decay=st.sampled_from([0.0, 0.5, 0.98]),
    queue_size=st.integers(1, 50),
    class_wise=st.booleans(),
)
def test_memory_and_queues_after_any_updates(
    seed: int, n: int, classes: int, decay: float, queue_size: int, class_wise: bool
) -> None:
    rng = np.random.default_rng(seed)
    ours, reading = both(n, classes, decay=decay, queue_size=queue_size, class_wise=class_wise)
    assert not ours.ready
    for _ in range(8):
        index = rng.permutation(n)[: rng.integers(1, n + 1)]
        score, label = rng.random(len(index)).astype(np.float32), rng.integers(0, classes, len(index))
        new = ours.update(torch.tensor(index), torch.tensor(score), torch.tensor(label))
        expected = reading.update(index.tolist(), score.tolist(), label.tolist())
        assert np.allclose(new.numpy(), expected, atol=1e-6)
    ours.rebuild_queues()
    reading.rebuild()
    assert ours.ready
    assert reading.ready
    assert queues(ours.synthetic_queue, ours.synthetic_count) == reading.synthetic
    assert queues(ours.real_queue, ours.real_count) == reading.real
    seen = list(reading.score)
    assert np.allclose(ours.score[seen].numpy(), list(reading.score.values()), atol=1e-6)
    assert (ours.pseudo_class >= 0).sum() == len(seen)


def test_an_images_first_score_is_taken_whole() -> None:
    ours, _ = both(3, 2, decay=0.9, queue_size=1, class_wise=True)
    first = ours.update(torch.tensor([1]), torch.tensor([0.8]), torch.tensor([0]))
    assert float(first) == pytest.approx(0.8)
    second = ours.update(torch.tensor([1]), torch.tensor([0.2]), torch.tensor([1]))
    assert float(second) == pytest.approx(0.9 * 0.8 + 0.1 * 0.2)


def test_an_image_moves_to_the_queue_of_its_latest_pseudo_label() -> None:
    ours, _ = both(3, 2, decay=0.0, queue_size=2, class_wise=True)
    for label in (0, 1):
        ours.update(torch.tensor([2]), torch.tensor([0.5]), torch.tensor([label]))
        ours.rebuild_queues()
        assert queues(ours.synthetic_queue, ours.synthetic_count) == [[2] if k == label else [] for k in range(2)]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), draws=st.integers(1, 40), class_wise=st.booleans())
def test_draws_come_evenly_from_the_queues_that_hold_an_image(seed: int, draws: int, class_wise: bool) -> None:
    rng = np.random.default_rng(seed)
    ours, reading = both(30, 6, decay=0.0, queue_size=4, class_wise=class_wise)
    index = np.arange(20)
    score, label = rng.random(20).astype(np.float32), rng.choice([0, 2, 5], 20)  # three classes never come
    ours.update(torch.tensor(index), torch.tensor(score), torch.tensor(label))
    reading.update(index.tolist(), score.tolist(), label.tolist())
    ours.rebuild_queues()
    reading.rebuild()
    for places, expected in zip(
        ours.draw(draws, torch.Generator().manual_seed(seed)), (reading.real, reading.synthetic), strict=True
    ):
        filled = [q for q in expected if q]
        owner = Counter(next(i for i, q in enumerate(filled) if place in q) for place in places.tolist())
        per_queue = [owner[i] for i in range(len(filled))]
        assert sum(per_queue) == draws
        assert max(per_queue) - min(per_queue) <= 1


def test_a_batch_with_room_for_few_queues_reaches_all_of_them_in_time() -> None:
    ours, _ = both(40, 20, decay=0.0, queue_size=2, class_wise=True)
    ours.update(torch.arange(40), torch.rand(40, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 20)
    ours.rebuild_queues()
    generator = torch.Generator().manual_seed(0)
    seen: tuple[set[int], set[int]] = (set(), set())
    for _ in range(300):
        for places, found in zip(ours.draw(4, generator), seen, strict=True):
            found |= {place % 20 for place in places.tolist()}
            assert len({place % 20 for place in places.tolist()}) == 4
    assert seen == (set(range(20)), set(range(20)))


def test_every_image_of_a_queue_is_drawn() -> None:
    ours, reading = both(12, 2, decay=0.0, queue_size=4, class_wise=True)
    index, score, label = torch.arange(12), torch.linspace(0, 1, 12), torch.arange(12) % 2
    ours.update(index, score, label)
    reading.update(index.tolist(), score.tolist(), label.tolist())
    ours.rebuild_queues()
    reading.rebuild()
    real, synthetic = ours.draw(400, torch.Generator().manual_seed(0))
    assert set(real.tolist()) == {i for q in reading.real for i in q}
    assert set(synthetic.tolist()) == {i for q in reading.synthetic for i in q}


def test_memory_is_state_that_a_checkpoint_holds() -> None:
    ours, _ = both(6, 2, decay=0.5, queue_size=2, class_wise=True)
    ours.update(torch.arange(6), torch.linspace(0, 1, 6), torch.arange(6) % 2)
    ours.rebuild_queues()
    other, _ = both(6, 2, decay=0.5, queue_size=2, class_wise=True)
    other.load_state_dict(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), other.buffers(), strict=True))
    assert len(list(ours.buffers())) == 7


def test_the_bound_goes_from_the_score_of_labelled_images_to_one() -> None:
    ours, _ = both(3, 2, decay=0.0, queue_size=1, class_wise=True)
    ours.note_labelled(torch.tensor([0.1, 0.3]))
    assert float(ours.bound(0.0)) == pytest.approx(0.2)
    assert float(ours.bound(0.5)) == pytest.approx(0.6)
    assert float(ours.bound(1.0)) == 1.0
    ours.note_labelled(torch.tensor([0.7]))
    assert float(ours.labelled_score) == pytest.approx(0.98 * 0.2 + 0.02 * 0.7)
