"""What holds for views of every dataset's images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.views import Views

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 16, 24)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both = pytest.mark.parametrize("flip", [False, True])


def images_of(shape: tuple[int, int, int], n: int = 12) -> Tensor:
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def views_of(images: Tensor, *, flip: bool = False) -> Views:
    channels = images.shape[1]
    return Views(images, mean=torch.full((channels,), 0.4), std=torch.full((channels,), 0.25), flip=flip)


def pixels(views: Tensor) -> np.ndarray:
    """Standardised values back to 0..255."""
    return (views.double().numpy() * 0.25 + 0.4) * 255


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crops(image: np.ndarray, *, flip: bool) -> set[bytes]:
    """Every crop of an image with a border of an eighth of its height, reflected as numpy does it, by slicing."""
    _, height, width = image.shape
    reach = max(1, height // 8)
    bordered = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    found = set()
    for top in range(2 * reach + 1):
        for left in range(2 * reach + 1):
            crop = bordered[:, top : top + height, left : left + width]
            found.add(crop.tobytes())
            if flip:
                found.add(crop[:, :, ::-1].tobytes())
    return found


@every_shape
@both
def test_every_weak_view_is_a_whole_pixel_crop_of_the_reflected_image(shape: tuple[int, int, int], flip: bool) -> None:
    images = images_of(shape)
    index = torch.arange(12).repeat(30)
    weak = pixels(views_of(images, flip=flip).weak(index, stream()))
    whole = np.round(weak)
    assert np.abs(weak - whole).max() < 1e-3
    allowed = [crops(image, flip=flip) for image in images.numpy()]
    seen: list[set[bytes]] = [set() for _ in allowed]
    for place, view in zip(index.tolist(), whole.astype(np.uint8), strict=True):
        assert view.tobytes() in allowed[place]
        seen[place].add(view.tobytes())
    assert min(map(len, seen)) > 5
    if flip:
        plain = [crops(image, flip=False) for image in images.numpy()]
        assert all(s & p and s - p for s, p in zip(seen, plain, strict=True))  # both mirrored and not


@pytest.mark.parametrize(("flip", "found"), [(False, 9), (True, 18)])
def test_every_crop_is_drawn_sooner_or_later(flip: bool, found: int) -> None:
    views = views_of(images_of((1, 8, 8), n=1), flip=flip)
    weak = np.round(pixels(views.weak(torch.zeros(600, dtype=torch.int64), stream()))).astype(np.uint8)
    assert len({v.tobytes() for v in weak}) == found


@every_shape
@pytest.mark.parametrize("kind", ["weak", "strong"])
def test_each_image_of_a_batch_has_its_own_draw(shape: tuple[int, int, int], kind: str) -> None:
    views = views_of(images_of(shape))
    made = getattr(views, kind)(torch.full((64,), 3), stream())[:]
    assert made.shape == (64, *shape)
    assert made.dtype == torch.float32
    different = len({v.numpy().tobytes() for v in made})
    assert different == 64 if kind == "strong" else different > 5


@every_shape
@both
def test_strong_views_are_finite_and_in_the_range_of_pixels(shape: tuple[int, int, int], flip: bool) -> None:
    strong = views_of(images_of(shape), flip=flip).strong(torch.arange(12).repeat(20), stream())[:]
    assert torch.isfinite(strong).all()
    value = pixels(strong)
    assert value.min() >= -1e-3
    assert value.max() <= 255 + 1e-3


@every_shape
def test_a_strong_view_has_a_grey_square_of_about_half_the_side(shape: tuple[int, int, int]) -> None:
    images = torch.full((1, *shape), 255, dtype=torch.uint8)
    strong = views_of(images).strong(torch.zeros(300, dtype=torch.int64), stream())[:]
    hidden = (strong == 0).all(dim=1)
    rows, columns = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(hidden.sum(dim=(1, 2)), rows * columns)  # a rectangle: a square, clipped at the border
    side = 2 * max(shape[1] // 4, 1) - 1
    assert int(rows.max()) == int(columns.max()) == side
    assert int(rows.min()) >= side // 2
    assert int(columns.min()) >= side // 2


@every_shape
@pytest.mark.parametrize("kind", ["weak", "strong"])
def test_the_stream_fixes_the_views(shape: tuple[int, int, int], kind: str) -> None:
    views = views_of(images_of(shape), flip=True)
    index = torch.arange(12)
    make = getattr(views, kind)
    assert torch.equal(make(index, stream(1))[:], make(index, stream(1))[:])
    assert not torch.equal(make(index, stream(1))[:], make(index, stream(2))[:])


@every_shape
def test_plain_images_are_standardised_and_nothing_else(shape: tuple[int, int, int]) -> None:
    images = images_of(shape)
    plain = views_of(images).plain(2, 7)
    assert np.allclose(pixels(plain), images[2:7].numpy(), atol=1e-3)


@every_shape
@both
def test_a_strong_view_is_the_same_whichever_others_are_made(shape: tuple[int, int, int], flip: bool) -> None:
    views = views_of(images_of(shape), flip=flip).strong(torch.arange(12).repeat(3), stream())
    together = views[:]
    assert len(views) == len(together) == 36
    for chosen in (torch.tensor([35]), torch.tensor([4, 0, 17]), torch.arange(1, 36, 2)):
        assert torch.equal(views[chosen], together[chosen])
    assert torch.equal(torch.cat([part[:] for part in views.chunk(4)]), together)
    assert views[torch.empty(0, dtype=torch.int64)].shape == (0, *shape)


def test_no_images_no_views() -> None:
    assert views_of(images_of((1, 8, 8))).weak(torch.empty(0, dtype=torch.int64), stream()).shape == (0, 1, 8, 8)
