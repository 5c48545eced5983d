"""Frechet distance against cases with a known answer."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from golden_files import GoldenFiles

from shanshui.errors import ShanshuiError
from shanshui.metrics.frechet import Gaussian, frechet_distance, statistics


def features(count: int, size: int, seed: int, scale: float = 1.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return scale * generator.standard_normal((count, size)) @ generator.standard_normal((size, size))


@pytest.mark.parametrize("count", [8, 200])
def test_equal_covariances_leave_the_distance_of_the_means(count: int) -> None:
    ours = features(count, 24, 0)
    shift = np.linspace(-1, 2, 24)
    assert frechet_distance(statistics(ours), ours + shift) == pytest.approx((shift**2).sum(), rel=1e-9)


@pytest.mark.parametrize("count", [5, 30, 31, 300])
def test_a_set_has_no_distance_to_itself(count: int) -> None:
    ours = features(count, 30, 1)
    assert abs(frechet_distance(statistics(ours), ours)) < 1e-6 * np.trace(statistics(ours).covariance)


def test_independent_features_have_the_closed_form() -> None:
    generator = np.random.default_rng(2)
    ours = np.linalg.qr(generator.standard_normal((60, 4)) - 0)[0]
    ours = np.linalg.qr(ours - ours.mean(axis=0))[0]  # centred, orthonormal columns
    ours -= ours.mean(axis=0)
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 1.0, 5.0])
    expected = ((a - b) ** 2).sum() / (len(ours) - 1)
    assert frechet_distance(statistics(ours * a), ours * b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n1", "n2"), [(12, 200), (200, 12), (12, 15), (200, 300)])
def test_the_order_of_the_sets_does_not_matter(n1: int, n2: int) -> None:
    first, second = features(n1, 40, 3), features(n2, 40, 4, 1.3) + 0.2
    there = frechet_distance(statistics(first), second)
    assert frechet_distance(statistics(second), first) == pytest.approx(there, rel=1e-9)


def test_gram_and_full_form_agree() -> None:
    reference = statistics(features(500, 40, 5))
    ours = features(41, 40, 6)
    padded = Gaussian(np.append(reference.mean, 0), np.pad(reference.covariance, (0, 1)), 500)
    gram = frechet_distance(padded, np.pad(ours, ((0, 0), (0, 1))))
    assert frechet_distance(reference, ours) == pytest.approx(gram, rel=1e-9)


def test_stored_sets_give_the_published_value(golden_files: GoldenFiles) -> None:
    golden = golden_files("fid_inception")[1]
    ours = frechet_distance(statistics(golden["set0_features"]), golden["set1_features"])
    assert ours == pytest.approx(float(golden["fid_exact"]), rel=1e-9)
    assert ours == pytest.approx(float(golden["fid_sqrtm"]), rel=1e-4)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (np.zeros((1, 4)), "1 image"),
        (np.full((5, 4), 0.5), "same features"),
        (np.array([[0.0, 1.0], [np.nan, 2.0]]), "not finite"),
    ],
)
def test_what_has_no_covariance_is_refused_plainly(rows: np.ndarray, word: str) -> None:
    with pytest.raises(ShanshuiError, match=word):
        statistics(rows)
    with pytest.raises(ShanshuiError, match=word):
        frechet_distance(statistics(features(9, rows.shape[1], 7)), rows)


def test_another_number_of_features_is_refused() -> None:
    with pytest.raises(ShanshuiError, match="3 features"):
        frechet_distance(statistics(features(9, 4, 8)), features(9, 3, 9))


def test_weight_free_scoring_does_without_jittor() -> None:
    code = "import sys, shanshui.evaluation.reference, shanshui.stages.score; sys.exit('jittor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
