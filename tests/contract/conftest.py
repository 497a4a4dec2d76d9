from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.contract.trials import Blocks, made_up_fashion
from trainables.data.datasets import FashionMNIST
from trainables.data.generators import GENERATORS
from trainables.data.seed_block import SeedBlock, load_dataset, load_seed_block
from trainables.specs import DataSpec, Phase


@contextmanager
def quick_data(fashion: Path) -> Iterator[None]:
    """Generators that train for a moment, and a Fashion-MNIST of 500 made-up images."""
    with pytest.MonkeyPatch.context() as patch:
        for generator in GENERATORS.values():
            patch.setattr(type(generator), "steps", 25)
        patch.setattr(FashionMNIST, "folders", (fashion,))
        patch.setattr(FashionMNIST, "generator_size", 150)
        load_dataset.cache_clear()
        yield
    load_dataset.cache_clear()


@pytest.fixture(scope="session")
def fashion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fashion-mnist")
    made_up_fashion(folder, zipped=True)
    return folder


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools")


@pytest.fixture(scope="session")
def blocks(fashion_folder: Path, pools: Path) -> Blocks:
    """`load_seed_block` on quick data, each block made once."""

    @cache
    def block(spec: DataSpec, seed: int = 0, phase: Phase = "evaluate") -> SeedBlock:
        with quick_data(fashion_folder):
            return load_seed_block(spec, seed, phase, pools)

    return block


@pytest.fixture
def quick(fashion_folder: Path) -> Iterator[None]:
    """Quick data for the length of a test."""
    with quick_data(fashion_folder):
        yield


@pytest.fixture(autouse=True)
def _torch_as_found() -> Iterator[None]:
    """One thread, and torch's global switches as they were."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
