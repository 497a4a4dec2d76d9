"""What a network that learnt from real images makes of synthetic ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.contract.trials import data_spec
from trainables.data import DATASETS, recognition
from trainables.data.base import Dataset
from trainables.data.datasets import Images
from trainables.data.pools import pool_path
from trainables.data.recognition import known_recognition, recognise
from trainables.data.seed_block import block_pools, make_pools

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "STEPS", 40)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the networks that were trained."""
    seen: list[int] = []
    train = recognition._train

    def spy(dataset: Dataset, part: Images, seed: int, *others: object) -> torch.nn.Module:
        seen.append(seed)
        return train(dataset, part, seed, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(recognition, "_train", spy)
    return seen


def replace_pool(cache: Path, change: object, place: int = 0) -> None:
    """Put other images or labels into the file of a pool of seed block 0."""
    path = pool_path(cache, block_pools(data_spec(), 0)[place])
    with np.load(path) as file:
        images, labels = change(file["images"], file["labels"])  # type: ignore[operator]
    np.savez(path, images=images, labels=labels, fingerprint=Images(images=images, labels=labels).fingerprint)


def test_real_images_in_the_place_of_synthetic_ones_are_recognised_and_noise_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "STEPS", 250)
    spec = data_spec()
    make_pools(spec, 0, tmp_path, device="cpu")
    train, _ = DATASETS["digits"].load()
    rng = np.random.default_rng(0)

    def real(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = rng.permutation(len(train))[: len(labels)]
        return train.images[place], train.labels[place]

    def noise(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, images.shape, dtype=np.uint8), labels

    replace_pool(tmp_path, real, 0)
    replace_pool(tmp_path, noise, 1)
    found = recognise(spec, 0, tmp_path, device="cpu")
    assert found.real > 0.8
    assert found.synthetic["vae"] > 0.85
    assert found.synthetic["flow"] < 0.25


def test_accuracy_is_the_share_of_labels_that_come_out(tmp_path: Path) -> None:
    network = torch.nn.Flatten()  # the brightest of four pixels is the class
    images = np.zeros((1201, 1, 2, 2), np.uint8)
    answers = np.arange(1201) % 4
    images.reshape(1201, 4)[np.arange(1201), answers] = 200
    labels = answers.copy()
    labels[:400] = (labels[:400] + 1) % 4
    seen: list[tuple[int, int]] = []
    share = recognition._accuracy(
        network, Images(images=images, labels=labels), "cpu", lambda done, total: seen.append((done, total))
    )
    assert share == 801 / 1201
    assert seen == [(0, 1201), (500, 1201), (1000, 1201)]


def test_it_is_found_out_once_and_a_seed_has_one_network(tmp_path: Path, trainings: list[int]) -> None:
    spec, more = data_spec(contamination=0.3), data_spec(contamination=0.6)
    for s in (spec, more):
        make_pools(s, 0, tmp_path, device="cpu")
    assert known_recognition(spec, 0, tmp_path) is None
    seen: list[tuple[str, int, int]] = []
    found = recognise(spec, 0, tmp_path, device="cpu", report=lambda *said: seen.append(said))
    assert list(found.synthetic) == ["vae", "flow"]
    assert [doing for doing, done, total in seen if done == total] == ["training a classifier on real images"]
    assert {doing for doing, _, _ in seen} == {
        "training a classifier on real images",
        "looking at vae",
        "looking at flow",
    }
    assert known_recognition(spec, 0, tmp_path) == recognise(spec, 0, tmp_path, device="cpu") == found
    assert known_recognition(more, 0, tmp_path) is None
    recognise(more, 0, tmp_path, device="cpu")
    assert len(trainings) == 1
    recognise(data_spec(), 1, tmp_path, device="cpu")
    assert len(set(trainings)) == 2


def test_the_seed_fixes_it_and_the_random_state_of_the_process_stays(tmp_path: Path) -> None:
    make_pools(data_spec(), 0, tmp_path, device="cpu")
    before = torch.get_rng_state()
    found = recognise(data_spec(), 0, tmp_path, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    for path in [*tmp_path.glob("classifier-*.pt"), *tmp_path.glob("recognition-*.json")]:
        path.unlink()
    assert recognise(data_spec(), 0, tmp_path, device="cpu") == found


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"real": "x", "synthetic": {}}', b'{"real": 1, "synthetic": 3}']
)
def test_a_damaged_file_is_made_again(content: bytes, tmp_path: Path, trainings: list[int]) -> None:
    make_pools(data_spec(), 0, tmp_path, device="cpu")
    found = recognise(data_spec(), 0, tmp_path, device="cpu")
    (path,) = tmp_path.glob("recognition-*.json")
    (network,) = tmp_path.glob("classifier-*.pt")
    path.write_bytes(content)
    network.write_bytes(network.read_bytes()[:-1])
    assert known_recognition(data_spec(), 0, tmp_path) is None
    assert recognise(data_spec(), 0, tmp_path, device="cpu") == found
    assert len(trainings) == 2


def test_other_images_are_looked_at_anew(tmp_path: Path) -> None:
    make_pools(data_spec(), 0, tmp_path, device="cpu")
    recognise(data_spec(), 0, tmp_path, device="cpu")
    replace_pool(tmp_path, lambda images, labels: (255 - images, labels))
    assert known_recognition(data_spec(), 0, tmp_path) is None


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 96, 96), (3, 30, 47), (3, 5, 9), (3, 224, 3)]
)
def test_the_network_takes_images_of_every_size(shape: tuple[int, int, int]) -> None:
    class Made(Dataset):
        image_shape = shape
        classes = ("a", "b", "c")

    network = recognition._network(Made())
    assert network(torch.zeros(2, *shape)).shape == (2, 3)
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
