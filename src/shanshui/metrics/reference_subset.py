"""The subset of real photographs whose features are stored, for metrics that compare with each photograph."""

from __future__ import annotations

import numpy as np

SUBSET_SIZE = 2000  # 16 MB of Inception features; as many as the images they are compared with, or twice as many


def reference_subset(features: np.ndarray, seed: int) -> np.ndarray:
    """Choose at most 2000 of the features (N, d) at random by `seed`, in their order; float32."""
    if len(features) <= SUBSET_SIZE:
        return features.astype(np.float32)
    chosen = np.random.default_rng(seed).choice(len(features), SUBSET_SIZE, replace=False)
    return features[np.sort(chosen)].astype(np.float32)
