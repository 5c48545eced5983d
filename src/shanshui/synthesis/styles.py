"""Styles: photographs and vectors as arrays, and interpolation between two styles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import images
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


FORM = "a photograph, uint8 (H, W, 3), or an image, float32 (3, H, W) in [-1, 1]"


def read_photograph(path: Path, size: Size | None) -> np.ndarray:
    """Read an image file, or an NPY file of an image, as float32 (3, H, W) in [-1, 1].

    Raises:
        ShanshuiError: it cannot be read, or has another shape.
    """
    if path.suffix == ".npy":
        photograph = read_array(path)
        if photograph.ndim != 3 or photograph.shape[0] != 3:
            raise UsageError(f"{path} has shape {photograph.shape}", "an image, float32 (3, H, W) in [-1, 1]")
    else:
        photograph = images.read_photo(path)
    return as_photograph(photograph, size)


def as_photograph(photograph: ArrayLike, size: Size | None) -> np.ndarray:
    """Convert a photograph to float32 (3, H, W) in [-1, 1].

    Args:
        photograph: uint8 (H, W, 3) RGB, which is resized to `size` as in training, or floats (3, H, W) in [-1, 1],
            which stay as they are.
        size: of the images; None for the photograph's own.

    Raises:
        UsageError: it has another shape, type or range.
    """
    array = np.asarray(photograph)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return images.to_float(images.resize_photo(array, size) if size else array)
    if array.dtype.kind != "f" or array.ndim != 3 or array.shape[0] != 3 or not array.size:
        raise UsageError(f"an array of type {array.dtype} and shape {array.shape}", FORM)
    if not np.abs(array).max() <= 1 + 1e-3:
        raise UsageError(f"an image with numbers from {array.min():.4g} to {array.max():.4g}", FORM)
    return array.astype(np.float32)


def one_style(z: ArrayLike, length: int, source: object = "z") -> np.ndarray:
    """Return a style vector (length,) or (1, length) as float32 (length,).

    Raises:
        UsageError: as for `style_vectors`.
    """
    return style_vectors(z, length, 1, source)[0]


def style_vectors(z: ArrayLike, length: int, count: int, source: object = "z") -> np.ndarray:
    """Return style vectors (count, length), or one for all, (length,) or (1, length), as float32 (count, length).

    Raises:
        UsageError: the generator takes none (`length` 0), or they have another shape or are not finite.
    """
    if not length:
        raise UsageError(f"{source} holds a style vector", "weights of a generator that takes a style or noise as one")
    try:
        vectors = np.asarray(z, np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"{source} holds no numbers", f"{length} finite numbers, float32") from None
    if vectors.shape not in ((length,), (1, length), (count, length)) or not np.isfinite(vectors).all():
        raise UsageError(f"{source} holds numbers of shape {vectors.shape}", f"{length} finite numbers, float32")
    return np.array(np.broadcast_to(vectors, (count, length)))


def blended(styles: Sequence[np.ndarray], share: float) -> np.ndarray:
    """Interpolate between two styles (z_dim,); a single one is returned as it is.

    Args:
        styles: one or two.
        share: weight of the second, 0 to 1.

    Raises:
        UsageError: there are more than two.
    """
    if len(styles) > 2:
        raise UsageError(f"{len(styles)} styles", "one, or two to go from one to the other")
    return styles[0] if len(styles) == 1 else (1 - np.float32(share)) * styles[0] + np.float32(share) * styles[1]


def read_array(path: Path) -> np.ndarray:
    """Read the array of an NPY file.

    Raises:
        ShanshuiError: it cannot be read.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ShanshuiError(f"{path} cannot be read: {error}", "an array saved by numpy.save") from None
