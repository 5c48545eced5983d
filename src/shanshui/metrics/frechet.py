"""Frechet distance between two sets of features, NumPy only and without a matrix square root of a product.

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The last trace is the sum of the singular values of A1^T A2 with S1 = A1 A1^T, S2 = A2 A2^T. With X2 the
centred features of the second set it follows from a symmetric eigenvalue problem, of size N2 where N2 - 1 < d
(Gram form: X2 S1 X2^T / (N2 - 1)), of size d otherwise (A1 S2 A1). Only the largest min(N1 - 1, N2 - 1, d)
eigenvalues can differ from zero; the others are rounding and are left out. `scipy.linalg.sqrtm` of the
singular product, which most tools use, is slower by a factor of fifty and fails in some releases of SciPy.
Heusel et al. 2017 define FID as this distance on Inception features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shanshui.errors import ShanshuiError
from shanshui.metrics.estimate import NotMeasured

Numbers = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,) and unbiased covariance (d, d) of `count` feature vectors; a count of 0 is an unknown one."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    count: int

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Compute the symmetric square root (d, d) of the covariance, once."""
        values, vectors = np.linalg.eigh(self.covariance)
        root: NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        return root


def checked(features: Numbers, what: str) -> NDArray[np.float64]:
    """Return features (N, d) as float64 after checking that they have a covariance.

    Args:
        features: one row per image.
        what: what messages call the features.

    Raises:
        NotMeasured: below 2 images, or where all have the same features.
        ShanshuiError: where a feature is not finite.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise NotMeasured(
            f"{what}: {len(rows)} image(s)",
            "at least 2, a distance of distributions needs a covariance",
            "score more",
        )
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        raise ShanshuiError(f"{what}: the features of {bad} of {len(rows)} images are not finite (NaN or infinite)")
    if not np.ptp(rows, axis=0).any():
        raise NotMeasured(
            f"{what}: all {len(rows)} images have the same features",
            "images that differ",
            "look at them: a collapsed generator makes the same image for every label map",
        )
    return rows


def statistics(features: Numbers, what: str = "the images") -> Gaussian:
    """Compute the mean and the unbiased covariance (divided by N - 1, in float64) of features (N, d).

    Raises:
        NotMeasured: below 2 images, or where all have the same features.
        ShanshuiError: where a feature is not finite.
    """
    rows = checked(features, what)
    mean = rows.mean(axis=0)
    centred = rows - mean
    return Gaussian(mean, centred.T @ centred / (len(rows) - 1), len(rows))


@dataclass(frozen=True)
class _Problem:
    """Features (N, d) compared with a reference: mean, centred rows, and the matrix of the eigenvalue problem."""

    reference: Gaussian
    mean: NDArray[np.float64]
    centred: NDArray[np.float64]
    product: NDArray[np.float64]

    @property
    def rank(self) -> int:
        """Count the eigenvalues of `product` that can differ from zero."""
        count, size = self.centred.shape
        return min(count - 1, size, self.reference.count - 1 if self.reference.count else size)

    def distance(self, values: NDArray[np.float64]) -> float:
        """Compute the squared distance from the largest eigenvalues of `product`."""
        variance = np.trace(self.reference.covariance) + (self.centred**2).sum() / (len(self.centred) - 1)
        cross = np.sqrt(np.clip(values, 0, None)).sum()
        return float(((self.mean - self.reference.mean) ** 2).sum() + variance - 2 * cross)


def _pose(reference: Gaussian, rows: NDArray[np.float64], gram: NDArray[np.float64] | None) -> _Problem:
    """Set up the eigenvalue problem of rows (N, d) compared with a reference.

    Args:
        reference: of the distance.
        rows: features in float64.
        gram: products (N, N) of rows centred on any point with the reference's covariance; None for the full form.
    """
    mean = rows.mean(axis=0)
    centred = rows - mean
    if gram is None:
        product = reference.root @ (centred.T @ centred) @ reference.root
    else:
        product = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    return _Problem(reference, mean, centred, (product + product.T) / (2 * (len(rows) - 1)))


def _fitting(reference: Gaussian, features: Numbers, what: str) -> NDArray[np.float64]:
    """Check features (N, d) and that there are as many per image as the reference has."""
    rows = checked(features, what)
    if rows.shape[1] != len(reference.mean):
        raise ShanshuiError(
            f"{what}: {rows.shape[1]} features per image", f"{len(reference.mean)}, as the reference has"
        )
    return rows


def _gram(reference: Gaussian, rows: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Compute products (N, N) of centred rows with the reference's covariance; None where the full form is smaller."""
    if len(rows) - 1 >= rows.shape[1]:
        return None
    centred = rows - rows.mean(axis=0)
    product: NDArray[np.float64] = centred @ reference.covariance @ centred.T
    return product


class Comparison:
    """Features (N, d) compared with a reference.

    Where N - 1 < d the products of all rows with the reference's covariance, the most expensive part, are computed once
    and shared by all questions asked of the comparison.
    """

    def __init__(self, reference: Gaussian, features: Numbers, what: str = "the images") -> None:
        """Check the features and compute the shared products.

        Args:
            reference: of the distance.
            features: of the scored images (N, d).
            what: what messages call the features.

        Raises:
            NotMeasured: below 2 images, or where all have the same features.
            ShanshuiError: where a feature is not finite, or their number is not the reference's.
        """
        self.reference = reference
        self.rows = _fitting(reference, features, what)
        self.gram = _gram(reference, self.rows)

    def distances(self, subsets: Iterable[NDArray[np.intp]]) -> list[float]:
        """Compute the squared Frechet distances between the reference and Gaussians fitted to subsets of the features.

        Args:
            subsets: arrays of two or more row numbers.
        """
        distances = []
        for chosen in subsets:
            gram = None if self.gram is None else self.gram[np.ix_(chosen, chosen)]
            problem = _pose(self.reference, self.rows[chosen], gram)
            distances.append(problem.distance(np.linalg.eigvalsh(problem.product)[-problem.rank :]))
        return distances

    def influence(self) -> tuple[float, NDArray[np.float64]]:
        """Compute the squared distance, and the influence (N,) of each row on it, of mean zero.

        The influence of row j is N times the derivative of the distance by the row's weight. With c = x_j - m2,

            2 c . (m2 - m1) + |c|^2 - c^T T c + const,   T = A1 (A1 S2 A1)^(-1/2) A1,

        and the last term follows from the eigenvectors of either form.
        """
        problem = _pose(self.reference, self.rows, self.gram)
        values, vectors = np.linalg.eigh(problem.product)
        values, vectors = np.clip(values[-problem.rank :], 0, None), vectors[:, -problem.rank :]
        if self.gram is None:
            inverse = np.where(values > values.max() * 1e-12, values, np.inf) ** -0.5
            quadratic = ((problem.centred @ self.reference.root @ vectors) ** 2) @ inverse
        else:
            quadratic = (vectors**2) @ np.sqrt(values) * (len(self.rows) - 1)
        linear = 2 * (problem.centred @ (problem.mean - self.reference.mean)) + (problem.centred**2).sum(axis=1)
        influence = linear - quadratic
        return problem.distance(values), influence - influence.mean()


def frechet_distance(reference: Gaussian, features: Numbers, what: str = "the images") -> float:
    """Compute the squared Frechet distance between the Gaussian fitted to features (N, d) and `reference`."""
    (distance,) = Comparison(reference, features, what).distances([np.arange(len(features))])
    return distance
