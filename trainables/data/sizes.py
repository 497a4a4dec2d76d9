"""Whether a dataset is large enough for a data condition, judged before anything is cut."""

from __future__ import annotations

import math

from trainables.data.base import DatasetDamaged, DatasetMissing
from trainables.data.datasets import dataset_of
from trainables.data.splits import check_sizes, too_few_unlabelled
from trainables.specs import DataSpec


def size_problem(spec: DataSpec) -> str | None:
    """None where the dataset is large enough for `spec` in every seed block; else a sentence with the limit.

    As `check_sizes`; where classes are uneven, judged by the smallest one, less four standard deviations for what the
    random test and generator parts take of it. None too for a folder that cannot be looked at, which is another rule's matter.
    """
    dataset = dataset_of(spec.dataset)
    try:
        smallest = dataset.smallest_class
        if smallest is None:
            return check_sizes(spec)
        taken = (dataset.generator_size + (0 if dataset.official_test else dataset.test_size)) / dataset.size
    except (DatasetMissing, DatasetDamaged):
        return None
    most = max(int(smallest * (1 - taken) - 4 * math.sqrt(smallest * taken * (1 - taken))), 0)
    wanted = spec.labels_per_class + spec.validation_size
    if wanted <= most:
        return too_few_unlabelled(spec)
    return (
        f"{spec.labels_per_class} labelled and {spec.validation_size} validation images per class are {wanted}, but the "
        f"smallest class of {dataset.title} has {smallest:,} images, with room for {most} beside the test and generator parts"
    )
