"""Averages of checkpoints: equal weights, float64 sums, float32 results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shanshui.storage.checkpoint import Arrays, check_keys


def average(parts: Sequence[Arrays], sources: Sequence[str]) -> Arrays:
    """Average checkpoints with exactly the same names and shapes, name by name.

    The singular vectors of spectral norm (`*.weight_u`, `*.weight_v`) are not averaged: a mean of unit vectors is not a
    unit vector. The first checkpoint's are returned, and the caller refreshes them by power iteration.

    Args:
        parts: arrays of each checkpoint by name.
        sources: what messages call each checkpoint.

    Raises:
        ShanshuiError: where a checkpoint's names or shapes differ from the first one's.
    """
    shapes = {name: array.shape for name, array in parts[0].items()}
    for part, source in zip(parts[1:], sources[1:], strict=True):
        check_keys(part, shapes, source)
    mean: Arrays = {}
    for name, first in parts[0].items():
        if name.endswith(("weight_u", "weight_v")):
            mean[name] = first
            continue
        total = first.astype(np.float64)
        for part in parts[1:]:
            total = total + part[name]
        mean[name] = (total / len(parts)).astype(np.float32)
    return mean
