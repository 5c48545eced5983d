"""Frechet distance between two sets of features, numpy only and without a matrix square root of a product.

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The last trace is the sum of the singular values of A1^T A2 with S1 = A1 A1^T, S2 = A2 A2^T. With X2 the
centred features of the second set it follows from a symmetric eigenvalue problem, of size N2 where N2 - 1 < d
(Gram form: X2 S1 X2^T / (N2 - 1)), of size d otherwise (A1 S2 A1). Only the largest min(N1 - 1, N2 - 1, d)
eigenvalues can differ from zero; the others are rounding and are left out. `scipy.linalg.sqrtm` of the
singular product, which most tools use, is slower by a factor of fifty and fails in some releases of scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shanshui.errors import ShanshuiError


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,) and unbiased covariance (d, d) of `count` feature vectors; count 0 where it is not known."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    count: int

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Symmetric square root of the covariance, computed once."""
        values, vectors = np.linalg.eigh(self.covariance)
        root: NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        return root


def checked(features: NDArray[Any], what: str) -> NDArray[np.float64]:
    """Return features (N, d) as float64; ShanshuiError where no covariance can be had from them."""
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ShanshuiError(
            f"{what}: {len(rows)} picture(s)",
            "at least 2, a distance of distributions needs a covariance",
            "score more",
        )
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        raise ShanshuiError(f"{what}: the features of {bad} of {len(rows)} pictures are not finite (NaN or infinite)")
    if not np.ptp(rows, axis=0).any():
        raise ShanshuiError(
            f"{what}: all {len(rows)} pictures have the same features",
            "pictures that differ",
            "look at them: a network that has collapsed draws the same picture for every label map",
        )
    return rows


def statistics(features: NDArray[Any], what: str = "the pictures") -> Gaussian:
    """Mean and covariance (divided by N - 1, in float64) of features (N, d)."""
    rows = checked(features, what)
    mean = rows.mean(axis=0)
    centred = rows - mean
    return Gaussian(mean, centred.T @ centred / (len(rows) - 1), len(rows))


def frechet_distance(reference: Gaussian, features: NDArray[Any], what: str = "the pictures") -> float:
    """Squared Frechet distance between the Gaussian fitted to features (N, d) and `reference`."""
    rows = checked(features, what)
    count, size = rows.shape
    if size != len(reference.mean):
        raise ShanshuiError(f"{what}: {size} features a picture", f"{len(reference.mean)}, as the reference has")
    mean = rows.mean(axis=0)
    centred = rows - mean
    scale = 1 / (count - 1)
    if count - 1 < size:
        product = centred @ reference.covariance @ centred.T * scale
    else:
        product = reference.root @ (centred.T @ centred * scale) @ reference.root
    rank = min(count - 1, size, reference.count - 1 if reference.count else size)
    values = np.linalg.eigvalsh((product + product.T) / 2)[-rank:]
    cross = np.sqrt(np.clip(values, 0, None)).sum()
    variance = np.trace(reference.covariance) + (centred**2).sum() * scale
    return float(((mean - reference.mean) ** 2).sum() + variance - 2 * cross)
