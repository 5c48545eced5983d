"""LPIPS (Zhang et al. 2018) between every image and the photograph of its label map."""

from __future__ import annotations

import numpy as np

from shanshui.metrics.estimate import Estimate, mean_distance
from shanshui.metrics.record import Arrays, metric


@metric(
    "lpips",
    title="LPIPS to the photograph",
    features="lpips",
    better="lower",
    description="mean LPIPS (v0.1, AlexNet) of every image to the photograph of its label map",
)
def _score(features: np.ndarray, _arrays: Arrays, _seed: int) -> Estimate:
    return mean_distance(features)
