"""All metrics by name: what they look at, what is kept of the reference, how they are computed.

A metric has two pure functions: `reference` condenses the features of real photographs into arrays that are
stored, `score` compares the features of generated pictures with these arrays. Metrics on the same features
share their extraction. No score without the published Inception weights is ever named FID or KID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shanshui.errors import UsageError
from shanshui.metrics.frechet import Gaussian, frechet_distance, statistics
from shanshui.metrics.kid import Estimate, kid, kid_reference
from shanshui.metrics.sharpness import sharpness, sharpness_reference
from shanshui.metrics.swd import swd, swd_reference

Arrays = Mapping[str, np.ndarray]
Features = Literal["inception", "dct", "patches", "laplacian"]


@dataclass(frozen=True)
class Metric:
    """One way of scoring a set of pictures.

    `lower_is_better` is None for a ratio whose best value is 1. `reference(features, seed)` returns the
    arrays to keep, `score(features, arrays, seed)` the value and, where known, its standard error.
    """

    name: str
    features: Features
    lower_is_better: bool | None
    description: str
    reference: Callable[[np.ndarray, int], dict[str, np.ndarray]]
    score: Callable[[np.ndarray, Arrays, int], Estimate]

    @property
    def needs_weights(self) -> bool:
        """Whether the Inception weight file is needed."""
        return self.features == "inception"


def _gaussian_arrays(features: np.ndarray, _seed: int) -> dict[str, np.ndarray]:
    fitted = statistics(features, "the reference photographs")
    return {"mu": fitted.mean, "sigma": fitted.covariance, "count": np.array(fitted.count)}


def _frechet(features: np.ndarray, arrays: Arrays, _seed: int) -> Estimate:
    reference = Gaussian(arrays["mu"], arrays["sigma"], int(arrays["count"]))
    return Estimate(frechet_distance(reference, features))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "fid",
            "inception",
            True,
            "Frechet distance of Inception-v3 features (2048; pytorch-fid's weights and preprocessing)",
            _gaussian_arrays,
            _frechet,
        ),
        Metric(
            "kid",
            "inception",
            True,
            "kernel distance of the same Inception-v3 features (cubic kernel, unbiased)",
            lambda features, seed: {"features": kid_reference(features, seed)},
            lambda features, arrays, seed: kid(features, arrays["features"], seed),
        ),
        Metric(
            "dct_frechet",
            "dct",
            True,
            "Frechet distance of 192 mean log-DCT amplitudes (8x8 blocks, YCbCr); weight-free, not FID",
            _gaussian_arrays,
            _frechet,
        ),
        Metric(
            "swd",
            "patches",
            True,
            "sliced Wasserstein distance x 1000 of 7x7 Laplacian patches, reference-normalised; weight-free",
            swd_reference,
            lambda features, arrays, seed: Estimate(swd(features, arrays, seed)),
        ),
        Metric(
            "sharpness",
            "laplacian",
            None,
            "median variance of the Laplacian, relative to the photographs (1 = as sharp); weight-free",
            lambda features, _seed: {"median": sharpness_reference(features)},
            lambda features, arrays, _seed: Estimate(sharpness(features, arrays["median"])),
        ),
    )
}


def choose(names: Iterable[str]) -> list[Metric]:
    """Look metrics up by name; UsageError lists the known ones."""
    chosen = list(dict.fromkeys(names))
    unknown = [name for name in chosen if name not in METRICS]
    if unknown or not chosen:
        raise UsageError(f"unknown metric: {', '.join(unknown) or '(none given)'}", ", ".join(METRICS))
    return [METRICS[name] for name in chosen]
