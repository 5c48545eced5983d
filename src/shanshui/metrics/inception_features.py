"""Inception features of photographs, equal to pytorch-fid's: bilinear to 299x299, 2048 numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shanshui.weights.catalogue import fill_network

SIDE = 299


def _taps(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For SIDE output pixels: the two input pixels and the weight of the second (half-pixel centres)."""
    place = (np.arange(SIDE) + 0.5) * (length / SIDE) - 0.5
    place = np.clip(place, 0, length - 1)
    low = place.astype(np.intp)
    return low, np.minimum(low + 1, length - 1), (place - low).astype(np.float32)


def resize_299(photo: np.ndarray) -> np.ndarray:
    """uint8 RGB (H, W, 3) -> float32 (3, 299, 299) in [-1, 1]: bilinear, no antialias, no rounding."""
    top, bottom, down = _taps(photo.shape[0])
    left, right, across = _taps(photo.shape[1])
    upper, lower = photo[top].astype(np.float32), photo[bottom].astype(np.float32)
    rows = upper + (lower - upper) * down[:, None, None]
    image = rows[:, left] + (rows[:, right] - rows[:, left]) * across[None, :, None]
    return np.ascontiguousarray(image.transpose(2, 0, 1)) / np.float32(127.5) - 1


class InceptionFeatures:
    """The Inception network of FID with its weights, as a function from batches to features."""

    def __init__(self, weights: str | Path) -> None:
        """Read the weight file; ShanshuiError where it does not fit the network."""
        from shanshui.models.inception import Inception

        self._net = Inception("fid")
        fill_network(self._net, "fid_inception", weights)
        self._net.eval()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, 3, 299, 299) in [-1, 1] -> float32 (N, 2048)."""
        from shanshui.runtime import load_jittor

        jt = load_jittor()
        with jt.no_grad():
            mean = self._net(jt.array(images))[-1]
        return mean.numpy().reshape(len(images), -1)
