"""Texture and colour of a photograph as 192 numbers: mean log-amplitudes of its 8x8 cosine transform.

The Frechet distance on them is a cheap ranking of generators that needs no weights: it rises strictly with
blur, noise, JPEG compression and loss of colour. It sees nothing of layout or meaning.
"""

from __future__ import annotations

import numpy as np

from shanshui.metrics.colour import ycbcr
from shanshui.metrics.record import picture_features

BLOCK = 8
FEATURES = 3 * BLOCK * BLOCK


def _dct_matrix() -> np.ndarray:
    """Orthonormal type-2 cosine basis, one frequency a row."""
    k, n = np.mgrid[:BLOCK, :BLOCK]
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


BASIS = _dct_matrix()


@picture_features("dct", numbers=FEATURES)
def dct_features(photo: np.ndarray) -> np.ndarray:
    """uint8 RGB (H, W, 3), sides of 8 or more -> float32 (192,): block mean of log(1 + |coefficient|).

    The order is Y, Cb, Cr, each with its 64 frequencies row by row. Rows and columns beyond the last whole
    block are left out. Cb and Cr are offset by 128 as in JPEG files, so that the amplitude of their mean
    tells a blue cast from a yellow one.
    """
    height, width = (side // BLOCK * BLOCK for side in photo.shape[:2])
    planes = ycbcr(photo[:height, :width]).transpose(2, 0, 1)
    blocks = planes.reshape(3, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 1, 3, 2, 4)
    coefficients = BASIS @ blocks @ BASIS.T
    return np.log1p(np.abs(coefficients)).mean(axis=(1, 2)).reshape(-1)
