"""Pixels between files and arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shanshui.errors import ShanshuiError
from shanshui.storage import images
from shanshui.storage.size import Size


def test_eight_bits_survive_the_way_to_float_and_back() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(images.to_uint8(images.to_float(ramp)), ramp)


def test_truncation_is_darker_than_rounding() -> None:
    values = np.full((3, 1, 1), 0.3)
    assert images.to_uint8(values, "round")[0, 0, 0] == 166
    assert images.to_uint8(values, "truncate")[0, 0, 0] == 165


def test_out_of_range_values_are_clipped() -> None:
    assert images.to_uint8(np.array([-2.0, 0.0, 2.0]).reshape(3, 1, 1)).ravel().tolist() == [0, 128, 255]


def test_palette_label_maps_give_indices_and_colour_ones_are_refused(tmp_path: Path) -> None:
    ids = np.array([[0, 5], [12, 28]], np.uint8)
    picture = Image.fromarray(ids)
    picture.putpalette([i for i in range(256) for _ in range(3)])
    picture.save(tmp_path / "palette.png")
    assert picture.mode == "P"
    assert np.array_equal(images.read_label_map(tmp_path / "palette.png"), ids)
    Image.new("RGB", (2, 2), (1, 2, 3)).save(tmp_path / "colour.png")
    with pytest.raises(ShanshuiError, match="is a colour image"):
        images.read_label_map(tmp_path / "colour.png")


def test_grey_and_transparent_photos_become_three_channels(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 77).save(tmp_path / "grey.png")
    assert np.array_equal(images.read_photo(tmp_path / "grey.png"), np.full((3, 4, 3), 77))
    Image.new("RGBA", (4, 3), (200, 100, 50, 0)).save(tmp_path / "clear.png")
    assert images.read_photo(tmp_path / "clear.png").max() == 0


def test_truncated_photo_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(ShanshuiError, match=r"cut\.jpg cannot be read"):
        images.read_photo(path)


def test_labels_are_resized_by_nearest_neighbour() -> None:
    ids = np.array([[3, 9]], np.uint8)
    resized = images.resize_label_map(ids, Size(32, 64))
    assert resized.shape == (32, 64)
    assert set(np.unique(resized)) == {3, 9}


def test_grid_places_pictures_and_white_gaps() -> None:
    red, blue = np.full((2, 2, 3), (255, 0, 0), np.uint8), np.full((2, 2, 3), (0, 0, 255), np.uint8)
    sheet = images.grid([[red, blue], [blue, red]], gap=1)
    assert sheet.shape == (5, 5, 3)
    assert sheet[0, 0].tolist() == [255, 0, 0]
    assert sheet[0, 2].tolist() == [255, 255, 255]
    assert sheet[4, 4].tolist() == [255, 0, 0]
