"""What holds for every generator and for the pools that they fill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.made_up import made_up_folder
from tests.contract.trials import data_spec
from trainables import code_files
from trainables.data import DATASETS, GENERATORS, generator_networks, generator_of
from trainables.data import pools as pools_module
from trainables.data.datasets import Images
from trainables.data.faults import with_faults
from trainables.data.fitted import fit_path
from trainables.data.generators import DRAWN_AT_ONCE, Generator, wanted_classes
from trainables.data.pools import PoolSpec, load_pool, pool_path, pool_specs
from trainables.data.seed_block import cut_block, load_seed_block, make_fit, make_pools, missing_fits, missing_pools
from trainables.data.splits import synthetic_count
from trainables.seeds import stream_seed

pytestmark = pytest.mark.usefixtures("quick")
every_generator = pytest.mark.parametrize("name", GENERATORS)


every_source = pytest.mark.parametrize("name", [*GENERATORS, "folder"])
"""Also a folder of images that were made elsewhere."""


@pytest.fixture(params=["digits", "fashion-mnist"])
def dataset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def part(dataset: str) -> Images:
    """The generator part of a seed block."""
    _, train, split, _ = cut_block(data_spec(dataset), 0)
    return train.at(split.generator)


@pytest.fixture
def kind(name: str, dataset: str, tmp_path: Path) -> Generator:
    """The generator of this name; for `folder`, one of 400 images."""
    if name != "folder":
        return GENERATORS[name]
    known = DATASETS[dataset]
    made_up_folder(tmp_path, classes=known.classes, train=400, test=0, shape=known.image_shape)
    return generator_of(f"folder:{tmp_path / 'train'}", dataset)


def fit_and_draw(
    kind: Generator, part: Images, labels: np.ndarray, *, num_classes: int = 10, seed: int = 0, **changes: Any
) -> np.ndarray:
    given: dict[str, Any] = {"num_classes": num_classes, "seed": seed, "device": "cpu", **changes}
    state = kind.fit(part, **given)
    return kind.draw(state, labels, shape=part.images.shape[1:], **given)  # type: ignore[arg-type]


@every_source
def test_one_image_for_each_label_in_the_shape_of_the_real_ones(kind: Generator, part: Images) -> None:
    images = fit_and_draw(kind, part, np.array([3, 1, 4, 1, 5]))
    assert images.dtype == np.uint8
    assert images.shape == (5, *part.images.shape[1:])
    assert images.flags.c_contiguous
    assert images.std() > 0


@every_source
def test_no_labels_no_images(kind: Generator, part: Images) -> None:
    assert fit_and_draw(kind, part, np.empty(0, np.int64)).shape == (0, *part.images.shape[1:])


@every_source
def test_classes_are_even_and_a_larger_count_begins_with_a_smaller(kind: Generator, part: Images) -> None:
    most = kind.labels(333, 10)
    for count in (0, 1, 9, 10, 27, 333):
        labels = kind.labels(count, 10)
        assert labels.dtype == np.int64
        assert np.array_equal(labels, most[:count])
        asked = np.bincount(labels, minlength=10)
        assert asked.max() - asked.min() <= 1


@every_source
def test_the_seed_fixes_every_pixel_and_the_random_state_of_the_process_stays(kind: Generator, part: Images) -> None:
    labels = np.arange(12) % 10
    before = torch.get_rng_state()
    first = fit_and_draw(kind, part, labels, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert np.array_equal(fit_and_draw(kind, part, labels, seed=7), first)
    assert not np.array_equal(fit_and_draw(kind, part, labels, seed=8), first)


@every_generator
def test_images_are_made_and_not_copied(kind: Generator, part: Images) -> None:
    labels = np.arange(40) % 10
    images = fit_and_draw(kind, part, labels).reshape(40, -1).astype(int)
    real = part.images.reshape(len(part), -1).astype(int)
    nearest = np.abs(images[:, None] - real[None]).max(axis=2).min(axis=1)
    assert nearest.min() > 0
    assert len(np.unique(images, axis=0)) > 30


@every_generator
def test_training_and_drawing_say_how_far_they_are(kind: Generator, part: Images) -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    state = kind.fit(part, num_classes=10, seed=0, device="cpu", progress=progress)
    assert seen == [(0, 25), (25, 25)]
    seen.clear()
    labels, shape = np.arange(2 * DRAWN_AT_ONCE + 3) % 10, part.images.shape[1:]
    kind.draw(state, labels, shape=shape, num_classes=10, seed=0, device="cpu", progress=progress)  # type: ignore[arg-type]
    assert seen == [(n, len(labels)) for n in (0, DRAWN_AT_ONCE, 2 * DRAWN_AT_ONCE, len(labels))]


@every_generator
def test_a_generator_learns_the_class_that_it_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(GENERATORS[name]), "steps", 150)
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    images = np.where(labels[:, None, None, None] == 1, 230, 20) + rng.integers(-20, 20, (200, 1, 8, 8))
    part = Images(images=images.astype(np.uint8), labels=labels.astype(np.int64))
    drawn = fit_and_draw(GENERATORS[name], part, np.array([0] * 20 + [1] * 20), num_classes=2)
    brightness = drawn.reshape(40, -1).mean(axis=1)
    assert brightness[:20].mean() < 80 < 170 < brightness[20:].mean()


@every_source
def test_a_larger_pool_begins_with_the_smaller_one(kind: Generator, part: Images) -> None:
    shape = part.images.shape[1:]
    state = kind.fit(part, num_classes=10, seed=0, device="cpu")

    def draw(n: int) -> np.ndarray:
        return kind.draw(state, np.arange(n) % 10, shape=shape, num_classes=10, seed=0, device="cpu")

    assert np.array_equal(draw(DRAWN_AT_ONCE + 30)[:DRAWN_AT_ONCE], draw(DRAWN_AT_ONCE))


def test_a_gaussian_has_the_mean_and_the_spread_of_its_class() -> None:
    """Against NumPy's own mean and covariance, of a class that lies in few directions."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(3, 64))
    pixels = 128 + rng.normal(size=(300, 3)) @ directions * 12
    images = Images(
        images=pixels.clip(0, 255).round().astype(np.uint8).reshape(-1, 1, 8, 8), labels=np.zeros(300, np.int64)
    )
    drawn = fit_and_draw(GENERATORS["pca"], images, np.zeros(4000, np.int64), num_classes=1)
    found, expected = (a.reshape(len(a), 64).astype(float) for a in (drawn, images.images))
    assert np.abs(found.mean(0) - expected.mean(0)).max() < 2
    difference = np.cov(found.T) - np.cov(expected.T)
    assert np.linalg.norm(difference) < 0.1 * np.linalg.norm(np.cov(expected.T))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 30, 33), (3, 96, 96), (1, 8, 8)])
