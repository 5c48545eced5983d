"""Noise from (seed, image name)."""

from __future__ import annotations

import hashlib

import numpy as np

from shanshui.architectures.noise_source import batch_noise, image_noise, image_style


def test_noise_depends_on_seed_name_and_layer_only() -> None:
    first = image_noise(1, "a", 0, 4, 6)
    assert np.array_equal(first, image_noise(1, "a", 0, 4, 6))
    for other in (image_noise(2, "a", 0, 4, 6), image_noise(1, "b", 0, 4, 6), image_noise(1, "a", 1, 4, 6)):
        assert not np.array_equal(first, other)


def test_styles_depend_on_seed_name_and_sample_only() -> None:
    first = image_style(1, "a", 1000)
    assert np.array_equal(first, image_style(1, "a", 1000))
    assert abs(first.std() - 1) < 0.1
    for other in (image_style(2, "a", 1000), image_style(1, "b", 1000), image_style(1, "a", 1000, sample=1)):
        assert not np.array_equal(first, other)


def test_batches_and_their_order_do_not_matter() -> None:
    both = batch_noise(5, ["a", "b"], np.asarray)(3, 2, 8, 8)
    alone = batch_noise(5, ["b"], np.asarray)(3, 1, 8, 8)
    assert both.shape == (2, 1, 8, 8)
    assert np.array_equal(both[1:], alone)


def test_noise_is_standard_normal() -> None:
    values = image_noise(0, "x", 0, 200, 200)
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02


def test_the_numbers_of_an_image_are_those_of_its_own_generator() -> None:
    """One that was drawn from before, an odd number of times, begins as a new one does."""
    image_noise(1, "before", 0, 3, 5)
    digest = hashlib.sha256(b"7\0lake\x002").digest()
    expected = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    assert np.array_equal(image_noise(7, "lake", 2, 6, 7), expected.standard_normal((1, 6, 7), dtype=np.float32))
