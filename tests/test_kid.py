"""Kernel distance: unbiased, symmetric, with an honest error; and sharpness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drawn import blurred, grey, noisy, pictures

from shanshui.errors import ShanshuiError
from shanshui.metrics.dct import dct_features
from shanshui.metrics.kid import kid
from shanshui.metrics.sharpness import laplacian_variance, sharpness, sharpness_reference


def draw(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 16)) + shift


def test_equals_the_sum_over_all_pairs() -> None:
    x, y = draw(7, 0), draw(5, 1, 0.5)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    xx = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y, 0).value == pytest.approx(xx + yy - 2 * xy, rel=1e-10)


def test_is_unbiased_and_its_error_is_of_the_right_size() -> None:
    estimates = [kid(draw(50, 2 * i), draw(60, 2 * i + 1), 0) for i in range(60)]
    values = np.array([e.value for e in estimates])
    errors = np.array([e.standard_error for e in estimates], dtype=float)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 0.5 < np.median(errors) / values.std() < 2
    shifted = kid(draw(50, 0, 0.5), draw(60, 1), 0)
    assert shifted.standard_error is not None
    assert shifted.value > 4 * shifted.standard_error


def test_the_seed_decides_and_few_pictures_have_no_error() -> None:
    x, y = draw(30, 0), draw(30, 1)
    assert kid(x, y, 3) == kid(x, y, 3)
    assert kid(x[:3], y, 0).standard_error is None
    with pytest.raises(ShanshuiError, match="not finite"):
        kid(np.full((5, 16), np.nan), y, 0)


@pytest.mark.parametrize(("worsen", "levels"), [(blurred, [0.5, 1, 2, 4]), (noisy, [3, 8, 16, 32]), (grey, [0.3, 1])])
def test_on_cosine_amplitudes_it_grows_with_every_degradation(
    worsen: Callable[..., list[np.ndarray]], levels: list[float]
) -> None:
    def measure(photos: list[np.ndarray]) -> np.ndarray:
        return np.stack([dct_features(photo) for photo in photos])

    real, test = measure(pictures(40)), pictures(25, first=100)
    clean = kid(measure(test), real, 0)
    assert clean.standard_error is not None
    assert abs(clean.value) < 4 * clean.standard_error
    distances = [clean.value, *(kid(measure(worsen(test, level)), real, 0).value for level in levels)]
    assert distances == sorted(distances)
    assert distances[-1] > 4 * clean.standard_error


def test_sharpness_falls_with_blur_and_rises_with_noise() -> None:
    def measure(photos: list[np.ndarray]) -> np.ndarray:
        return np.stack([laplacian_variance(photo) for photo in photos])

    photos = pictures(9)
    reference = sharpness_reference(measure(photos))
    assert sharpness(measure(photos), reference) == 1
    assert sharpness(measure(blurred(photos, 1)), reference) < 0.9
    assert sharpness(measure(noisy(photos, 10)), reference) > 1.1
    with pytest.raises(ShanshuiError, match="no detail"):
        sharpness_reference(np.zeros((3, 1)))