def test_a_velocity_has_the_shape_of_its_images(shape: tuple[int, int, int]) -> None:
    model = generator_networks.velocity(shape, 4, 16)
    points, label = torch.randn(2, *shape), torch.eye(4)[:2]
    assert model(points, torch.rand(2, 1), label).shape == points.shape
    assert isinstance(model, generator_networks.UNet) == (min(shape[1:]) >= 28)


@pytest.mark.parametrize("contamination", [0.0, 0.3, 0.9])
def test_a_pool_has_the_share_of_synthetic_images_that_was_asked_for(contamination: float, pools: Path) -> None:
    spec = data_spec(contamination=contamination)
    block = load_seed_block(spec, 0, "tune", pools)
    synthetic = block.unlabelled.generator >= 0
    assert synthetic.mean() == pytest.approx(contamination, abs=0.5 / len(synthetic))
    sizes = [int((block.unlabelled.generator == i).sum()) for i in range(len(spec.generators))]
    assert max(sizes) - min(sizes) <= 1
    assert list(block.provenance["synthetic"]) == (list(spec.generators) if contamination else [])
    for i, name in enumerate(spec.generators[: len(block.provenance["synthetic"])]):
        assert block.provenance["synthetic"][name]["images"] == sizes[i]
        asked = np.bincount(block.unlabelled.pool.labels[block.unlabelled.generator == i], minlength=10)
        assert asked.max() - asked.min() <= 1


