"""Class and pixel statistics by hand and against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shanshui.data.scan import LabelFacts, PhotoFacts, channel_sums, is_grey
from shanshui.data.statistics import class_counts, class_statistics, pixel_statistics
from shanshui.storage.size import Size


def test_class_statistics_by_hand() -> None:
    facts = [LabelFacts(Path("a"), counts={1: 6, 2: 2, 0: 2}), LabelFacts(Path("b"), counts={1: 2, 0: 8})]
    found = class_statistics([class_counts(f, 3, -1, 0) for f in facts], 3)
    assert found.images == 2
    assert found.pixels.tolist() == [8, 2, 0]
    assert found.share.tolist() == [0.8, 0.2, 0]
    assert found.present.tolist() == [2, 1, 0]
    assert found.mean_share.tolist() == [0.4, 0.2, 0]
    assert found.no_class == 0.5
    assert class_counts(facts[0], 3, 0, 1).tolist() == [2, 0, 2, 6]  # ignored although it would be a class
    assert class_statistics([], 3).share.tolist() == [0, 0, 0]


def test_pixel_statistics_equal_numpy() -> None:
    photos = [np.random.default_rng(i).integers(0, 256, (5 + i, 7, 3), np.uint8) for i in range(3)]
    facts = [PhotoFacts(Path("x"), size=Size(p.shape[0], 7), sums=channel_sums(p)) for p in photos]
    pixels = np.concatenate([p.reshape(-1, 3) for p in photos]).astype(float)
    means, deviations = pixel_statistics(facts)
    assert np.allclose(means, pixels.mean(0))
    assert np.allclose(deviations, pixels.std(0))


def test_one_coloured_pixel_makes_a_photograph_coloured() -> None:
    photo = np.full((33, 33, 3), 90, np.uint8)
    assert is_grey(photo)
    photo[17, 5, 2] += 1
    assert not is_grey(photo)
