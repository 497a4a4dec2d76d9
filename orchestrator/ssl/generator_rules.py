"""What folders of images that stand for generators must fulfil: images that fit the dataset, and enough of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from orchestrator.check.rules import rule
from orchestrator.design.conditions import make_condition
from orchestrator.ssl.data_rules import entries
from orchestrator.study.type_messages import Finding
from orchestrator.study.yaml_source import KeyPath
from search_spaces import DATA_PREFIX, Choice
from trainables.data import dataset_of, is_dataset
from trainables.data.base import DatasetDamaged, DatasetMissing
from trainables.data.image_folder import ImagesRefused
from trainables.data.made_elsewhere import FolderGenerator, too_few
from trainables.data.pools import pool_counts
from trainables.data.splits import unlabelled_count
from trainables.specs import DataSpec, folder_of, without_place

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec


class _Use(NamedTuple):
    """A condition's use of a generator."""

    data: DataSpec
    number: int
    """Of the generator in the condition."""
    at: KeyPath
    shown: KeyPath

    @property
    def name(self) -> str:
        return self.data.generators[self.number]


def _uses(study: StudySpec) -> Iterator[_Use]:
    """Of folders, by every condition that has synthetic images."""
    conditions: list[tuple[KeyPath, DataSpec]] = []
    for at, changes in entries(study):
        with suppress(ValidationError):  # another rule's matter
            conditions.append((at, make_condition(study.data, study.training, changes).data))
    for at, data in conditions or [((), study.data)]:
        for i, name in enumerate(data.generators):
            if folder_of(name) and data.contamination and is_dataset(data.dataset):
                own = i < len(study.data.generators) and study.data.generators[i] == name
                yield _Use(data, i, *((("data", "generators", i), ("data", "generators")) if own else (at, at[:1])))


@rule("data.generators", "conditions.*")
def _folders_have_different_names(study: StudySpec) -> Iterator[Finding]:
    places: dict[str, str] = {}
    for use in _uses(study):
        first = places.setdefault(without_place(use.name), use.name)
        if first != use.name:
            message = f"{first} and {use.name} have the same name, by which tables tell them apart; rename one folder"
            yield Finding(use.at, message, use.shown)
            return


@rule("data", "training", "conditions.*", data=True)
def _folders_fit_their_datasets(study: StudySpec) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for use in _uses(study):
        pair = (use.name, use.data.dataset)
        if pair not in seen:
            seen.add(pair)
            for problem in _problems(use):
                yield Finding(use.at, problem, use.shown)


@rule("data", "training", "conditions", "search", "method", "baselines", "hyperparameters", data=True, derives=True)
def _folders_have_enough_images(study: StudySpec) -> Iterator[Finding]:
    labels = study.searched(study.method).get(f"{DATA_PREFIX}labels_per_class")
    fewest = None if labels is None else min(labels.values) if isinstance(labels, Choice) else labels.low
    said: set[str] = set()
    for use in _uses(study):
        data = use.data
        if isinstance(fewest, int):  # which leaves most images unlabelled
            data = data.model_copy(update={"labels_per_class": fewest, "validation_per_class": data.validation_size})
        images = FolderGenerator(str(folder_of(use.name)), data.dataset).images
        needed = pool_counts(data, unlabelled_count(data))[use.number]
        message = too_few(str(folder_of(use.name)), len(images), needed)
        if len(images) < needed and message not in said:
            said.add(message)
            yield Finding(use.at, message, use.shown)


def _problems(use: _Use) -> tuple[str, ...]:
    """Why the folder's images cannot be used with the condition's dataset; they stay in memory for the plan."""
    dataset = dataset_of(use.data.dataset)
    if dataset.missing():  # said of the dataset
        return ()
    try:
        FolderGenerator(str(folder_of(use.name)), use.data.dataset).images  # noqa: B018  reads
    except ImagesRefused as problem:
        return problem.problems
    except (DatasetMissing, DatasetDamaged) as problem:
        return (f"{problem}; a relative path is looked for beside the study file, then in the current folder",)
    return ()


RULES = (
    _folders_have_different_names,
    _folders_fit_their_datasets,
    _folders_have_enough_images,
)
"""In the order in which what they find is told."""
