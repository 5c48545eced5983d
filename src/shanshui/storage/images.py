"""Read and write photographs and label maps as arrays: the only place where pixels change type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.errors import ShanshuiError
from shanshui.storage.files import atomic
from shanshui.storage.image_file import shown_size
from shanshui.storage.label_file import decode_label_map
from shanshui.storage.photo_file import decode_photo
from shanshui.storage.size import Size

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


def read_photo(path: str | Path, size: Size | None = None) -> np.ndarray:
    """Read a photograph as sRGB, uint8 (H, W, 3), rotated by EXIF; grey is replicated, transparency is over black.

    Args:
        path: the file.
        size: to which it is resized; None for its own.

    Raises:
        ImageFileError: the file is broken, is not an image, or holds several images.
    """
    photo = decode_photo(path).pixels
    return resize_photo(photo, size) if size else photo


def read_label_map(path: str | Path, size: Size | None = None) -> np.ndarray:
    """Read class ids: uint8 (H, W), or int32 if the file has more than 8 bits per pixel.

    Grey images hold ids, palette images indices that are ids.

    Args:
        path: the file.
        size: to which it is resized; None for its own.

    Raises:
        ImageFileError: the file is broken, in colour, or stored with lossy compression, which changes ids.
    """
    ids = decode_label_map(path).ids
    return resize_label_map(ids, size) if size else ids


def photo_size(path: str | Path) -> Size:
    """Return the size after EXIF rotation, from the header where the format has one."""
    return shown_size(path)


def resize_photo(photo: np.ndarray, size: Size) -> np.ndarray:
    """Resize a photograph, uint8 (H, W, 3), to `size` by antialiased bicubic interpolation."""
    if Size.of(photo) == size:
        return photo
    return np.asarray(Image.fromarray(photo).resize(size.width_first, Image.Resampling.BICUBIC))


def resize_label_map(label_map: np.ndarray, size: Size) -> np.ndarray:
    """Resize class ids (H, W), or a coloured label map (H, W, 3), to `size` by nearest-neighbour interpolation."""
    if Size.of(label_map) == size:
        return label_map
    return np.asarray(Image.fromarray(label_map).resize(size.width_first, Image.Resampling.NEAREST))


def to_float(photo: np.ndarray) -> np.ndarray:
    """Convert uint8 (H, W, 3) to float32 (3, H, W) in [-1, 1]."""
    return np.ascontiguousarray(photo.transpose(2, 0, 1), dtype=np.float32) / 127.5 - 1.0


def check_finite(name: str, pixels: np.ndarray) -> None:
    """Check that an image has no NaN or infinite value, which would be written as black or white.

    Raises:
        ShanshuiError: it has.
    """
    if not np.isfinite(pixels).all():
        raise ShanshuiError(f"the image of {name} is not finite (NaN or infinite)", "weights that did not diverge")


def to_uint8(image: np.ndarray, rounding: str = "round") -> np.ndarray:
    """Convert floats (3, H, W) in [-1, 1] to uint8 (H, W, 3); values outside are clipped.

    Args:
        image: floats (3, H, W).
        rounding: "round" to the nearest integer, or "truncate" as the competition's winner did.
    """
    scaled = (np.asarray(image, dtype=np.float64) + 1.0) * 127.5
    if rounding == "round":
        scaled = np.rint(scaled)
    return np.clip(scaled, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def to_pil(images: np.ndarray) -> list[Image.Image]:
    """Convert images, floats (N, 3, H, W) or (3, H, W) in [-1, 1], to Pillow images.

    Raises:
        ShanshuiError: the array has another shape or type.
    """
    batch = np.asarray(images)
    batch = batch[None] if batch.ndim == 3 else batch
    if batch.ndim != 4 or batch.shape[1] != 3 or batch.dtype.kind != "f":
        raise ShanshuiError(
            f"images of type {batch.dtype} and shape {np.shape(images)}", "floats (N, 3, H, W) in [-1, 1]"
        )
    return [Image.fromarray(to_uint8(image)) for image in batch]


def write_image(path: str | Path, image: np.ndarray, quality: int = 95, subsampling: str = "4:4:4") -> None:
    """Write uint8 (H, W, 3) or (H, W) as PNG or JPEG, chosen by the suffix.

    Args:
        path: the file.
        image: RGB or grey pixels.
        quality: of JPEG, 1 to 100.
        subsampling: of JPEG's chroma, such as "4:2:0".
    """
    with atomic(path) as staged:
        pixels = Image.fromarray(image)
        if staged.suffix.lower() in (".jpg", ".jpeg"):
            pixels.save(staged, "JPEG", quality=quality, subsampling=subsampling)
        else:
            pixels.save(staged)


def colour_label_map(label_map: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colour class ids (H, W) by `palette`, uint8 (n, 3); ids outside the palette become black."""
    padded = np.vstack([palette, np.zeros((1, 3), np.uint8)])
    return padded[np.where(label_map < len(palette), label_map, len(palette))]


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int = 2) -> np.ndarray:
    """Arrange images, uint8 (H, W, 3) of equal size, in rows on a white sheet with gaps of `gap` pixels."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, pixels in enumerate(row):
            top, left = r * (height + gap), c * (width + gap)
            sheet[top : top + height, left : left + width] = pixels
    return sheet
