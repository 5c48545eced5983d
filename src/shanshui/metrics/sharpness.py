"""Sharpness: strength of the second derivative of the brightness, compared with real photographs."""

from __future__ import annotations

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.colour import ycbcr
from shanshui.metrics.estimate import Estimate
from shanshui.metrics.record import Arrays, image_features, metric


@image_features("laplacian", numbers=1)
def laplacian_variance(photo: np.ndarray) -> np.ndarray:
    """Compute the variance of the brightness' Laplacian, in squared grey levels.

    Args:
        photo: uint8 RGB (H, W, 3).

    Returns:
        float32 (1,).
    """
    from scipy import ndimage

    return np.array([ndimage.laplace(ycbcr(photo)[..., 0]).var(dtype=np.float64)], dtype=np.float32)


def sharpness_reference(features: np.ndarray) -> np.ndarray:
    """Compute the median (1,) of the Laplacian variance (N, 1) over real photographs.

    Raises:
        ShanshuiError: where the median is 0.
    """
    median = np.median(features, axis=0)
    if not median.all():
        raise ShanshuiError("half of the reference photographs or more have no detail at all", "photographs")
    return median


def sharpness(features: np.ndarray, reference: np.ndarray) -> float:
    """Compute the median over images (N, 1), relative to the reference's (1,): below 1 blurred, above 1 harsh."""
    return float(np.median(features) / reference[0])


@metric(
    "sharpness",
    title="Sharpness",
    features="laplacian",
    better="one",
    description="median variance of the Laplacian, relative to the photographs (1 = as sharp); weight-free",
    reference=lambda features, _seed: {"median": sharpness_reference(features)},
)
def _score(features: np.ndarray, arrays: Arrays, _seed: int) -> Estimate:
    return Estimate(sharpness(features, arrays["median"]))
