"""Texture and colour of an image as 192 features: mean log-amplitudes of its 8x8 discrete cosine transform.

The Frechet distance on them ranks generators cheaply and needs no weights: it rises strictly with blur, noise, JPEG
compression and loss of colour. It is blind to layout and meaning.
"""

from __future__ import annotations

import numpy as np

from shanshui.metrics.colour import ycbcr
from shanshui.metrics.record import image_features

BLOCK = 8
FEATURES = 3 * BLOCK * BLOCK


def _dct_matrix() -> np.ndarray:
    """Build the orthonormal type-2 cosine basis (8, 8), one frequency a row."""
    k, n = np.mgrid[:BLOCK, :BLOCK]
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


BASIS = _dct_matrix()


@image_features("dct", numbers=FEATURES)
def dct_features(photo: np.ndarray) -> np.ndarray:
    """Compute the mean of log(1 + |coefficient|) over the 8x8 blocks of an image, per channel and frequency.

    Rows and columns beyond the last whole block are left out. Cb and Cr are offset by 128 as in JPEG files, so that the
    amplitude of their mean tells a blue cast from a yellow one.

    Args:
        photo: uint8 RGB (H, W, 3), sides of 8 or more.

    Returns:
        float32 (192,): Y, Cb, Cr, each with its 64 frequencies row by row.
    """
    height, width = (side // BLOCK * BLOCK for side in photo.shape[:2])
    planes = ycbcr(photo[:height, :width]).transpose(2, 0, 1)
    blocks = planes.reshape(3, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 1, 3, 2, 4)
    coefficients = BASIS @ blocks @ BASIS.T
    return np.log1p(np.abs(coefficients)).mean(axis=(1, 2)).reshape(-1)
