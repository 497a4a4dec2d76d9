"""A folder of images that the user made elsewhere, as one of a condition's generators."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.common.folders import StudyFolders
from orchestrator.ssl.pools import save_sample
from results.figures.data import load_pictures
from tests.contract.made_up import made_up_folder, made_up_images, picture
from tests.contract.trials import data_spec
from trainables.data import DATASETS, generator_of, made_elsewhere
from trainables.data.base import DatasetDamaged
from trainables.data.datasets import Images
from trainables.data.made_elsewhere import FolderGenerator, joint_fingerprint, made_fingerprints
from trainables.data.pools import pool_path, read_pool
from trainables.data.seed_block import (
    block_pools,
    data_fingerprint,
    load_dataset,
    load_seed_block,
    make_pools,
    missing_fits,
    missing_pools,
)
from trainables.data.shared_images import SharedBlock
from trainables.specs import DataSpec

pytestmark = pytest.mark.usefixtures("quick")
CLASSES = DATASETS["digits"].classes


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    made_elsewhere._read.cache_clear()


def write(root: Path, count: int = 200, *, seed: int = 3) -> Path:
    """A folder of so many 8×8 images of digits."""
    images, labels = made_up_images(count, 10, (1, 8, 8), seed)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        picture(image).save(folder / f"{i:04}.png")
    return root


def spec(*generators: str | Path, **changes: Any) -> DataSpec:
    names = tuple(f"folder:{g}" if isinstance(g, Path) else g for g in generators)
    return data_spec(generators=names, **{"contamination": 0.1, **changes})


def pixels(images: Images) -> list[tuple[int, bytes]]:
    return [(int(k), i.tobytes()) for k, i in zip(images.labels, images.images, strict=True)]


def test_a_pool_is_a_sample_without_replacement_of_the_folders_images(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    found = spec(folder)
    assert missing_fits(found, 0, tmp_path / "cache") == []
    (pool,) = make_pools(found, 0, tmp_path / "cache", device="cpu")
    there = pixels(FolderGenerator(str(folder), "digits").images)
    assert len(set(pixels(pool))) == len(pool) > 50
    assert set(pixels(pool)) < set(there)
    counts = np.bincount(pool.labels, minlength=10)
    assert counts.max() - counts.min() <= 1
    (other,) = make_pools(found, 1, tmp_path / "cache", device="cpu")
    assert set(pixels(other)) != set(pixels(pool)), "another seed, another sample"
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".npz", ".npz"]


def test_beside_a_trained_generator_each_makes_its_share(tmp_path: Path) -> None:
    found = spec("vae", write(tmp_path / "mine"))
    block = load_seed_block(found, 0, "tune", tmp_path / "cache")
    parts = block.provenance["synthetic"]
    assert list(parts) == ["vae", "folder:mine"]
    assert abs(parts["vae"]["images"] - parts["folder:mine"]["images"]) <= 1
    assert not missing_pools(found, 0, tmp_path / "cache")


def test_a_skew_is_met_as_far_as_there_are_images(tmp_path: Path) -> None:
    kind = generator_of(f"folder:{write(tmp_path / 'mine')}", "digits")
    few, all_of_them = (np.bincount(kind.labels(n, 10, skew=10.0, seed=1), minlength=10) for n in (60, 200))
    assert few.max() >= 5 * few.min()
    assert few.max() <= 20
    assert all_of_them.tolist() == [20] * 10


def test_uneven_classes_fill_up_from_those_that_have_images(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    for path in sorted((folder / "3").iterdir())[2:]:
        path.unlink()
    kind = generator_of(f"folder:{folder}", "digits")
    there = 9 * 20 + 2
    for count in (0, 5, 20, 21, 100, there):
        counts = np.bincount(kind.labels(count, 10), minlength=10)
        assert counts.sum() == count
        assert counts[3] == min(2, counts[0])
        rest = np.delete(counts, 3)
        assert rest.max() - rest.min() <= 1
        assert np.array_equal(kind.labels(count, 10), kind.labels(there, 10)[:count])
    with pytest.raises(DatasetDamaged, match=rf"^{folder}: 182 images where 183 are needed .*add images"):
        kind.labels(there + 1, 10)
    with pytest.raises(DatasetDamaged, match=rf"^{folder}/3: 2 images where 3 are needed"):
        kind.draw({}, np.full(3, 3), shape=(1, 8, 8), num_classes=10, seed=0, device="cpu")


def test_content_counts_and_the_place_does_not(tmp_path: Path) -> None:
    one, other = write(tmp_path / "here" / "mine"), write(tmp_path / "there" / "mine")
    here, there = spec(one), spec(other)
    assert here != there
    assert here.identity() == there.identity()
    assert data_fingerprint(here) == data_fingerprint(there)
    (first,), (second,) = block_pools(here, 0), block_pools(there, 0)
    assert pool_path(tmp_path, first) == pool_path(tmp_path, second)
    (made,) = make_pools(here, 0, tmp_path / "a", device="cpu")
    (again,) = make_pools(there, 0, tmp_path / "b", device="cpu")
    assert made.fingerprint == again.fingerprint

    made_elsewhere._read.cache_clear()
    picture(np.full((1, 8, 8), 9, np.uint8)).save(other / "0" / "another.png")
    assert data_fingerprint(here) != data_fingerprint(there)
    assert pool_path(tmp_path, block_pools(there, 0)[0]) != pool_path(tmp_path, first)
    made_elsewhere._read.cache_clear()
    (other / "0" / "another.png").rename(other / "1" / "another.png")
    assert data_fingerprint(here) != data_fingerprint(there)


def test_without_a_folder_the_fingerprint_is_the_datasets(tmp_path: Path) -> None:
    fingerprint = load_dataset("digits")[2]
    assert data_fingerprint(spec("vae")) == joint_fingerprint(fingerprint, ()) == fingerprint
    assert data_fingerprint(spec(tmp_path / "nowhere", contamination=0.0)) == fingerprint, "nothing is taken from it"
    assert data_spec().identity() == data_spec().values()


def test_a_trial_knows_the_folder_from_files_and_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = spec(write(tmp_path / "mine"))
    theirs = load_seed_block(found, 0, "tune", tmp_path / "cache")
    assert theirs.provenance["fingerprint"] == data_fingerprint(found)
    train, _, fingerprint = load_dataset("digits")
    objects = [(train, fingerprint), read_pool(pool_path(tmp_path / "cache", block_pools(found, 0)[0]))]
    monkeypatch.setattr(
        "trainables.data.shared_images.ray.get", lambda refs, timeout: [objects[r] for r in refs], raising=False
    )
    shared = pickle.loads(pickle.dumps(SharedBlock(train=0, pools=[1], made=made_fingerprints(found))))
    ours = load_seed_block(found, 0, "tune", tmp_path / "nowhere", shared=shared)
    assert ours.provenance == theirs.provenance


def test_its_images_are_shown_under_its_name(tmp_path: Path) -> None:
    found = spec("pca", write(tmp_path / "mine"))
    folders = StudyFolders(tmp_path / "runs", "s")
    save_sample(folders, found, 0)
    grid = load_pictures(folders.study)
    assert grid is not None
    assert [s.title for s in grid.sources] == ["real", "synthetic: folder:mine", "synthetic: pca"]


def test_colour_images_serve_a_colour_dataset(tmp_path: Path) -> None:
    known = DATASETS["cifar-10"]
    made_up_folder(tmp_path, classes=known.classes, train=40, test=0, shape=known.image_shape)
    state = torch.get_rng_state()
    kind = generator_of(f"folder:{tmp_path / 'train'}", "cifar-10")
    drawn = kind.draw({}, kind.labels(30, 10), shape=(3, 32, 32), num_classes=10, seed=0, device="cpu")
    assert drawn.shape == (30, 3, 32, 32)
    assert torch.equal(torch.get_rng_state(), state)
