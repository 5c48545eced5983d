"""The Frechet distance's standard error and its line in 1/N."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.metrics.frechet import Comparison, Gaussian, frechet_distance, statistics
from shanshui.metrics.frechet_estimate import frechet_estimate

SIZE = 24
SPREAD = np.arange(1, SIZE + 1) ** -0.6


def draw(count: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * SPREAD * np.random.default_rng(seed).standard_normal((count, SIZE))


@pytest.fixture(scope="module")
def reference() -> Gaussian:
    return statistics(draw(400, 0))


@pytest.mark.parametrize("count", [20, 100])
def test_subsets_have_the_distances_of_their_rows(reference: Gaussian, count: int) -> None:
    """Below N - 1 = d all subsets share one product with the covariance."""
    rows = draw(count, 1)
    generator = np.random.default_rng(2)
    subsets = [generator.permutation(count)[:size] for size in (2, 5, 13, 20)]
    expected = [frechet_distance(reference, rows[subset]) for subset in subsets]
    assert Comparison(reference, rows).distances(subsets) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [12, 24, 25, 90])
def test_influence_is_the_derivative_by_a_rows_weight(reference: Gaussian, count: int) -> None:
    """Against the distance of weighted mean and covariance, in a plain form of its own."""
    rows = draw(count, 5, 1.2)

    def weighted(weights: np.ndarray) -> float:
        mean = weights @ rows
        centred = rows - mean
        covariance = (centred * weights[:, None]).T @ centred * count / (count - 1)
        values = np.linalg.eigvalsh(reference.root @ covariance @ reference.root)[-min(count - 1, SIZE) :]
        traces = np.trace(reference.covariance) + np.trace(covariance) - 2 * np.sqrt(np.clip(values, 0, None)).sum()
        return float(((mean - reference.mean) ** 2).sum() + traces)

    distance, influence = Comparison(reference, rows).influence()
    even = np.full(count, 1 / count)
    assert weighted(even) == pytest.approx(distance, rel=1e-9)
    assert influence.sum() == pytest.approx(0, abs=1e-9)
    for row in (0, count // 2):
        step = 1e-4 * (np.eye(count)[row] - even)  # the sum of the weights stays 1
        slope = (weighted(even + step) - weighted(even - step)) / 2e-4
        assert slope == pytest.approx(influence[row], rel=0.15, abs=0.02 * influence.std())


@pytest.mark.parametrize("count", [16, 200])
@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_its_error_is_of_the_right_size(reference: Gaussian, count: int, scale: float) -> None:
    estimates = [frechet_estimate(reference, draw(count, 10 + i, scale), 0) for i in range(40)]
    errors = np.array([e.standard_error for e in estimates], dtype=float)
    assert 0.6 < np.median(errors) / np.std([e.value for e in estimates]) < 2


def test_the_error_is_not_that_of_draws_with_replacement(reference: Gaussian) -> None:
    """Copies raise the distance, so that such draws lie far above the set they come from."""
    rows = draw(16, 3)
    generator = np.random.default_rng(0)
    copied = [frechet_distance(reference, rows[generator.integers(0, 16, 16)]) for _ in range(30)]
    estimate = frechet_estimate(reference, rows, 0)
    assert estimate.standard_error is not None
    assert np.mean(copied) > estimate.value + 3 * estimate.standard_error


def test_the_hint_takes_most_of_the_bias_away() -> None:
    large = statistics(draw(20000, 0))
    estimates = [frechet_estimate(large, draw(400, 1 + i), 0) for i in range(8)]
    values = np.array([e.value for e in estimates])
    hints = np.array([e.at_infinity for e in estimates], dtype=float)
    assert values.min() > 3 * values.std()  # the truth is 0
    assert abs(hints.mean()) < 0.4 * values.mean()


def test_the_seed_decides_and_few_pictures_have_neither_error_nor_hint(reference: Gaussian) -> None:
    rows = draw(30, 4)
    assert frechet_estimate(reference, rows, 5) == frechet_estimate(reference, rows, 5)
    assert frechet_estimate(reference, rows, 5).value == pytest.approx(frechet_distance(reference, rows), rel=1e-12)
    assert frechet_estimate(reference, rows[:19], 0).at_infinity is None
    few = frechet_estimate(reference, rows[:3], 0)
    assert (few.standard_error, few.at_infinity) == (None, None)
