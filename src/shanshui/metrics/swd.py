"""Sliced Wasserstein distance of Laplacian-pyramid patches (Karras et al. 2018), reference-normalised.

For every pyramid level, 7x7 patches of the images are projected on random directions, and the sorted
projections of generated and real patches compared. The original normalises each set by its own mean and
deviation, and is therefore blind to a change of colour or contrast; here both sets are normalised by the reference.
Images are converted to YCbCr first, so that the normalisation gives the faint colour of landscapes its weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.colour import ycbcr
from shanshui.metrics.estimate import Estimate
from shanshui.metrics.record import WEIGHT_FREE, Arrays, image_features, metric

PATCH = 7
PATCHES = 32  # per photograph and level
DIRECTIONS = 128
QUANTILES = 512
SMALLEST = 16  # pixels of the shorter side of the last level
KERNEL = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16
SCALE = 1000.0  # the unit in which this distance is usually printed


def _smooth(image: np.ndarray) -> np.ndarray:
    """Apply the 5-tap binomial filter along both axes of an image (H, W, 3)."""
    from scipy import ndimage

    return ndimage.convolve1d(ndimage.convolve1d(image, KERNEL, axis=0, mode="mirror"), KERNEL, axis=1, mode="mirror")


def _enlarge(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Upsample a pyramid level by 2 to `shape` (H, W, 3), with the same filter."""
    sparse = np.zeros(shape, np.float32)
    sparse[::2, ::2] = image
    return _smooth(sparse) * 4


def laplacian_pyramid(photo: np.ndarray) -> list[np.ndarray]:
    """Compute the Laplacian pyramid of an image in YCbCr.

    Args:
        photo: uint8 RGB (H, W, 3).

    Returns:
        float32 levels, finest first, each half the size of the one before; the low-pass residual last, with a shorter
        side below 32 pixels.
    """
    levels: list[np.ndarray] = []
    image = ycbcr(photo) / 127.5 - 1
    while min(image.shape[:2]) >= 2 * SMALLEST:
        smaller = _smooth(image)[::2, ::2]
        levels.append(image - _enlarge(smaller, image.shape))
        image = smaller
    return [*levels, image]


def patch_positions(shape: tuple[int, ...], level: int, seed: int) -> np.ndarray:
    """Draw the top left corners (32, 2) of the patches taken from every image at this pyramid level.

    They are the same for all images: no score depends on names or order, and checkpoints are compared on the same
    places.
    """
    generator = np.random.default_rng([seed, level, 0])
    return generator.integers(0, (shape[0] - PATCH + 1, shape[1] - PATCH + 1), (PATCHES, 2))


@image_features("patches", seeded=True, kept=False)
def patch_features(photo: np.ndarray, seed: int) -> np.ndarray:
    """Extract 7x7 patches of an image's Laplacian pyramid.

    Args:
        photo: uint8 RGB (H, W, 3), sides of 7 or more.
        seed: of the positions.

    Returns:
        float32 (levels, 32, 147).
    """
    rows = []
    for level, image in enumerate(laplacian_pyramid(photo)):
        windows = np.lib.stride_tricks.sliding_window_view(image, (PATCH, PATCH, 3))
        top, left = patch_positions(image.shape, level, seed).T
        rows.append(windows[top, left].reshape(PATCHES, -1))
    return np.stack(rows)


def _directions(level: int, seed: int) -> np.ndarray:
    """Draw random unit vectors, one a column: (147, 128)."""
    vectors = np.random.default_rng([seed, level, 1]).standard_normal((PATCH * PATCH * 3, DIRECTIONS))
    return (vectors / np.linalg.norm(vectors, axis=0)).astype(np.float32)


def _quantiles(patches: np.ndarray, mean: np.ndarray, deviation: np.ndarray, level: int, seed: int) -> np.ndarray:
    """Compute 512 evenly spaced quantiles of every projection of normalised patches: (128, 512)."""
    colours = patches.reshape(-1, PATCH * PATCH, 3)
    normalised = ((colours - mean) / deviation).reshape(len(colours), -1)
    values = np.sort((normalised @ _directions(level, seed)).T, axis=1)
    place = (np.arange(QUANTILES) + 0.5) / QUANTILES * (values.shape[1] - 1)
    low = place.astype(np.intp)
    high = np.minimum(low + 1, values.shape[1] - 1)
    return values[:, low] + (values[:, high] - values[:, low]) * (place - low).astype(np.float32)


def swd_reference(features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Summarise patches (N, levels, 32, 147) of real photographs for `swd`.

    Returns:
        Per pyramid level `mean` and `deviation` (levels, 3) of the colours and `quantiles` (levels, 128, 512) of the
        projections.
    """
    means, deviations, quantiles = [], [], []
    for level, patches in enumerate(np.moveaxis(features, 1, 0)):
        colours = patches.reshape(-1, 3)
        means.append(colours.mean(axis=0, dtype=np.float64).astype(np.float32))
        deviations.append(np.maximum(colours.std(axis=0, dtype=np.float64), 1e-4).astype(np.float32))
        quantiles.append(_quantiles(patches, means[-1], deviations[-1], level, seed))
    return {"mean": np.stack(means), "deviation": np.stack(deviations), "quantiles": np.stack(quantiles)}


def swd(features: np.ndarray, reference: Mapping[str, np.ndarray], seed: int) -> float:
    """Compute the distance of patches (N, levels, 32, 147) from the reference, times 1000; mean over pyramid levels.

    Raises:
        ShanshuiError: where a patch is not finite.
    """
    if not np.isfinite(features).all():
        raise ShanshuiError("the images have patches that are not finite (NaN or infinite)")
    per_level = []
    for level, patches in enumerate(np.moveaxis(features, 1, 0)):
        ours = _quantiles(patches, reference["mean"][level], reference["deviation"][level], level, seed)
        per_level.append(np.abs(ours - reference["quantiles"][level]).mean(dtype=np.float64))
    return SCALE * float(np.mean(per_level))


@metric(
    "swd",
    title="Laplacian SWD",
    features="patches",
    better="lower",
    description="sliced Wasserstein distance x 1000 of 7x7 Laplacian patches, reference-normalised; weight-free",
    reference=swd_reference,
    proxy=WEIGHT_FREE,
)
def _score(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return Estimate(swd(features, arrays, seed))