def test_real_images_stay_the_same_when_contamination_grows(pools: Path) -> None:
    def real(contamination: float) -> tuple[np.ndarray, ...]:
        block = load_seed_block(data_spec(contamination=contamination), 0, "evaluate", pools)
        assert block.test is not None
        pool, origin = block.unlabelled.pool, block.unlabelled.generator
        unlabelled = pool.images[origin < 0].reshape(-1, 64)
        return np.unique(unlabelled, axis=0), block.labelled.images, block.validation.images, block.test.images

    for clean, polluted in zip(real(0.0), real(0.9), strict=True):
        assert np.array_equal(clean, polluted)


@pytest.mark.parametrize("skew", [1.0, 3.0, 100.0])
def test_classes_that_are_asked_for_fall_geometrically(skew: float) -> None:
    asked = wanted_classes(5000, 10, skew=skew, seed=4)
    assert np.array_equal(wanted_classes(700, 10, skew=skew, seed=4), asked[:700])
    counts = np.sort(np.bincount(asked, minlength=10))[::-1]
    expected = skew ** -(np.arange(10) / 9)
    assert np.abs(counts - 5000 * expected / expected.sum()).max() <= 10
    if skew > 1:
        other = np.bincount(wanted_classes(5000, 10, skew=skew, seed=5), minlength=10)
        assert other.tolist() != np.bincount(asked, minlength=10).tolist(), "the seed says which class is common"


def test_faults_and_skew_are_in_the_pool_that_trials_read(pools: Path) -> None:
    plain, skewed, faulty = (
        load_seed_block(data_spec(**c), 0, "tune", pools)
        for c in ({}, {"class_skew": 20.0}, {"domain_gap": 0.5, "semantic_drift": 0.3})
    )
    made = [b.unlabelled.generator >= 0 for b in (plain, skewed, faulty)]
    counts = np.bincount(skewed.unlabelled.pool.labels[made[1]], minlength=10)
    assert counts.max() > 5 * counts.min()
    assert np.array_equal(plain.unlabelled.pool.labels, faulty.unlabelled.pool.labels)
    assert np.array_equal(plain.unlabelled.pool.images[~made[0]], faulty.unlabelled.pool.images[~made[2]])
    assert (
        not (plain.unlabelled.pool.images[made[0]] == faulty.unlabelled.pool.images[made[2]]).all(axis=(1, 2, 3)).any()
    )
    for i, name in enumerate(faulty.provenance["synthetic"]):
        assert faulty.provenance["synthetic"][name]["hash"] != plain.provenance["synthetic"][name]["hash"], i


def test_a_faulty_pool_is_made_from_the_one_that_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, part = a_pool()
    drawn = load_pool(pool, part, tmp_path)
    monkeypatch.setattr(type(GENERATORS[pool.generator]), "fit", None)
    monkeypatch.setattr(type(GENERATORS[pool.generator]), "draw", None)
    faults = (("semantic_drift", 0.5), ("domain_gap", 0.2))
    made = load_pool(replace(pool, faults=faults), part, tmp_path)
    stream = stream_seed(pool.seed, "generator", pool.generator)
    assert np.array_equal(made.images, with_faults(drawn.images, drawn.labels, dict(faults), seed=stream))
    assert np.array_equal(made.labels, drawn.labels)


