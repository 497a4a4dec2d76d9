from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.contract.made_up import made_up_data, use_made_up_data
from tests.contract.trials import Blocks
from trainables.data.generators import GENERATORS
from trainables.data.seed_block import SeedBlock, load_dataset, load_seed_block
from trainables.specs import DataSpec, Phase


@contextmanager
def quick_data(made_up: Path) -> Iterator[None]:
    """Generators that train for a moment, and small made-up datasets in place of all that do not come with a package."""
    with pytest.MonkeyPatch.context() as patch:
        for generator in GENERATORS.values():
            patch.setattr(type(generator), "steps", 25)
        use_made_up_data(patch, made_up)
        load_dataset.cache_clear()
        yield
    load_dataset.cache_clear()


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made-up")
    made_up_data(folder)
    return folder


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools")


@pytest.fixture(scope="session")
def blocks(made_up: Path, pools: Path) -> Blocks:
    """`load_seed_block` on quick data, each block made once."""

    @cache
    def block(spec: DataSpec, seed: int = 0, phase: Phase = "evaluate") -> SeedBlock:
        with quick_data(made_up):
            return load_seed_block(spec, seed, phase, pools)

    return block


@pytest.fixture
def quick(made_up: Path) -> Iterator[None]:
    """Quick data for the length of a test."""
    with quick_data(made_up):
        yield


@pytest.fixture(autouse=True)
def _torch_as_found() -> Iterator[None]:
    """One thread, and torch's global switches as they were."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
