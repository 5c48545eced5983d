"""Colour distance of a set: whether brightness, tint and their contrasts are distributed as in real photographs.

Needs no weights, but is blind to the content of an image: flat images in the right colours have no distance.
Together with sharpness it tells where a larger distance in another metric comes from.
"""

from __future__ import annotations

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.colour import ycbcr
from shanshui.metrics.estimate import FEWEST, GROUPS, Estimate, jackknife_error, random_groups
from shanshui.metrics.record import WEIGHT_FREE, Arrays, image_features, metric

QUANTILES = 256
PLACES = (np.arange(QUANTILES) + 0.5) / QUANTILES
FLATTEST = 1.0  # grey levels: a statistic that hardly varies among photographs is not weighted up without end


@image_features("colour", numbers=6)
def colour_statistics(photo: np.ndarray) -> np.ndarray:
    """Compute the means and standard deviations of Y, Cb and Cr over an image.

    Args:
        photo: uint8 RGB (H, W, 3).

    Returns:
        float32 (6,), first the three means, then the three standard deviations, in grey levels.
    """
    pixels = ycbcr(photo).reshape(-1, 3)
    mean = pixels.mean(axis=0, dtype=np.float64)
    return np.concatenate([mean, pixels.std(axis=0, dtype=np.float64)]).astype(np.float32)


def colour_reference(features: np.ndarray) -> dict[str, np.ndarray]:
    """Summarise the colour statistics (N, 6) of real photographs.

    Returns:
        `quantiles` (256, 6) and `deviation` (6,), the standard deviation of each statistic, at least 1 grey level.
    """
    rows = features.astype(np.float64)
    return {
        "quantiles": np.quantile(rows, PLACES, axis=0),
        "deviation": np.maximum(rows.std(axis=0), FLATTEST),
    }


def colour_distance(features: np.ndarray, quantiles: np.ndarray, deviation: np.ndarray, seed: int) -> Estimate:
    """Compute the Wasserstein-1 distance of each colour statistic from the reference's, averaged over the six.

    Args:
        features: statistics (N, 6) of the scored images.
        quantiles: quantiles (256, 6) of the photographs' statistics.
        deviation: standard deviations (6,) of the photographs' statistics, in which the distances are measured.
        seed: of the ten random groups of the jackknife.

    Returns:
        The distance with the jackknife's standard error, None below 4 images.

    Raises:
        ShanshuiError: where a statistic is not finite.
    """
    rows = features.astype(np.float64)
    if not np.isfinite(rows).all():
        raise ShanshuiError("the images have colours that are not finite (NaN or infinite)")

    def distance(chosen: np.ndarray) -> float:
        return float((np.abs(np.quantile(chosen, PLACES, axis=0) - quantiles) / deviation).mean())

    if len(rows) < FEWEST:
        return Estimate(distance(rows))
    groups = min(GROUPS, len(rows))
    group = random_groups(len(rows), groups, np.random.default_rng(seed))
    return Estimate(distance(rows), jackknife_error([distance(rows[group != g]) for g in range(groups)]))


@metric(
    "colour",
    title="Colour distance",
    features="colour",
    better="lower",
    description="Wasserstein distance of six colour statistics per image, in the photographs' deviations; weight-free",
    reference=lambda features, _seed: colour_reference(features),
    proxy=WEIGHT_FREE,
)
def _score(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return colour_distance(features, arrays["quantiles"], arrays["deviation"], seed)
