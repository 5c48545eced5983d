"""The left singular vectors that spectral norm keeps (`<layer>.weight_u`), made to fit weights put together anew."""

from __future__ import annotations

import numpy as np

from shanshui.checkpoint import Arrays


def refresh_singular_vectors(arrays: Arrays, iterations: int = 50) -> Arrays:
    """Recompute every `<layer>.weight_u` from `<layer>.weight` by power iteration (float64).

    u is the leading left singular vector of the weight seen as (out, in * k * k).
    """
    fresh = dict(arrays)
    for name, u in arrays.items():
        if not name.endswith("weight_u"):
            continue
        matrix = arrays[name.removesuffix("_u")].reshape(u.size, -1).astype(np.float64)
        vector = u.reshape(-1).astype(np.float64)
        for _ in range(iterations):
            vector = unit(matrix @ unit(matrix.T @ vector))
        fresh[name] = vector.reshape(u.shape).astype(np.float32)
    return fresh


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector divided by its length."""
    return vector / np.maximum(np.linalg.norm(vector), 1e-12)
