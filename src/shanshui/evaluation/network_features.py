"""EfficientNet-Lite0 features of images, and LPIPS between an image and its photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shanshui.backend.lazy import jt
from shanshui.storage.images import resize_photo, to_float
from shanshui.storage.size import Size
from shanshui.weights.catalogue import fill_network, require


class EfficientNetFeatures:
    """EfficientNet-Lite0 with its weights, as a function from images to features."""

    def __init__(self) -> None:
        """Read the weight file.

        Raises:
            ShanshuiError: where it is missing or a different one.
        """
        from shanshui.nn.efficientnet import SIDE, EfficientNetLite0

        self._side, self._network = SIDE, EfficientNetLite0()
        fill_network(self._network, "efficientnet_lite0", require("efficientnet_lite0"))
        self._network.eval()

    def sized(self, photo: np.ndarray) -> np.ndarray:
        """Resize uint8 (H, W, 3) to uint8 (224, 224, 3), antialiased."""
        return resize_photo(photo, Size(self._side, self._side))

    def __call__(self, photos: np.ndarray) -> np.ndarray:
        """Compute features float32 (N, 1280) of uint8 (N, 224, 224, 3)."""
        with jt.no_grad():
            features = self._network(jt.array(_batch(photos)))
        return features.numpy().reshape(len(photos), -1)


class LpipsFeatures:
    """LPIPS (Zhang et al. 2018) on AlexNet, which its authors recommend for evaluation, as a function of two images."""

    def __init__(self) -> None:
        """Read the weight file.

        Raises:
            ShanshuiError: where it is missing or a different one.
        """
        from shanshui.nn.lpips import LPIPS

        self._network = LPIPS("alexnet")
        fill_network(self._network, "alexnet", require("alexnet"))
        self._network.eval()

    def __call__(self, fakes: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Compute the distances float32 (N,) between two batches uint8 (N, h, w, 3)."""
        with jt.no_grad():
            found = self._network(jt.array(_batch(fakes)), jt.array(_batch(others)))
        return found.numpy().reshape(len(fakes))


def _batch(photos: np.ndarray) -> np.ndarray:
    """Convert uint8 (N, h, w, 3) to float32 (N, 3, h, w) in [-1, 1]."""
    return np.stack([to_float(photo) for photo in photos])


def weights_digest(name: str) -> str:
    """Compute the SHA-256 of a network's weight file.

    Raises:
        ShanshuiError: where it is missing.
    """
    from shanshui.storage.files import sha256

    return sha256(Path(require(name)))
