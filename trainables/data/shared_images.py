"""A seed block's images in Ray's object store: they travel once to each node, and all processes there read the same memory.

Whoever puts them there hands out references (`SharedBlock`); Ray gives every process of a node read-only arrays that lie in
the store itself. What the store no longer has is read from the files, to the same bits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainables.data.datasets import Images, dataset_of
from trainables.data.splits import test_places
from trainables.lazy import LazyModule
from trainables.specs import Phase

if TYPE_CHECKING:
    import ray
else:  # who reads files needs none
    ray = LazyModule("ray")

LONGEST_WAIT = 600.0
"""Seconds for images to arrive from another node; after that, a trial reads the files."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockImages:
    """All arrays that a seed block is cut from, as a trial of one phase may see them."""

    train: Images
    fingerprint: str
    """Of the whole dataset."""
    pools: tuple[Images, ...]
    test: Images | None
    """None in the tune phase."""
    made: tuple[str, ...] = ()
    """Fingerprints of the folders that stand for generators."""


class SharedBlock:
    """References to the arrays of one seed block. One for the tune phase has none to the test part.

    It may lie in the configuration of a Tune trial: Tune's deep copies of it are itself, so that `release` reaches them. All
    such objects are equal, for which of them a seed block was read through makes no difference to what was read.

    Args:
        train: Refers to the training images, test images blanked (`sealed`), and the dataset's fingerprint.
        pools: Refer to the synthetic pools, in the order of the generators.
        test: Refers to the test part.
        made: Fingerprints of the folders that stand for generators.
    """

    def __init__(
        self,
        *,
        train: ray.ObjectRef,
        pools: Sequence[ray.ObjectRef],
        test: ray.ObjectRef | None = None,
        made: tuple[str, ...] = (),
    ) -> None:
        self.train: Any = train
        self.pools: tuple[Any, ...] = tuple(pools)
        self.test: Any = test
        self.made = made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedBlock)

    def __hash__(self) -> int:
        return 0

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedBlock:
        return self

    def __repr__(self) -> str:
        return "SharedBlock()"

    def release(self) -> None:
        """Let go of the references; `read` then finds nothing."""
        self.train, self.pools, self.test = None, (), None

    def read(self, phase: Phase) -> BlockImages | None:
        """The arrays, read-only and in the object store; None where it does not have all that a trial of `phase` needs.

        The test part is fetched in the evaluate phase only.
        """
        wanted = [self.train, *self.pools, *([self.test] if phase == "evaluate" else [])]
        if any(reference is None for reference in wanted):
            return None
        try:
            (train, fingerprint), *others = ray.get(wanted, timeout=LONGEST_WAIT)
        except ray.exceptions.RayError as problem:  # lost with its node, freed, or never arrived
            _log.warning("images are read from files, for the object store has them no longer: %s", problem)
            return None
        test = others.pop() if phase == "evaluate" else None
        return BlockImages(train=train, fingerprint=fingerprint, pools=tuple(others), test=test, made=self.made)


def sealed(name: str, train: Images, test: Images | None) -> tuple[Images, Images]:
    """Training images without any test image among them, and the test part.

    Where a dataset has no official test part, its test images lie among the training images: there they become black, with
    label -1, so that places stay what they are and a process that holds the training images holds no test label.
    """
    if test is not None:
        return train, test
    place = test_places(dataset_of(name), len(train))
    images, labels = train.images.copy(), train.labels.copy()
    images[place], labels[place] = 0, -1
    return Images(images=images, labels=labels), train.at(place)
