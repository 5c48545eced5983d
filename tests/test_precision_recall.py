"""Precision and recall against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.metrics.precision_recall import manifold_reference, precision, recall
from shanshui.metrics.reference_subset import SUBSET_SIZE, reference_subset


def draw(count: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal((count, 3)) + shift


def both(ours: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    kept = manifold_reference(real, 0)
    return precision(ours, kept["features"], kept["radii"]).value, recall(ours, kept["features"], 0).value


def test_a_line_of_points_by_hand() -> None:
    real = np.array([[0.0], [1], [2], [3], [4], [5]])
    radii = manifold_reference(real, 0)["radii"]
    np.testing.assert_allclose(np.sqrt(radii), [3, 2, 2, 2, 2, 3])  # third nearest other point
    ours = np.array([[-3.0], [-3.1], [8.0], [20.0]])
    assert precision(ours, real, radii).value == 0.5  # -3 and 8 lie on the rims of the outer balls
    # our balls: -3 and -3.1 reach to 20, 8 to -3.1, 20 to -3: all photographs are covered by any of them
    assert recall(ours, real, 0).value == 1


def test_a_set_covers_itself_and_nothing_far_away() -> None:
    real = draw(60, 0)
    assert both(real.astype(np.float32), real.astype(np.float32)) == (1, 1)
    assert both(real + 100, real) == (0, 0)


def test_lost_variety_costs_recall_and_strays_cost_precision() -> None:
    real = draw(400, 0)
    narrow, wide = both(draw(400, 1, 0.3), real), both(draw(400, 1, 3.0), real)
    same = both(draw(400, 1), real)
    assert narrow[0] > 0.95
    assert narrow[1] < 0.5 < same[1]
    assert wide[0] < 0.6 < same[0]
    assert wide[1] > 0.9


def test_their_errors_are_of_the_right_size() -> None:
    kept = manifold_reference(draw(150, 0), 0)
    runs = [draw(100, 1 + i, 1.3) for i in range(40)]
    for estimates in (
        [precision(run, kept["features"], kept["radii"]) for run in runs],
        [recall(run, kept["features"], 0) for run in runs],
    ):
        errors = np.array([e.standard_error for e in estimates], dtype=float)
        assert 0.5 < np.median(errors) / np.std([e.value for e in estimates]) < 2


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ours = draw(50, 0), draw(37, 1)
    whole = both(ours, real)
    monkeypatch.setattr("shanshui.metrics.precision_recall.BLOCK", 7)
    assert both(ours, real) == whole


def test_too_few_and_unusable_features_are_refused() -> None:
    with pytest.raises(ShanshuiError, match="3 images"):
        manifold_reference(draw(3, 0), 0)
    kept = manifold_reference(draw(9, 0), 0)
    with pytest.raises(ShanshuiError, match="not finite"):
        recall(np.full((5, 3), np.nan), kept["features"], 0)
    with pytest.raises(ShanshuiError, match="2 features per image"):
        precision(draw(9, 1)[:, :2], kept["features"], kept["radii"])
    assert recall(draw(4, 1), kept["features"], 0).standard_error is None


def test_a_fixed_choice_of_a_large_reference_is_kept() -> None:
    many = np.arange(SUBSET_SIZE + 500, dtype=np.float32)[:, None]
    kept = reference_subset(many, 0)
    assert len(np.unique(kept)) == SUBSET_SIZE
    np.testing.assert_array_equal(kept, reference_subset(many, 0))
