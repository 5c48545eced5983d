"""Nearest-neighbour resizing as indices, so that label maps and one-hot maps are resized identically."""

from __future__ import annotations

import numpy as np


def nearest_index(source: int, target: int) -> np.ndarray:
    """Return the source positions of nearest-neighbour resizing, int64 (target,).

    They are computed in single precision, as other libraries round.
    """
    return np.floor(np.arange(target, dtype=np.float32) * np.float32(source / target)).astype(np.int64)
