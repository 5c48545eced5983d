"""FID (Heusel et al. 2017) and other Frechet distances, with standard error and an extrapolation to infinite sets.

The distance of a finite set is too large, by an amount that depends on the generator as well as on the number
of images. The error says how far another set of the same size would fall, not how large that bias is. A line
in 1/N through subsets (Chong and Forsyth 2020) removes part of the bias; below some 5000 images the
distance is not linear in 1/N, so that the intercept is an indication and never a score.
"""

from __future__ import annotations

import numpy as np

from shanshui.metrics.estimate import FEWEST, Estimate
from shanshui.metrics.frechet import Comparison, Gaussian, statistics
from shanshui.metrics.record import WEIGHT_FREE, Arrays, metric

SIZES = 6  # subsets of the line, from half of the images to all of them
FEWEST_OF_LINE = 20


def frechet_estimate(reference: Gaussian, features: np.ndarray, seed: int) -> Estimate:
    """Estimate the squared Frechet distance of features (N, d) from `reference`, its error, and its value at infinity.

    The error is that of the infinitesimal jackknife (Efron 1982): instead of leaving images out one by one, the
    derivative by their weight is taken, in one eigenvalue problem. The value at infinity is the intercept of a line in
    1/N through random subsets of half of the images to all of them.

    Args:
        reference: mean and covariance of the photographs' features.
        features: of the scored images.
        seed: of the subsets.

    Returns:
        The estimate, without an error below 4 images and without a value at infinity below 20.
    """
    count = len(features)
    compared = Comparison(reference, features)
    distance, influence = compared.influence()
    error = float(influence.std(ddof=1) / np.sqrt(count)) if count >= FEWEST else None
    if count < FEWEST_OF_LINE:
        return Estimate(distance, error)
    order = np.random.default_rng(seed)
    sizes = [int(size) for size in np.linspace(count / 2, count, SIZES)[:-1]]
    smaller = compared.distances([order.permutation(count)[:size] for size in sizes])
    line = np.polynomial.Polynomial.fit(1 / np.array([*sizes, count]), [*smaller, distance], 1)
    return Estimate(distance, error, float(line(0.0)))


def _reference(features: np.ndarray, _seed: int) -> dict[str, np.ndarray]:
    fitted = statistics(features, "the reference photographs")
    return {"mu": fitted.mean, "sigma": fitted.covariance, "count": np.array(fitted.count)}


@metric(
    "fid",
    title="FID",
    features="inception",
    better="lower",
    description="Frechet distance of Inception-v3 features (2048; pytorch-fid's weights and preprocessing)",
    reference=_reference,
    fewest=2,
)
@metric(
    "dct_frechet",
    title="DCT-Fréchet",
    features="dct",
    better="lower",
    description="Frechet distance of 192 mean log-DCT amplitudes (8x8 blocks, YCbCr); weight-free, not FID",
    reference=_reference,
    fewest=2,
    proxy=WEIGHT_FREE,
)
@metric(
    "seg_frechet",
    title="Segmenter Fréchet",
    features="segmenter",
    better="lower",
    description="Frechet distance of a segmenter's deepest features, averaged over the image; not FID",
    reference=_reference,
    fewest=2,
    proxy="the segmenter's features, not FID",
)
@metric(
    "fd_efficientnet",
    title="EfficientNet Fréchet",
    features="efficientnet",
    better="lower",
    description="Frechet distance of EfficientNet-Lite0 features (1280, ImageNet, images at 224x224); not FID",
    reference=_reference,
    fewest=2,
    proxy="EfficientNet-Lite0's features, not FID",
)
def _score(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return frechet_estimate(Gaussian(arrays["mu"], arrays["sigma"], int(arrays["count"])), features, seed)
