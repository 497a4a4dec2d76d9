"""Datasets, seed blocks, synthetic pools and views. The names here cost no torch."""

from __future__ import annotations

from trainables.data.datasets import DATASETS, Dataset, Images, dataset_of, is_dataset
from trainables.data.generators import GENERATORS, Generator
from trainables.data.made_elsewhere import generator_of, is_generator
from trainables.data.sizes import size_problem
from trainables.data.splits import Split, check_sizes, cut

__all__ = [
    "DATASETS",
    "GENERATORS",
    "Dataset",
    "Generator",
    "Images",
    "Split",
    "check_sizes",
    "cut",
    "dataset_of",
    "generator_of",
    "is_dataset",
    "is_generator",
    "size_problem",
]
