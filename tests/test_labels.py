"""Label rules and one-hot maps."""

from __future__ import annotations

import numpy as np
import pytest

from shanshui.data.labels import apply_label_rules, one_hot, outside, value_counts
from shanshui.errors import ShanshuiError


def test_ids_pass_unchanged_as_uint8() -> None:
    raw = np.array([[0, 28], [3, 4]], np.int32)
    ids = apply_label_rules(raw, 29)
    assert ids.dtype == np.uint8
    assert (ids == raw).all()


def test_offset_and_ignored_value() -> None:
    raw = np.array([[1, 29, 0, 255]], np.uint8)
    assert apply_label_rules(raw[:, :3], 29, -1, 0).tolist() == [[0, 28, 255]]
    assert apply_label_rules(raw[:, [0, 3]], 29, -1, 255).tolist() == [[0, 255]]


def test_ignored_value_is_compared_before_the_offset() -> None:
    assert apply_label_rules(np.array([[1, 2]], np.uint8), 3, -1, 1).tolist() == [[255, 1]]


def test_an_ignored_value_within_the_classes_is_no_class() -> None:
    assert apply_label_rules(np.array([[0, 1]], np.uint8), 2, 0, 1).tolist() == [[0, 255]]


def test_all_255_classes_fit_and_256_do_not() -> None:
    ids = apply_label_rules(np.arange(255, dtype=np.uint8), 255)
    assert ids[-1] == 254
    with pytest.raises(ValueError, match=r"256 is not in 1 \.\. 255"):
        apply_label_rules(ids, 256)


@pytest.mark.parametrize(("raw", "offset", "found"), [([31, 31, 2], 0, r"31 \(2 pixels\)"), ([0, 1, 1], -1, r"0 \(1 ")])
def test_a_value_outside_is_refused_by_name_value_and_count(raw: list[int], offset: int, found: str) -> None:
    with pytest.raises(ShanshuiError, match=rf"x\.png holds pixel values that are no class: {found}"):
        apply_label_rules(np.array([raw], np.uint8), 29, offset, source="x.png")


def test_large_ids_do_not_wrap_around() -> None:
    with pytest.raises(ShanshuiError, match="257"):
        apply_label_rules(np.array([[257]], np.int32), 29)


def test_counts_and_what_is_outside() -> None:
    counts = value_counts(np.array([[0, 5, 5], [255, 1, 0]], np.uint8))
    assert counts == {0: 2, 1: 1, 5: 2, 255: 1}
    assert counts == value_counts(np.array([[0, 5, 5], [255, 1, 0]], np.int32))
    assert outside(counts, 5) == {5: 2, 255: 1}
    assert outside(counts, 5, -1, 255) == {0: 2}


def test_one_hot() -> None:
    label_map = np.array([[[0, 2], [255, 1]], [[2, 2], [0, 255]]], np.uint8)
    segmap = one_hot(label_map, 3)
    assert segmap.shape == (2, 3, 2, 2)
    assert segmap.dtype == np.float32
    assert segmap[0, :, 0, 1].tolist() == [0, 0, 1]
    assert segmap[0, :, 1, 0].tolist() == [0, 0, 0]
    assert segmap.sum() == (label_map != 255).sum()


def test_one_hot_of_255_classes_leaves_no_class_empty() -> None:
    assert one_hot(np.full((1, 1, 1), 255, np.uint8), 255).sum() == 0