def test_an_images_place_says_nothing_about_its_origin(pools: Path) -> None:
    synthetic = load_seed_block(data_spec(), 0, "tune", pools).unlabelled.generator >= 0
    halves = synthetic[: len(synthetic) // 2].mean(), synthetic[len(synthetic) // 2 :].mean()
    assert abs(halves[0] - halves[1]) < 0.1


def a_pool(**changes: Any) -> tuple[PoolSpec, Images]:
    spec = data_spec(generators=("vae",))
    _, train, split, fingerprint = cut_block(spec, 0)
    (pool,) = pool_specs(spec, split, fingerprint, 0)
    return PoolSpec(**{**pool.__dict__, "count": 15, **changes}), train.at(split.generator)


def test_a_pool_is_made_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, part = a_pool()
    made = load_pool(pool, part, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([pool_path(tmp_path, pool), fit_path(tmp_path, pool.fit)])

    def never(*_: object, **__: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(Generator, "fit", never)
    monkeypatch.setattr(Generator, "draw", never)
    assert load_pool(pool, part, tmp_path).fingerprint == made.fingerprint


def test_a_pools_file_is_named_by_all_that_it_depends_on(tmp_path: Path) -> None:
    pool, _ = a_pool()
    changes = {
        "dataset": "fashion-mnist",
        "fingerprint": "x",
        "generator": "flow",
        "seed": 1,
        "count": 16,
        "split": "x",
        "class_skew": 2.0,
        "faults": (("domain_gap", 0.1),),
        "made": "x",
    }
    assert changes.keys() == pool.__dict__.keys()
    paths = {pool_path(tmp_path, a_pool(**{name: value})[0]) for name, value in changes.items()}
    assert len(paths | {pool_path(tmp_path, pool)}) == len(changes) + 1


def test_a_pool_is_made_anew_where_its_code_or_versions_changed_and_not_where_an_algorithm_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, _ = a_pool()
    before = pool_path(tmp_path, pool)
    touched = {"algorithms/rsmatch.py": False, "training.py": False}
    touched |= {
        "data/made_elsewhere.py": True,
        "data/fitted.py": True,
        "data/generators.py": True,
        "data/generator_networks.py": True,
    }
    for name, anew in touched.items():
        with monkeypatch.context() as patch:
            path = code_files.PACKAGE / name
            patch.setitem(code_files._contents, path, code_files.content(path) + b"\n")
            pools_module._source.cache_clear()
            assert (pool_path(tmp_path, pool) != before) == anew
    pools_module._source.cache_clear()
    assert pool_path(tmp_path, pool) == before
    monkeypatch.setattr(pools_module, "environment", lambda: "torch 1.0.0")
    assert pool_path(tmp_path, pool) != before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_pool_is_made_again(data: st.DataObject, tmp_path: Path) -> None:
    pool, part = a_pool(count=3)
    path = pool_path(tmp_path, pool)
    made = load_pool(pool, part, tmp_path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
            content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert load_pool(pool, part, tmp_path).fingerprint == made.fingerprint
    assert load_pool(pool, part, tmp_path).fingerprint == made.fingerprint
    assert sorted(tmp_path.iterdir()) == sorted([path, fit_path(tmp_path, pool.fit)])


def test_a_pool_with_code_in_it_is_made_again_and_the_code_not_run(tmp_path: Path) -> None:
    pool, part = a_pool(count=3)
    made = load_pool(pool, part, tmp_path)
    hit = tmp_path / "hit"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.mkdir, (hit,)

    images = np.empty(1, object)
    images[0] = Payload()
    np.savez(pool_path(tmp_path, pool), images=images, labels=made.labels, fingerprint=made.fingerprint)
    assert load_pool(pool, part, tmp_path).fingerprint == made.fingerprint
    assert not hit.exists()


def test_a_generator_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, part = a_pool()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Generator, "draw", fails)
    with pytest.raises(RuntimeError):
        load_pool(pool, part, tmp_path)
    assert list(tmp_path.iterdir()) == [fit_path(tmp_path, pool.fit)], "the training is not lost"
    fit_path(tmp_path, pool.fit).unlink()
    monkeypatch.setattr(Generator, "fit", fails)
    with pytest.raises(RuntimeError):
        load_pool(pool, part, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_pools_are_those_that_are_not_there(tmp_path: Path) -> None:
    spec = data_spec()
    paths = missing_pools(spec, 0, tmp_path)
    assert len(paths) == 2
    fits = missing_fits(spec, 0, tmp_path)
    assert [f.generator for f in fits] == ["vae", "flow"]
    seen: list[tuple[str, int, int]] = []
    make_fit(fits[0], spec, tmp_path, device="cpu", report=lambda *said: seen.append(said))
    assert seen == [("training", 0, 25), ("training", 25, 25)]
    assert missing_fits(spec, 0, tmp_path) == fits[1:]
    seen.clear()
    made = make_pools(spec, 0, tmp_path, device="cpu", report=lambda *said: seen.append(said))
    assert [(doing, done) for doing, done, total in seen if done == total] == [
        ("drawing vae", len(made[0])),
        ("training flow", 25),
        ("drawing flow", len(made[1])),
    ]
    assert missing_pools(spec, 0, tmp_path) == []
    assert missing_fits(spec, 0, tmp_path) == []
    assert sorted(tmp_path.glob("*.npz")) == sorted(paths)
    _, _, split, _ = cut_block(spec, 0)
    assert sum(map(len, made)) == synthetic_count(len(split.unlabelled), 0.5)
