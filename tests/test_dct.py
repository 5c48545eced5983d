"""DCT features and the Frechet distance on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawn import blurred, grey, noisy, pictures

from shanshui.metrics.dct import BASIS, FEATURES, dct_features
from shanshui.metrics.frechet import frechet_distance, statistics


def stack(photos: list[np.ndarray]) -> np.ndarray:
    return np.stack([dct_features(photo) for photo in photos])


def test_the_basis_is_orthonormal() -> None:
    np.testing.assert_allclose(BASIS @ BASIS.T, np.eye(8), atol=1e-6)


def test_a_flat_picture_has_only_a_mean() -> None:
    found = dct_features(np.full((19, 16, 3), 100, np.uint8)).reshape(3, 8, 8)
    assert found.size == FEATURES
    np.testing.assert_allclose(found[:, 0, 0], np.log1p([800, 1024, 1024]), rtol=1e-5)
    found[:, 0, 0] = 0
    assert found.max() < 1e-3


def test_one_frequency_falls_into_one_feature() -> None:
    wave = np.cos(np.pi * (2 * np.arange(8) + 1) * 3 / 16)
    photo = np.repeat(np.rint(128 + 50 * np.tile(wave, (8, 1)))[..., None], 3, axis=-1).astype(np.uint8)
    luma = dct_features(photo).reshape(3, 8, 8)[0]
    luma[0, 0] = 0
    assert np.unravel_index(luma.argmax(), luma.shape) == (0, 3)


@pytest.mark.parametrize(
    ("worsen", "levels"), [(blurred, [0.5, 1, 2, 4]), (noisy, [3, 8, 16, 32]), (grey, [0.2, 0.5, 0.8, 1])]
)
def test_distance_grows_with_every_degradation(worsen: Callable[..., list[np.ndarray]], levels: list[float]) -> None:
    reference = statistics(stack(pictures(40)))
    test = pictures(25, first=100)
    distances = [frechet_distance(reference, stack(test))]
    distances += [frechet_distance(reference, stack(worsen(test, level))) for level in levels]
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[0]


def test_a_colour_cast_is_seen_with_its_sign() -> None:
    blue, yellow = np.full((2, 8, 8, 3), 128, np.uint8)
    blue[..., 2], yellow[..., 2] = 168, 88
    assert abs(dct_features(blue)[64] - dct_features(yellow)[64]) > 0.1
