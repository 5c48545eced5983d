"""Improved precision and recall (Kynkaanniemi et al. 2019): fidelity and coverage of a generator as two numbers.

The manifold of a set of features is the union of the balls around its points that reach to their third nearest
neighbour within the set. Precision is the share of images within the photographs' manifold, recall the share of
photographs within the images' manifold. A distance of distributions mixes the two up.
"""

from __future__ import annotations

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.estimate import GROUPS, Estimate, NotMeasured, jackknife_error, random_groups
from shanshui.metrics.frechet import checked
from shanshui.metrics.record import WEIGHT_FREE, Arrays, metric
from shanshui.metrics.reference_subset import reference_subset

NEIGHBOURS = 3
BLOCK = 1000  # rows whose distances are held at once


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute squared Euclidean distances (N, M) between the rows of (N, d) and (M, d), all float64."""
    return np.maximum((x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * (x @ y.T), 0)


def squared_radii(within: np.ndarray) -> np.ndarray:
    """Find the squared distance (N,) to the third nearest other point, from a set's own squared distances (N, N)."""
    return np.partition(within, NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # the nearest point is the point itself


def enough(features: np.ndarray, what: str) -> np.ndarray:
    """Return features (N, d) as float64 after checking that every point has three neighbours.

    Raises:
        NotMeasured: below 4 images, or where all have the same features.
        ShanshuiError: where a feature is not finite.
    """
    rows = checked(features, what)
    if len(rows) <= NEIGHBOURS:
        raise NotMeasured(f"{what}: {len(rows)} images", f"{NEIGHBOURS + 1} or more, for {NEIGHBOURS} neighbours")
    return rows


def manifold_reference(features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Choose at most 2000 of the photographs' features (N, d) at random by `seed`, and compute their squared radii.

    Returns:
        `features` (M, d) and `radii` (M,).

    Raises:
        NotMeasured: below 4 photographs, or where all have the same features.
        ShanshuiError: where a feature is not finite.
    """
    kept = reference_subset(features, seed)
    rows = enough(kept, "the reference photographs")
    blocks = [squared_radii(squared_distances(rows[i : i + BLOCK], rows)) for i in range(0, len(rows), BLOCK)]
    return {"features": kept, "radii": np.concatenate(blocks)}


def precision(features: np.ndarray, real: np.ndarray, radii: np.ndarray) -> Estimate:
    """Compute the share of images (N, d) within the balls of photographs (M, d) with squared radii (M,).

    The error is that of a share of N images.

    Raises:
        NotMeasured: below 4 images, or where all have the same features.
        ShanshuiError: where a feature is not finite, or the sets have different numbers of features.
    """
    ours, rows = enough(features, "the images"), real.astype(np.float64)
    _check_size(ours, rows)
    blocks = [ours[i : i + BLOCK] for i in range(0, len(ours), BLOCK)]
    covered = np.concatenate([(squared_distances(block, rows) <= radii).any(axis=1) for block in blocks])
    return Estimate(float(covered.mean()), float(covered.std(ddof=1) / np.sqrt(len(covered))))


def recall(features: np.ndarray, real: np.ndarray, seed: int) -> Estimate:
    """Compute the share of photographs `real` (M, d) within the balls of images (N, d).

    The error is the jackknife's over ten groups of images (by `seed`), since leaving images out widens the balls
    of the others; it is None where too few images for three neighbours would remain.

    Raises:
        NotMeasured: below 4 images, or where all have the same features.
        ShanshuiError: where a feature is not finite, or the sets have different numbers of features.
    """
    ours, rows = enough(features, "the images"), real.astype(np.float64)
    _check_size(ours, rows)
    within = squared_distances(ours, ours)
    between = squared_distances(rows, ours)
    value = _covered(within, between)
    groups = min(GROUPS, len(ours))
    if len(ours) - -(-len(ours) // groups) <= NEIGHBOURS:
        return Estimate(value)
    group = random_groups(len(ours), groups, np.random.default_rng(seed))
    kept = [np.flatnonzero(group != left_out) for left_out in range(groups)]
    return Estimate(value, jackknife_error([_covered(within[np.ix_(k, k)], between[:, k]) for k in kept]))


def _covered(within: np.ndarray, between: np.ndarray) -> float:
    """Compute the share of the rows of `between` (M, N) that lie within the ball of any of the N points."""
    return float((between <= squared_radii(within)).any(axis=1).mean())


def _check_size(ours: np.ndarray, real: np.ndarray) -> None:
    if ours.shape[1] != real.shape[1]:
        raise ShanshuiError(f"{ours.shape[1]} features per image", f"{real.shape[1]}, as the reference has")


@metric(
    "precision",
    title="Precision",
    features="inception",
    better="higher",
    description="share of images within the photographs' manifold (3 neighbours) in the same Inception-v3 features",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
)
@metric(
    "dct_precision",
    title="DCT precision",
    features="dct",
    better="higher",
    description="share of images within the photographs' manifold (3 neighbours) of 192 log-DCT amplitudes; "
    "weight-free",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
    proxy=WEIGHT_FREE,
)
@metric(
    "efficientnet_precision",
    title="EfficientNet precision",
    features="efficientnet",
    better="higher",
    description="share of images within the photographs' manifold (3 neighbours) in EfficientNet-Lite0 features",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
)
def _precision(features: np.ndarray, arrays: Arrays, _seed: int) -> Estimate:
    return precision(features, arrays["features"], arrays["radii"])


@metric(
    "recall",
    title="Recall",
    features="inception",
    better="higher",
    description="share of photographs within the images' manifold (3 neighbours) in the same Inception-v3 features",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
)
@metric(
    "dct_recall",
    title="DCT recall",
    features="dct",
    better="higher",
    description="share of photographs within the images' manifold (3 neighbours) of 192 log-DCT amplitudes; "
    "weight-free",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
    proxy=WEIGHT_FREE,
)
@metric(
    "efficientnet_recall",
    title="EfficientNet recall",
    features="efficientnet",
    better="higher",
    description="share of photographs within the images' manifold (3 neighbours) in EfficientNet-Lite0 features",
    reference=manifold_reference,
    fewest=NEIGHBOURS + 1,
)
def _recall(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return recall(features, arrays["features"], seed)
