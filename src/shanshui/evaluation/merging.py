"""Average checkpoints: equal weights, float64 sums, float32 results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shanshui.storage.checkpoint import Arrays, check_keys


def average(parts: Sequence[Arrays], sources: Sequence[str]) -> Arrays:
    """Arithmetic mean, name by name, of checkpoints with exactly the same names and shapes.

    The singular vectors of spectral norm (`*.weight_u`, `*.weight_v`) are not averaged: a mean of unit vectors is none.
    The first checkpoint's are kept and the caller refreshes them by power iteration.

    Raises ShanshuiError naming the checkpoint that does not fit the first one.
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
