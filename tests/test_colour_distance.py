"""Colour statistics: known values, and a distance that grows with every change of colour."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import grey, pictures

from shanshui.errors import ShanshuiError
from shanshui.metrics.colour_distance import colour_distance, colour_reference, colour_statistics


def stack(photos: list[np.ndarray]) -> np.ndarray:
    return np.stack([colour_statistics(photo) for photo in photos])


def distance(photos: list[np.ndarray], real: list[np.ndarray]) -> float:
    kept = colour_reference(stack(real))
    return colour_distance(stack(photos), kept["quantiles"], kept["deviation"], 0).value


def test_statistics_of_plain_and_striped_pictures() -> None:
    plain = np.full((5, 7, 3), 90, np.uint8)
    np.testing.assert_allclose(colour_statistics(plain), [90, 128, 128, 0, 0, 0], atol=1e-3)
    striped = plain.copy()
    striped[:, ::2] = 90
    striped[::2] = 110
    assert colour_statistics(striped)[3] == pytest.approx(np.std([110] * 3 + [90] * 2), rel=1e-4)


def test_a_set_has_no_distance_to_itself_in_any_order() -> None:
    photos = pictures(12)
    assert distance(photos, photos) == 0
    assert distance(photos[::-1], photos) == 0


def test_a_shift_is_measured_in_deviations_of_the_photographs() -> None:
    rows = np.random.default_rng(0).normal(100, 20, (40, 6))
    kept = colour_reference(rows)
    moved = rows.copy()
    moved[:, 2] += 3 * rows[:, 2].std()  # one of six statistics
    assert colour_distance(moved, kept["quantiles"], kept["deviation"], 0).value == pytest.approx(0.5)


def test_distance_grows_as_colour_and_light_go() -> None:
    real, test = pictures(30), pictures(20, first=100)
    faded = [distance(grey(test, share), real) for share in (0, 0.3, 0.6, 1.0)]
    assert faded == sorted(faded)
    assert faded[-1] > 3 * faded[0]
    dark = [distance([(photo * light).astype(np.uint8) for photo in test], real) for light in (1, 0.8, 0.5)]
    assert dark == sorted(dark)


def test_its_error_is_of_the_right_size() -> None:
    generator = np.random.default_rng(1)
    kept = colour_reference(generator.normal(100, 20, (300, 6)))
    runs = [generator.normal(120, 20, (60, 6)) for _ in range(40)]
    estimates = [colour_distance(run, kept["quantiles"], kept["deviation"], 0) for run in runs]
    errors = np.array([e.standard_error for e in estimates], dtype=float)
    assert 0.5 < np.median(errors) / np.std([e.value for e in estimates]) < 2
    assert colour_distance(runs[0][:3], kept["quantiles"], kept["deviation"], 0).standard_error is None
    with pytest.raises(ShanshuiError, match="not finite"):
        colour_distance(np.full((5, 6), np.nan), kept["quantiles"], kept["deviation"], 0)
