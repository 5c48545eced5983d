"""Sizes: height first in arrays, width first in text, in Pillow and in lists of files."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from PIL import Image

from shanshui.storage.images import resize_label_map, resize_photo
from shanshui.storage.size import Size

SIZE = Size(height=48, width=64)


def test_a_size_is_written_with_the_width_first() -> None:
    assert str(SIZE) == f"{SIZE}" == "64x48"
    assert f"{SIZE:03d}" == "064x048"
    assert Size.parse("64x48") == SIZE
    assert SIZE.width_first == (64, 48)
    assert Size.of_width_first([64, 48]) == SIZE


def test_arrays_have_the_height_first() -> None:
    assert Size.of(np.zeros((48, 64, 3))) == Size.of(np.zeros((48, 64))) == SIZE
    assert Size.of_maps(np.zeros((2, 3, 48, 64))) == Size.of_maps(np.zeros((2, 48, 64))) == SIZE
    assert SIZE.divided(3) == (16, 21)
    assert SIZE.pixels == 3072


def test_images_are_resized_to_height_and_width() -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    assert resize_photo(image, SIZE).shape == (48, 64, 3)
    assert resize_label_map(image[..., 0], SIZE).shape == (48, 64)
    assert Image.fromarray(resize_photo(image, SIZE)).size == SIZE.width_first


@pytest.mark.parametrize("text", ["", "64", "64x", "x48", "0x48", "64x48x3", "64 x 48", "-64x48", "６４x48"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="WIDTHxHEIGHT"):
        Size.parse(text)
