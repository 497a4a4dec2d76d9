"""Fitted generators: trained once per seed block and kept, so that pools of every size are drawn from one training."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.code_files import PACKAGE, digest_of, files_behind
from trainables.configuration import content_hash
from trainables.data.datasets import Images
from trainables.data.generators import GENERATORS, Progress, _silent
from trainables.environment import environment
from trainables.files import append_digest, read_ordinary, replacing, without_digest
from trainables.lazy import LazyModule
from trainables.seeds import stream_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")


State = dict[str, "Tensor"]
"""Of a network, by name."""


class FitDamaged(Exception):
    """A file that holds no fitted generator, or not the one that was written."""


@dataclass(frozen=True, kw_only=True)
class FitSpec:
    """One generator trained on one generator part; how many images are drawn from it is no matter here."""

    fingerprint: str
    """Of the dataset."""
    generator: str
    seed: int
    split: str
    """Hash of the generator part."""

    @property
    def key(self) -> str:
        """Content hash that names the file."""
        return content_hash({**self.__dict__, "source": _source(), "environment": environment()})

    @property
    def stream(self) -> int:
        """Seed of the training, and of the draws that follow."""
        return stream_seed(self.seed, "generator", self.generator)


@cache
def _source() -> str:
    """Of the files that decide what a generator learns."""
    generators = PACKAGE / "data" / "generators.py"
    files = files_behind("trainables.data.generators", generators) | {PACKAGE / "data" / "fitted.py"}
    return digest_of({p.relative_to(PACKAGE).as_posix(): p for p in files})


def fit_path(cache: Path, fit: FitSpec) -> Path:
    """Where the fitted generator is kept."""
    return cache / f"generator-{fit.generator}-{fit.key}.pt"


def load_fit(
    fit: FitSpec, train: Images, cache: Path, *, num_classes: int, device: str, progress: Progress = _silent
) -> State:
    """The fitted generator's state, on the CPU; trained and kept if it is not there or damaged.

    Two processes that find it missing at the same time both train it, to the same bits on one kind of device; the file is
    whole at every moment.

    Args:
        fit: What to train.
        train: The generator part of the dataset.
        cache: Folder of pools, shared by studies.
        num_classes: K.
        device: A torch device.
        progress: Called while the generator trains.
    """
    kind = GENERATORS[fit.generator]

    def train_it() -> State:
        return kind.fit(train, num_classes=num_classes, seed=fit.stream, device=device, progress=progress)

    return kept(fit_path(cache, fit), train_it)


def kept(path: Path, make: Callable[[], State]) -> State:
    """The state in this file; where it is not there or damaged, the one that `make` gives, which is then written."""
    try:
        return read_fit(path)
    except (FileNotFoundError, FitDamaged):
        pass
    state = make()
    with replacing(path) as temporary:
        torch.save(state, temporary)
        append_digest(temporary)
    return state


def read_fit(path: Path) -> State:
    """The state in this file; code in it is never run. Raises FileNotFoundError and FitDamaged."""
    try:
        content = io.BytesIO(without_digest(read_ordinary(path)))
        state: State = torch.load(content, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as problem:  # torch.load raises most kinds of exception on damaged bytes
        raise FitDamaged(f"{path}: not a fitted generator ({type(problem).__name__})") from problem
    return state
