"""Mask accuracy, mIoU and the table class by class: by hand, by brute force, and where nothing can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.metrics.segmentation import count_classes, mask_accuracy, miou, per_class

NAMES = ["sky", "water", "tree", "ship"]


def drawn(count: int = 7, num_classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids as they are said and given: right by half, a tenth without a class, class 3 in the first picture only."""
    generator = np.random.default_rng(seed)
    given = generator.integers(0, 3, (count, 10, 12), np.uint8)
    given[0, :2] = 3
    said = np.where(generator.random(given.shape) < 0.5, given, generator.integers(0, num_classes, given.shape))
    given[generator.random(given.shape) < 0.1] = 255
    return said.astype(np.uint8), given


def test_counts_by_hand() -> None:
    given = np.array([[[0, 0, 1], [1, 255, 255]]], np.uint8)
    said = np.array([[[0, 1, 1], [2, 0, 2]]], np.uint8)
    counts = count_classes(said, given, 3)
    assert counts.tolist() == [[[2, 1, 1], [2, 1, 2], [0, 0, 1]]]
    assert mask_accuracy(counts).value == 2 / 4
    assert miou(counts).value == pytest.approx((1 / 2 + 1 / 3) / 2)  # class 2 is not in the label map
    assert per_class(counts, ["a", "b", "c"]) == {
        "a": {"pixels": 0.5, "accuracy": 0.5, "iou": 0.5},
        "b": {"pixels": 0.5, "accuracy": 0.5, "iou": pytest.approx(1 / 3)},
        "c": {"pixels": 0.0, "accuracy": None, "iou": None},
    }


def test_all_right_is_one_and_all_wrong_nothing() -> None:
    _, given = drawn()
    right = count_classes(np.where(given == 255, 0, given).astype(np.uint8), given, 4)
    assert mask_accuracy(right) == (1.0, 0.0, None)
    assert miou(right) == (1.0, 0.0, None)
    wrong = count_classes(((given.astype(int) + 1) % 4).astype(np.uint8), given, 4)
    assert mask_accuracy(wrong).value == miou(wrong).value == 0


def test_shares_are_of_all_pixels_and_not_means_of_pictures() -> None:
    given = np.full((2, 2, 2), 255, np.uint8)
    given[0], given[1, 0, 0] = 0, 1
    counts = count_classes(np.zeros_like(given), given, 2)
    assert mask_accuracy(counts).value == 4 / 5
    assert miou(counts).value == pytest.approx((4 / 5 + 0) / 2)


def test_labels_of_other_pictures_are_found_by_chance_only() -> None:
    generator = np.random.default_rng(1)
    given = generator.integers(0, 4, (20, 30, 40), np.uint8)
    shuffled = given[generator.permutation(20)]
    assert mask_accuracy(count_classes(given, given, 4)).value == 1
    assert mask_accuracy(count_classes(shuffled, given, 4)).value == pytest.approx(0.25, abs=0.1)
    other = generator.permuted(given, axis=0)
    assert mask_accuracy(count_classes(other, given, 4)).value < 0.35
    assert miou(count_classes(other, given, 4)).value < 0.25


def test_pixels_without_a_class_count_nowhere() -> None:
    said, given = drawn()
    counts = count_classes(said, given, 4)
    assert counts[:, :, 0].sum() == counts[:, :, 2].sum() == (given != 255).sum()
    changed = np.where(given == 255, 3 - np.minimum(said, 3), said).astype(np.uint8)
    np.testing.assert_array_equal(count_classes(changed, given, 4), counts)


def whole(said: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Mask accuracy and mIoU straight from the pixels."""
    known = given != 255
    ious = []
    for i in np.unique(given[known]):
        one, other = (said == i) & known, (given == i) & known
        ious.append((one & other).sum() / (one | other).sum())
    return float((said == given)[known].mean()), float(np.mean(ious))


def test_values_and_errors_equal_brute_force() -> None:
    said, given = drawn()
    estimates = [metric(count_classes(said, given, 4)) for metric in (mask_accuracy, miou)]
    without = [whole(np.delete(said, i, 0), np.delete(given, i, 0)) for i in range(len(given))]
    for place, estimate in enumerate(estimates):
        assert estimate.value == pytest.approx(whole(said, given)[place], rel=1e-12)
        left_out = np.array([values[place] for values in without])
        n = len(left_out)
        error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
        assert estimate.standard_error == pytest.approx(error, rel=1e-12)
        assert estimate.standard_error > 0


def test_counts_survive_single_precision() -> None:
    counts = count_classes(*drawn(), 4) * 4099
    for metric in (mask_accuracy, miou):
        assert metric(counts) == metric(counts.astype(np.float32))
    assert per_class(counts, NAMES) == per_class(counts.astype(np.float32), NAMES)


def test_too_few_pictures_have_no_error_and_no_labels_no_value() -> None:
    counts = count_classes(*drawn(3), 4)
    assert mask_accuracy(counts).standard_error is miou(counts).standard_error is None
    lonely = np.zeros((5, 4, 3))
    lonely[0, 1] = 6, 3, 6  # all labelled pixels are in one picture
    assert mask_accuracy(lonely) == (0.5, None, None)
    for measure in (mask_accuracy, miou, lambda counts: per_class(counts, NAMES)):
        with pytest.raises(ShanshuiError, match="no pixel of the label maps has a class"):
            measure(np.zeros((5, 4, 3)))
