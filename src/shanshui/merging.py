"""Averaging checkpoints: equal weights, float64 sums, float32 results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shanshui.checkpoint import Arrays, check_keys


def average(parts: Sequence[Arrays], sources: Sequence[str]) -> Arrays:
    """Arithmetic mean, name by name, of checkpoints with exactly the same names and shapes.

    The singular vectors of spectral norm (`*.weight_u`) are not averaged: a mean of unit vectors is none.
    The first checkpoint's are kept and the caller refreshes them by power iteration.

    Raises ShanshuiError naming the checkpoint that does not fit the first one.
    """
    shapes = {name: array.shape for name, array in parts[0].items()}
    for part, source in zip(parts[1:], sources[1:], strict=True):
        check_keys(part, shapes, source)
    mean: Arrays = {}
    for name, first in parts[0].items():
        if name.endswith("weight_u"):
            mean[name] = first
            continue
        total = first.astype(np.float64)
        for part in parts[1:]:
            total = total + part[name]
        mean[name] = (total / len(parts)).astype(np.float32)
    return mean


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
