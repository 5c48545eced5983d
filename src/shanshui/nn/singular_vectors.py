"""Update of the singular vectors stored by spectral norm (`weight_u`, in some layers `weight_v`) for new weights."""

from __future__ import annotations

import numpy as np

from shanshui.storage.checkpoint import Arrays

VECTORS = ("weight_u", "weight_v")  # ends of the names of the vectors


def refresh_singular_vectors(arrays: Arrays, iterations: int = 50) -> Arrays:
    """Recompute every `<layer>.weight_u` by power iteration (float64) on `<layer>.weight`, and `weight_v` where stored.

    u and v are the leading singular vectors, left and right, of the weight seen as (out, in * k * k).
    """
    fresh = dict(arrays)
    for name, u in arrays.items():
        if not name.endswith("weight_u"):
            continue
        matrix = arrays[name.removesuffix("_u")].reshape(u.size, -1).astype(np.float64)
        vector = u.reshape(-1).astype(np.float64)
        for _ in range(iterations):
            vector = unit_length(matrix @ unit_length(matrix.T @ vector))
        fresh[name] = vector.reshape(u.shape).astype(np.float32)
        right = name.removesuffix("_u") + "_v"
        if right in arrays:
            fresh[right] = unit_length(matrix.T @ vector).astype(np.float32)
    return fresh


def largest_singular_value(arrays: Arrays, layer: str) -> float:
    """Compute what evaluation divides the weight of a spectrally normalised layer by, in float64.

    With both vectors stored, it is u^T W v. With the left one alone, v comes from one more power iteration.
    """
    u = arrays[f"{layer}.weight_u"].astype(np.float64)
    matrix = arrays[f"{layer}.weight"].reshape(u.size, -1).astype(np.float64)
    v = arrays.get(f"{layer}.weight_v")
    return float(u @ matrix @ (unit_length(u @ matrix) if v is None else v))


def unit_length(vector: np.ndarray) -> np.ndarray:
    """Divide a vector by its length."""
    return vector / np.maximum(np.linalg.norm(vector), 1e-12)
