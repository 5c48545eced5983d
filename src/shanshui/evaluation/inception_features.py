"""Inception features of images, equal to pytorch-fid's: bilinear to 299x299, 2048 features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.errors import ShanshuiError
from shanshui.weights.catalogue import entry, fill_network

if TYPE_CHECKING:
    from jittor import Module


SIDE = 299


def _taps(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute for 299 output pixels the two input pixels and the weight of the second (half-pixel centres)."""
    place = (np.arange(SIDE) + 0.5) * (length / SIDE) - 0.5
    place = np.clip(place, 0, length - 1)
    low = place.astype(np.intp)
    return low, np.minimum(low + 1, length - 1), (place - low).astype(np.float32)


def resize_299(photo: np.ndarray) -> np.ndarray:
    """Resize an image to 299x299: bilinear, no antialias, no rounding.

    Args:
        photo: uint8 RGB (H, W, 3).

    Returns:
        float32 (3, 299, 299) in [-1, 1].
    """
    top, bottom, down = _taps(photo.shape[0])
    left, right, across = _taps(photo.shape[1])
    rows = _between(photo[top].astype(np.float32), photo[bottom].astype(np.float32), down[:, None, None])
    planes = np.ascontiguousarray(rows.transpose(2, 0, 1))
    image = _between(planes.take(left, 2), planes.take(right, 2), across)
    image /= np.float32(127.5)
    image -= 1
    return image


def _between(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Compute first + (second - first) * weight in the memory of `second`."""
    second -= first
    second *= weight
    second += first
    return second


class InceptionFeatures:
    """The Inception network of FID with its weights, as a function from batches to features."""

    def __init__(self, weights: str | Path) -> None:
        """Read the weight file.

        Raises:
            ShanshuiError: where it does not fit the network, or holds values that are not finite.
        """
        from shanshui.backend.device import on_cpu
        from shanshui.nn.folded_inception import FoldedInception
        from shanshui.nn.inception import Inception

        network = Inception("fid")
        fill_network(network, "fid_inception", weights)
        network.eval()
        _check_finite(network, weights)
        self._taps = FoldedInception(network) if on_cpu() else network

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Compute features float32 (N, 2048) of float32 (N, 3, 299, 299) in [-1, 1]."""
        with jt.no_grad():
            mean = self._taps(jt.array(images))[-1]
        return mean.numpy().reshape(len(images), -1)


def _check_finite(network: Module, path: str | Path) -> None:
    """Refuse weights that are NaN or infinite: ReLU turns some into zeros, and the features would look valid."""
    bad = [key for key, value in network.state_dict().items() if not np.isfinite(value.numpy()).all()]
    if bad:
        raise ShanshuiError(
            f"{path}: {len(bad)} of its arrays are not finite (NaN or infinite), the first is {bad[0]}",
            "numbers",
            f"fetch it again: {entry('fid_inception').command}",
        )
