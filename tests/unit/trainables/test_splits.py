from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data import DATASETS, check_sizes, cut
from trainables.data.datasets import Dataset
from trainables.data.splits import synthetic_count
from trainables.specs import DataSpec

PARTS = ("test", "generator", "labelled", "validation", "unlabelled")


class Invented(Dataset):
    """A dataset of nothing but its declaration."""

    name, title, classes, image_shape, flip = "invented", "invented", tuple("abc"), (1, 8, 8), False

    def __init__(self, *, test_size: int, generator_size: int, official_test: bool) -> None:
        self.test_size, self.generator_size, self.official_test = test_size, generator_size, official_test  # type: ignore[misc]


@st.composite
def cuts(draw: st.DrawFn) -> dict[str, Any]:
    labelled, validation = draw(st.integers(1, 6)), draw(st.none() | st.integers(1, 6))
    test, generator = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    each = test + generator + labelled + (validation or labelled) + draw(st.integers(0, 20))
    labels = np.random.default_rng(draw(st.integers(0, 99))).permutation(np.repeat(np.arange(3), each))
    return {
        "dataset": Invented(test_size=test, generator_size=generator, official_test=draw(st.booleans())),
        "labels": labels,
        "spec": DataSpec(dataset="invented", labels_per_class=labelled, validation_per_class=validation),
    }


@settings(deadline=None)
@given(cuts(), st.integers(0, 2**40))
def test_parts_are_disjoint_complete_and_stratified(case: dict[str, Any], seed: int) -> None:
    split = cut(**case, seed=seed)
    dataset, labels, spec = case["dataset"], case["labels"], case["spec"]
    places = np.concatenate([getattr(split, part) for part in PARTS])
    assert sorted(places) == list(range(len(labels)))
    assert len(split.generator) == dataset.generator_size
    assert len(split.test) == (0 if dataset.official_test else dataset.test_size)
    assert np.bincount(labels[split.labelled], minlength=3).tolist() == [spec.labels_per_class] * 3
    assert np.bincount(labels[split.validation], minlength=3).tolist() == [spec.validation_size] * 3


@settings(deadline=None)
@given(cuts(), st.integers(0, 99), st.integers(0, 80))
def test_fewer_unlabelled_images_are_the_first_of_more_and_move_nothing_else(
    case: dict[str, Any], seed: int, wanted: int
) -> None:
    whole = cut(**case, seed=seed)
    spec = case["spec"].model_copy(update={"unlabelled_real": wanted})
    if wanted > len(whole.unlabelled):
        with pytest.raises(ValueError, match=f"{len(whole.unlabelled)} real images are left where {wanted} unlabelled"):
            cut(case["dataset"], case["labels"], spec, seed)
        return
    part = cut(case["dataset"], case["labels"], spec, seed)
    assert np.array_equal(part.unlabelled, whole.unlabelled[:wanted])
    for name in PARTS[:-1]:
        assert np.array_equal(getattr(part, name), getattr(whole, name))


@settings(deadline=None)
@given(cuts(), st.integers(0, 99), st.integers(100, 199))
def test_every_seed_has_the_same_test_part_and_its_own_others(case: dict[str, Any], seed: int, other: int) -> None:
    one, again, two = (cut(**case, seed=s) for s in (seed, seed, other))
    assert np.array_equal(one.test, two.test)
    assert all(np.array_equal(getattr(one, part), getattr(again, part)) for part in PARTS)


def test_seeds_differ() -> None:
    case = {
        "dataset": Invented(test_size=20, generator_size=20, official_test=False),
        "labels": np.arange(300) % 3,
        "spec": DataSpec(dataset="invented"),
    }
    one, two = (cut(**case, seed=s) for s in (0, 1))  # type: ignore[arg-type]
    for part in PARTS[1:]:
        assert set(getattr(one, part)) != set(getattr(two, part))


def test_a_class_with_too_few_images_is_named() -> None:
    dataset = Invented(test_size=1, generator_size=1, official_test=False)
    labels = np.array([0] * 30 + [1] * 30 + [2] * 5)
    with pytest.raises(ValueError, match=r"class 'c' has [345] images left where 8 are needed"):
        cut(dataset, labels, DataSpec(dataset="invented", labels_per_class=4), 0)


@pytest.mark.parametrize("name", DATASETS)
def test_sizes_that_pass_the_check_can_be_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DATASETS[name]
    most = max(n for n in range(1, 6000) if check_sizes(DataSpec(dataset=name, labels_per_class=n)) is None)
    labels = dataset.load()[0].labels if name == "digits" else np.arange(dataset.size) % dataset.num_classes
    for seed in range(20):
        split = cut(dataset, labels, DataSpec(dataset=name, labels_per_class=most), seed)
        assert len(split.labelled) == len(split.validation) == most * dataset.num_classes
    message = check_sizes(DataSpec(dataset=name, labels_per_class=most + 1))
    assert message is not None
    assert f"{most + 1} labelled and {most + 1} validation images per class are {2 * most + 2}" in message
    with pytest.raises(ValueError, match="images left where"):
        cut(dataset, labels, DataSpec(dataset=name, labels_per_class=2 * most), 0)


def test_more_unlabelled_images_than_are_left_are_refused_before_anything_is_cut() -> None:
    def problem(wanted: int) -> str | None:
        return check_sizes(DataSpec(dataset="digits", labels_per_class=4, unlabelled_real=wanted))

    dataset = DATASETS["digits"]
    left = dataset.size - dataset.test_size - dataset.generator_size - 80
    assert problem(left) is None
    assert problem(left + 1) == (
        f"{left + 1} real unlabelled images are wanted, but {dataset.title} has {left} left beside its test, generator, "
        "labelled and validation parts"
    )


def test_validation_counts_too() -> None:
    assert check_sizes(DataSpec(dataset="digits", labels_per_class=4)) is None
    assert check_sizes(DataSpec(dataset="digits", labels_per_class=4, validation_per_class=500)) is not None


@given(st.integers(0, 100_000), st.floats(0, 0.95))
def test_synthetic_images_are_the_share_that_was_asked_for(real: int, contamination: float) -> None:
    n = synthetic_count(real, contamination)
    assert n >= 0
    if real:
        exact = real * contamination / (1 - contamination)
        assert abs(n - exact) <= 0.5 + 1e-9 * exact


def test_half_is_as_many_again() -> None:
    assert synthetic_count(717, 0.5) == 717
    assert synthetic_count(717, 0.0) == 0
    assert synthetic_count(100, 0.9) == 900


def test_split_needs_no_files() -> None:
    dataset: Any = SimpleNamespace(
        name="x", official_test=True, test_size=0, generator_size=0, num_classes=2, classes=("a", "b")
    )
    split = cut(dataset, np.array([0, 1] * 10), DataSpec(dataset="x", labels_per_class=2), 0)
    assert len(split.unlabelled) == 12
