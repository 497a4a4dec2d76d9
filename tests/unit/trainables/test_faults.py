from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from trainables.data.faults import FAULTS, MODES, with_faults

RANDOM = np.random.default_rng(5)
LABELS = np.arange(520) % 10


def smooth(n: int, channels: int = 1, side: int = 16) -> np.ndarray:
    """Images [n, C, side, side], uint8, in which neighbours are alike; an image's class gives its level."""
    noise = uniform_filter(RANDOM.random((n, channels, side, side)), (0, 0, 3, 3), mode="wrap")
    level = 0.1 + 0.08 * LABELS[:n].reshape(-1, 1, 1, 1)
    return (255 * np.clip(level + 0.5 * (noise - 0.5), 0, 1)).astype(np.uint8)


IMAGES = smooth(520)


def changed(images: np.ndarray, **faults: float) -> np.ndarray:
    return with_faults(images, LABELS[: len(images)], faults, seed=3)


def touched(images: np.ndarray, **faults: float) -> np.ndarray:
    return (changed(images, **faults) != images).any(axis=(1, 2, 3))


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32), (1, 9)])
def test_a_fault_keeps_shape_and_kind_and_follows_its_seed(name: str, channels: int, side: int) -> None:
    images = smooth(40, channels, side)
    labels = LABELS[:40]
    one, again, other = (with_faults(images, labels, {name: 0.7}, seed=s) for s in (1, 1, 2))
    assert one.shape == images.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(with_faults(images, labels, {name: 0.0}, seed=1), images)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("n", [250, 500])
def test_a_larger_pool_begins_with_the_smaller_ones_images(name: str, n: int) -> None:
    assert np.array_equal(changed(IMAGES[:n], **{name: 0.6}), changed(IMAGES, **{name: 0.6})[:n])


@pytest.mark.parametrize("name", ["semantic_drift", "uneven_quality"])
def test_a_share_of_the_images_is_changed(name: str) -> None:
    for share in (0.2, 0.7, 1.0):
        assert touched(IMAGES, **{name: share}).mean() == pytest.approx(share, abs=0.07)


def test_a_domain_gap_is_in_every_image_and_grows_with_its_strength() -> None:
    def distance(strength: float) -> float:
        return float(np.abs(changed(IMAGES, domain_gap=strength).astype(float) - IMAGES).mean())

    assert touched(IMAGES, domain_gap=0.2).all()
    assert 0 < distance(0.1) < distance(0.4) < distance(1.0)


def test_a_domain_gap_is_one_style_for_all_images_of_a_generator() -> None:
    flat = np.full((250, 1, 16, 16), 128, np.uint8)
    own, other = (with_faults(flat, LABELS[:250], {"domain_gap": 1.0}, seed=s).astype(float) for s in (1, 2))
    texture = own - own.mean(axis=(2, 3), keepdims=True)
    alike = np.corrcoef(texture.reshape(250, -1))
    assert alike.min() > 0.99, "the same texture, stronger or weaker"
    assert abs(np.corrcoef(own[0].ravel(), other[0].ravel())[0, 1]) < 0.5


def test_few_modes_repeats_four_images_of_each_class_up_to_a_pixel() -> None:
    images = IMAGES[:250]
    repeated = changed(images, few_modes=1.0)
    middle = repeated[:, :, 2:-2, 2:-2]
    for i in range(250):
        modes = np.flatnonzero(LABELS[:250] == LABELS[i])[:MODES]
        moved = [images[m, :, 2 - d : 14 - d, 2 - r : 14 - r] for m in modes for d in (-1, 0, 1) for r in (-1, 0, 1)]
        assert any(np.array_equal(middle[i], m) for m in moved)


def test_a_drifted_image_is_half_of_another_class() -> None:
    images = IMAGES[:250]
    drifted = changed(images, semantic_drift=1.0).astype(int)
    halves = mixtures = 0
    for i in range(250):
        others = images[LABELS[:250] != LABELS[i]].astype(int)
        if np.array_equal(drifted[i, :, :8], images[i, :, :8]):
            halves += 1
            assert (others[:, :, 8:] == drifted[i, :, 8:]).all(axis=(1, 2, 3)).any()
        else:
            mixtures += 1
            assert (np.abs(2 * drifted[i] - images[i] - others) <= 1).all(axis=(1, 2, 3)).any()
    assert 80 < halves < 170
    assert halves + mixtures == 250


def test_a_class_that_is_alone_cannot_drift() -> None:
    images = IMAGES[:30]
    assert np.array_equal(with_faults(images, np.zeros(30, np.int64), {"semantic_drift": 1.0}, seed=0), images)


def test_poor_images_lose_detail_or_gain_noise() -> None:
    def roughness(images: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(images.astype(float), axis=3)).mean(axis=(1, 2, 3))

    ratio = roughness(changed(IMAGES, uneven_quality=1.0)) / roughness(IMAGES)
    assert 0.2 < (ratio < 0.9).mean() < 0.5, "about a third is blurred"
    assert 0.5 < (ratio > 1.1).mean() < 0.8, "about two thirds are noisy"


def test_faults_are_put_on_in_their_own_order_whatever_order_they_are_named_in() -> None:
    forward = dict.fromkeys(FAULTS, 0.5)
    assert np.array_equal(changed(IMAGES, **forward), changed(IMAGES, **dict(reversed(forward.items()))))
    one_by_one = changed(changed(IMAGES, semantic_drift=0.5), domain_gap=0.5).astype(int)
    assert np.abs(one_by_one - changed(IMAGES, semantic_drift=0.5, domain_gap=0.5)).max() <= 2, (
        "but for rounding between"
    )
