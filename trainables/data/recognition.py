"""How well a network that learnt from real images recognises synthetic ones: what their quality is for a classifier."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache as remembered
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.code_files import PACKAGE, digest_of
from trainables.configuration import content_hash
from trainables.data.base import Dataset
from trainables.data.datasets import U8, Images
from trainables.data.fitted import State, kept
from trainables.data.generators import Progress
from trainables.data.generators import _silent as _quiet
from trainables.data.picked import ImageSet, as_picked
from trainables.data.pools import Report, _silent
from trainables.data.seed_block import SeedBlock, cut_block, load_seed_block
from trainables.environment import environment
from trainables.files import read_ordinary, write_atomically
from trainables.lazy import LazyModule
from trainables.seeds import stream_seed
from trainables.specs import DataSpec, without_place

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    torch, nn, F = LazyModule("torch"), LazyModule("torch.nn"), LazyModule("torch.nn.functional")

STEPS = 400
BATCH = 64
RATE = 3e-3
MOST_IMAGES = 5000
"""Of a pool that are looked at: the standard error of the accuracy is then below 0.7 %."""
_LARGEST_SIDE = 48
"""Larger images are averaged down first."""
_SMALLEST_SIDE = 8
_LOOKED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """Accuracies from 0 to 1, of one network that was trained on the generator part of a seed block with its labels."""

    real: float
    """On the validation part, which it has not seen."""
    synthetic: dict[str, float]
    """By generator, against the class that was asked for."""


def recognise(spec: DataSpec, seed: int, cache: Path, *, device: str, report: Report = _silent) -> Recognition:
    """Of one seed block whose pools are there or are made now; kept in the cache, the network too.

    Args:
        spec: The data condition.
        seed: The seed block.
        cache: Folder of pools.
        device: Where to compute.
        report: Called while the network trains, in steps, and while it looks at images.
    """
    block = load_seed_block(spec, seed, "tune", cache, device=device)
    path = _path(spec, seed, block, cache)
    found = _read(path)
    if found is not None:
        return found
    network = _trained(spec, seed, cache, device, report)
    synthetic = {}
    for name, images in _synthetic(spec, block).items():
        synthetic[name] = _accuracy(network, images, device, partial(report, f"looking at {name}"))
    found = Recognition(real=_accuracy(network, block.validation, device), synthetic=synthetic)
    write_atomically(path, json.dumps(asdict(found), indent=1).encode())
    return found


def known_recognition(spec: DataSpec, seed: int, cache: Path) -> Recognition | None:
    """What `recognise` found before of a seed block whose pools are there; None where it has not been asked."""
    return _read(_path(spec, seed, load_seed_block(spec, seed, "tune", cache), cache))


def _synthetic(spec: DataSpec, block: SeedBlock) -> dict[str, ImageSet]:
    """The first images of each generator, as trials see them."""
    truth = block.unlabelled
    found: dict[str, ImageSet] = {}
    for i, name in enumerate(spec.generators):
        place = np.flatnonzero(truth.generator == i)[:MOST_IMAGES]
        if len(place):
            found[without_place(name)] = truth.pool.at(place)
    return found


def _path(spec: DataSpec, seed: int, block: SeedBlock, cache: Path) -> Path:
    looked_at = {name: images.fingerprint for name, images in _synthetic(spec, block).items()}
    key = content_hash([_network_key(spec, seed), block.validation.fingerprint, looked_at])
    return cache / f"recognition-{key}.json"


def _read(path: Path) -> Recognition | None:
    try:
        raw = json.loads(read_ordinary(path))
        return Recognition(
            real=float(raw["real"]), synthetic={str(name): float(share) for name, share in raw["synthetic"].items()}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # not there, or damaged
        return None


def _network_key(spec: DataSpec, seed: int) -> str:
    _, _, split, fingerprint = cut_block(spec, seed)
    depends = {"fingerprint": fingerprint, "seed": seed, "split": content_hash(split.generator.tolist())}
    return content_hash({**depends, "source": _source(), "environment": environment()})


@remembered
def _source() -> str:
    return digest_of({"recognition.py": PACKAGE / "data" / "recognition.py"})


def _trained(spec: DataSpec, seed: int, cache: Path, device: str, report: Report) -> nn.Module:
    dataset, train, split, _ = cut_block(spec, seed)

    def train_it() -> State:
        model = _train(dataset, train.at(split.generator), stream_seed(seed, "recognition"), device, report)
        return {name: value.detach().cpu() for name, value in model.state_dict().items()}

    state = kept(cache / f"classifier-{_network_key(spec, seed)}.pt", train_it)
    with torch.random.fork_rng(devices=[]):
        model = _network(dataset)
    model.load_state_dict(state)
    return model.to(device).eval()


def _train(dataset: Dataset, part: Images, seed: int, device: str, report: Report) -> nn.Module:
    """Adam on the cross entropy, its rate up and down again (`OneCycleLR`)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _network(dataset).to(device).train()
        x, y = _pixels(part.images, device), torch.from_numpy(part.labels).to(device)
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
        for step in range(STEPS):
            if step % 20 == 0:
                report("training a classifier on real images", step, STEPS)
            place = torch.randint(len(x), (BATCH,)).to(device)
            optimiser.zero_grad()
            F.cross_entropy(model(x[place]), y[place]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    report("training a classifier on real images", STEPS, STEPS)
    return model


def _network(dataset: Dataset) -> nn.Module:
    """Convolutions with pooling until maps are small, and two full layers: [n, C, H, W] around 0 to logits [n, K]."""
    channels, height, width = dataset.image_shape
    layers: list[nn.Module] = []
    while max(height, width) > _LARGEST_SIDE:
        layers.append(nn.AvgPool2d(2, ceil_mode=True))
        height, width = -(-height // 2), -(-width // 2)
    features = 32
    while True:
        layers += [nn.Conv2d(channels, features, 3, padding=1), nn.ReLU(inplace=True)]
        channels, features = features, 64
        if min(height, width) <= _SMALLEST_SIDE and channels == 64:
            break
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
        height, width = -(-height // 2), -(-width // 2)
    layers += [nn.Flatten(), nn.Linear(channels * height * width, 128), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(128, dataset.num_classes))


def _pixels(images: U8, device: str) -> Tensor:
    return torch.from_numpy(images).to(device).float() / 127.5 - 1


def _accuracy(network: nn.Module, images: ImageSet, device: str, progress: Progress = _quiet) -> float:
    """Share of the images that it takes for what their label says."""
    picked = as_picked(images)
    labels, right = picked.labels, 0
    for start in range(0, len(picked), _LOOKED_AT_ONCE):
        progress(start, len(picked))
        with torch.no_grad():
            logits = network(_pixels(picked.pixels(start, start + _LOOKED_AT_ONCE), device))
        right += int((logits.argmax(1).cpu().numpy() == labels[start : start + len(logits)]).sum())
    return right / len(picked)
