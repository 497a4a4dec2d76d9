"""How one seed cuts a dataset into disjoint parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainables.data.datasets import I64, Dataset, dataset_of
from trainables.seeds import stream_seed
from trainables.specs import DataSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Places in the dataset's training images; disjoint, and together all of them unless `unlabelled_real` takes fewer.

    `test` is empty where the dataset has an official test part. It is the same for every seed; the others are the
    seed's.
    """

    test: I64
    generator: I64
    labelled: I64
    validation: I64
    unlabelled: I64


def cut(dataset: Dataset, labels: I64, spec: DataSpec, seed: int) -> Split:
    """Cut the images with these labels (int64 [n]) for one seed block.

    Labelled and validation images are the same number for each class; test and generator parts are random.
    Raises ValueError where a class has too few images.
    """
    test, rest = np.empty(0, np.int64), np.arange(len(labels))
    if not dataset.official_test:
        test = test_places(dataset, len(labels))
        rest = np.delete(rest, test)
    rest = np.random.default_rng(stream_seed(seed, "split")).permutation(np.sort(rest))
    generator, rest = rest[: dataset.generator_size], rest[dataset.generator_size :]
    labelled, validation = [], []
    for k in range(dataset.num_classes):
        members = rest[labels[rest] == k]
        wanted = spec.labels_per_class + spec.validation_size
        if len(members) < wanted:
            raise ValueError(f"class {dataset.classes[k]!r} has {len(members)} images left where {wanted} are needed")
        labelled.append(members[: spec.labels_per_class])
        validation.append(members[spec.labels_per_class : wanted])
    taken = np.concatenate(labelled + validation)
    unlabelled = rest[~np.isin(rest, taken)]
    if spec.unlabelled_real is not None:
        if spec.unlabelled_real > len(unlabelled):
            raise ValueError(
                f"{len(unlabelled)} real images are left where {spec.unlabelled_real} unlabelled are needed"
            )
        unlabelled = unlabelled[: spec.unlabelled_real]
    return Split(
        test=test,
        generator=generator,
        labelled=np.concatenate(labelled),
        validation=np.concatenate(validation),
        unlabelled=unlabelled,
    )


def test_places(dataset: Dataset, size: int) -> I64:
    """Places of the test part among `size` training images of a dataset without an official one, sorted."""
    order = np.random.default_rng(stream_seed(0, "test part", dataset.name)).permutation(size)
    return np.sort(order[: dataset.test_size])


def check_sizes(spec: DataSpec) -> str | None:
    """None where the dataset is large enough for `spec` in every seed block; else a sentence with the limit.

    Judged without files, by the mean class size less a twentieth for uneven classes and four standard deviations for
    the random test and generator parts; `cut` makes certain.
    """
    dataset = dataset_of(spec.dataset)
    free = dataset.size - dataset.generator_size - (0 if dataset.official_test else dataset.test_size)
    mean, share = free / dataset.num_classes, free / dataset.size
    most = int(0.95 * mean - 4 * math.sqrt(mean * (1 - share)))
    wanted = spec.labels_per_class + spec.validation_size
    if wanted <= most:
        return too_few_unlabelled(spec)
    return (
        f"{spec.labels_per_class} labelled and {spec.validation_size} validation images per class are {wanted}, "
        f"but {dataset.title} has room for {most} per class beside its test and generator parts"
    )


def too_few_unlabelled(spec: DataSpec) -> str | None:
    """None where the dataset has as many real unlabelled images as `spec` wants; else a sentence with the limit."""
    left = unlabelled_count(spec.model_copy(update={"unlabelled_real": None}))
    if spec.unlabelled_real is None or spec.unlabelled_real <= left:
        return None
    return (
        f"{spec.unlabelled_real} real unlabelled images are wanted, but {dataset_of(spec.dataset).title} has {left} left beside "
        "its test, generator, labelled and validation parts"
    )


def unlabelled_count(spec: DataSpec) -> int:
    """Real unlabelled images of every seed block, judged without files."""
    dataset = dataset_of(spec.dataset)
    test = 0 if dataset.official_test else dataset.test_size
    chosen = dataset.num_classes * (spec.labels_per_class + spec.validation_size)
    left = max(dataset.size - test - dataset.generator_size - chosen, 0)
    return left if spec.unlabelled_real is None else min(left, spec.unlabelled_real)


def synthetic_count(real: int, contamination: float) -> int:
    """Synthetic images to add to `real` ones so that they are a share `contamination` of all."""
    return round(real * contamination / (1 - contamination))
