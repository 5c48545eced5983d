"""Kernel inception distance (Binkowski et al. 2018): squared maximum mean discrepancy with a cubic kernel.

The estimate over all pairs is unbiased, so that it does not depend on the number of images as FID does.
"""

from __future__ import annotations

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.estimate import FEWEST, GROUPS, Estimate, jackknife_error, random_groups
from shanshui.metrics.frechet import checked
from shanshui.metrics.record import WEIGHT_FREE, Arrays, metric
from shanshui.metrics.reference_subset import reference_subset


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Evaluate the kernel (x . y / d + 1)^3 for all pairs of (N, d) and (M, d): (N, M)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def _block_sums(kernel: np.ndarray, rows: np.ndarray, columns: np.ndarray, groups: int) -> np.ndarray:
    """Sum the kernel (N, M) over pairs of groups: (groups, groups)."""
    left = np.eye(groups)[rows]
    right = np.eye(groups)[columns]
    return left.T @ kernel @ right


def _discrepancy(xx: float, yy: float, xy: float, n: int, m: int) -> float:
    """Combine sums of kernels within and between sets of `n` and `m` images into the unbiased squared MMD."""
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def kid(features: np.ndarray, reference: np.ndarray, seed: int) -> Estimate:
    """Estimate the squared MMD over all pairs of features (N, d) and (M, d), unbiased, with the jackknife's error.

    For the error both sets are split into ten random groups (by `seed`), and one group of each is left out in
    turn; it is None below 4 images. The features may be any; on others than Inception's the value is a kernel
    distance, but not KID.

    Raises:
        NotMeasured: where a set has fewer than 2 images, or all have the same features.
        ShanshuiError: where a feature is not finite, or the sets have different numbers of features.
    """
    x = checked(features, "the images")
    y = checked(reference, "the reference")
    if x.shape[1] != y.shape[1]:
        raise ShanshuiError(f"{x.shape[1]} features per image", f"{y.shape[1]}, as the reference has")
    groups = min(GROUPS, len(x), len(y))
    generator = np.random.default_rng(seed)
    gx, gy = (random_groups(len(z), groups, generator) for z in (x, y))
    kernel_xx, kernel_yy = _kernel(x, x), _kernel(y, y)
    np.fill_diagonal(kernel_xx, 0)
    np.fill_diagonal(kernel_yy, 0)
    xx, yy = _block_sums(kernel_xx, gx, gx, groups), _block_sums(kernel_yy, gy, gy, groups)
    xy = _block_sums(_kernel(x, y), gx, gy, groups)
    value = _discrepancy(xx.sum(), yy.sum(), xy.sum(), len(x), len(y))
    if min(len(x), len(y)) < FEWEST:
        return Estimate(value)
    left_out = []
    for group in range(groups):
        keep = np.arange(groups) != group
        kept = np.ix_(keep, keep)
        sizes = [int((g != group).sum()) for g in (gx, gy)]
        left_out.append(_discrepancy(xx[kept].sum(), yy[kept].sum(), xy[kept].sum(), *sizes))
    return Estimate(value, jackknife_error(left_out))


def _reference(features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    return {"features": reference_subset(features, seed)}


@metric(
    "kid",
    title="KID",
    features="inception",
    better="lower",
    description="kernel distance of the same Inception-v3 features (cubic kernel, unbiased)",
    reference=_reference,
    fewest=2,
)
@metric(
    "dct_kid",
    title="DCT kernel distance",
    features="dct",
    better="lower",
    description="kernel distance (cubic, unbiased) of 192 mean log-DCT amplitudes; weight-free, not KID",
    reference=_reference,
    fewest=2,
    proxy=WEIGHT_FREE,
)
@metric(
    "kd_efficientnet",
    title="EfficientNet kernel distance",
    features="efficientnet",
    better="lower",
    description="kernel distance (cubic, unbiased) of the same EfficientNet-Lite0 features; not KID",
    reference=_reference,
    fewest=2,
    proxy="EfficientNet-Lite0's features, not KID",
)
def _score(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return kid(features, arrays["features"], seed)
