"""The features of real photographs that are kept for scores which need them one by one."""

from __future__ import annotations

import numpy as np

KEPT = 2000  # 16 MB of Inception features; as many as the pictures they are compared with, or twice that


def kept_features(features: np.ndarray, seed: int) -> np.ndarray:
    """At most KEPT of the features (N, d), float32, chosen at random by `seed`."""
    if len(features) <= KEPT:
        return features.astype(np.float32)
    chosen = np.random.default_rng(seed).choice(len(features), KEPT, replace=False)
    return features[np.sort(chosen)].astype(np.float32)
