"""Sliced Wasserstein distance on Laplacian pyramids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawn import blurred, grey, noisy, pictures

from shanshui.metrics.colour import ycbcr
from shanshui.metrics.swd import _enlarge, laplacian_pyramid, patch_features, swd, swd_reference


def stack(photos: list[np.ndarray], seed: int = 0) -> np.ndarray:
    return np.stack([patch_features(photo, seed) for photo in photos])


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    return swd_reference(stack(pictures(40)), 0)


@pytest.mark.parametrize("shape", [(64, 96), (47, 65)])
def test_the_pyramid_adds_up_to_the_picture(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    levels = laplacian_pyramid(photo)
    image = levels[-1]
    for level in levels[-2::-1]:
        image = level + _enlarge(image, level.shape)
    np.testing.assert_allclose(image, ycbcr(photo) / 127.5 - 1, atol=1e-5)
    assert 16 <= min(levels[-1].shape[:2]) < 32


def test_a_flat_picture_has_no_detail() -> None:
    *details, base = laplacian_pyramid(np.full((64, 64, 3), 200, np.uint8))
    assert len(details) == 2
    assert max(np.abs(detail).max() for detail in details) < 1e-5
    np.testing.assert_allclose(base, np.broadcast_to(np.array([200, 128, 128]) / 127.5 - 1, base.shape), atol=1e-5)


@pytest.mark.parametrize(
    ("worsen", "levels"), [(blurred, [0.5, 1, 2, 4]), (noisy, [3, 8, 16, 32]), (grey, [0.2, 0.5, 0.8, 1])]
)
def test_distance_grows_with_every_degradation(
    reference: dict[str, np.ndarray], worsen: Callable[..., list[np.ndarray]], levels: list[float]
) -> None:
    test = pictures(25, first=100)
    distances = [swd(stack(test), reference, 0)]
    distances += [swd(stack(worsen(test, level)), reference, 0) for level in levels]
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[0]


def test_a_set_has_no_distance_to_itself_in_any_order(reference: dict[str, np.ndarray]) -> None:
    ours = stack(pictures(40))
    assert swd(ours, reference, 0) == 0
    assert swd(ours[::-1], reference, 0) < 1e-3  # rounding of the matrix product


def test_the_seed_and_nothing_else_decides() -> None:
    real, ours = pictures(12), pictures(12, first=50)
    first, again, other = (swd(stack(ours, s), swd_reference(stack(real, s), s), s) for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert other == pytest.approx(first, rel=0.3)


def test_a_shift_of_one_unit_is_the_mean_of_the_projected_shift() -> None:
    real = stack(pictures(20))
    reference = swd_reference(real, 0)
    shifted = real.reshape(*real.shape[:3], 49, 3) + reference["deviation"][:, None, None, :]
    # every element moves by one deviation, so a direction u by sum(u), which is normal with variance 1
    assert swd(shifted.reshape(real.shape), reference, 0) == pytest.approx(1000 * np.sqrt(2 / np.pi), rel=0.15)
