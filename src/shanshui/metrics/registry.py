"""All metrics by name: what they look at, what is kept of the reference, how they are computed.

A metric has two pure functions: `reference` condenses the features of real photographs into arrays that are
stored, `score` compares the features of generated pictures with these arrays. Metrics on the same features
share their extraction. No score without the published Inception weights is ever named FID or KID: on
EfficientNet's features the same formulas are `fd_efficientnet` and `kd_efficientnet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shanshui.errors import UsageError
from shanshui.metrics.colour_distance import colour_distance, colour_reference
from shanshui.metrics.estimate import Estimate, mean_distance
from shanshui.metrics.frechet import Gaussian, statistics
from shanshui.metrics.frechet_estimate import frechet_estimate
from shanshui.metrics.kept import kept_features
from shanshui.metrics.kid import kid
from shanshui.metrics.precision_recall import NEIGHBOURS, manifold_reference, precision, recall
from shanshui.metrics.segmentation import mask_accuracy, miou
from shanshui.metrics.sharpness import sharpness, sharpness_reference
from shanshui.metrics.swd import swd, swd_reference

Arrays = Mapping[str, np.ndarray]
Features = Literal[
    "inception", "dct", "patches", "laplacian", "colour", "classes", "segmenter", "efficientnet", "lpips"
]  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One way of scoring a set of pictures.

    `lower_is_better` is None for a ratio whose best value is 1. `reference(features, seed)` returns the
    arrays to keep, `score(features, arrays, seed)` the value and, where known, its standard error. `reference`
    is None where every picture is compared with something of its own, its label map or its photograph.
    """

    name: str
    features: Features
    lower_is_better: bool | None
    description: str
    reference: Callable[[np.ndarray, int], dict[str, np.ndarray]] | None
    score: Callable[[np.ndarray, Arrays, int], Estimate]

    @property
    def fewest(self) -> int:
        """So many pictures, and photographs, have a value at all."""
        if self.reference is manifold_reference:
            return NEIGHBOURS + 1
        return 2 if self.reference in (_gaussian_arrays, _kernel_arrays) else 1

    @property
    def needs_weights(self) -> bool:
        """Whether the Inception weight file is needed."""
        return self.features == "inception"

    @property
    def needs_photographs(self) -> bool:
        """Whether every picture is compared with the photograph of its own label map."""
        return self.features == "lpips"

    @property
    def needs_segmenter(self) -> bool:
        """Whether a segmenter is needed."""
        return self.features in ("classes", "segmenter")

    @property
    def needs_labels(self) -> bool:
        """Whether the label maps are needed that the pictures were made from."""
        return self.features == "classes"


def _gaussian_arrays(features: np.ndarray, _seed: int) -> dict[str, np.ndarray]:
    fitted = statistics(features, "the reference photographs")
    return {"mu": fitted.mean, "sigma": fitted.covariance, "count": np.array(fitted.count)}


def _frechet(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    reference = Gaussian(arrays["mu"], arrays["sigma"], int(arrays["count"]))
    return frechet_estimate(reference, features, seed)


def _kernel_arrays(features: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    return {"features": kept_features(features, seed)}


def _kernel(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return kid(features, arrays["features"], seed)


def _precision(features: np.ndarray, arrays: Arrays, _seed: int) -> Estimate:
    return precision(features, arrays["features"], arrays["radii"])


def _recall(features: np.ndarray, arrays: Arrays, seed: int) -> Estimate:
    return recall(features, arrays["features"], seed)


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
            _kernel_arrays,
            _kernel,
        ),
        Metric(
            "precision",
            "inception",
            False,
            "share of pictures within the photographs' manifold (3 neighbours) in the same Inception-v3 features",
            manifold_reference,
            _precision,
        ),
        Metric(
            "recall",
            "inception",
            False,
            "share of photographs within the pictures' manifold (3 neighbours) in the same Inception-v3 features",
            manifold_reference,
            _recall,
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
            "dct_kid",
            "dct",
            True,
            "kernel distance (cubic, unbiased) of 192 mean log-DCT amplitudes; weight-free, not KID",
            _kernel_arrays,
            _kernel,
        ),
        Metric(
            "dct_precision",
            "dct",
            False,
            "share of pictures within the photographs' manifold (3 neighbours) of 192 log-DCT amplitudes; weight-free",
            manifold_reference,
            _precision,
        ),
        Metric(
            "dct_recall",
            "dct",
            False,
            "share of photographs within the pictures' manifold (3 neighbours) of 192 log-DCT amplitudes; weight-free",
            manifold_reference,
            _recall,
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
            "colour",
            "colour",
            True,
            "Wasserstein distance of six colour statistics a picture, in the photographs' deviations; weight-free",
            lambda features, _seed: colour_reference(features),
            lambda features, arrays, seed: colour_distance(features, arrays["quantiles"], arrays["deviation"], seed),
        ),
        Metric(
            "sharpness",
            "laplacian",
            None,
            "median variance of the Laplacian, relative to the photographs (1 = as sharp); weight-free",
            lambda features, _seed: {"median": sharpness_reference(features)},
            lambda features, arrays, _seed: Estimate(sharpness(features, arrays["median"])),
        ),
        Metric(
            "mask_accuracy",
            "classes",
            False,
            "share of the labelled pixels in which a segmenter finds the given class",
            None,
            lambda features, _arrays, _seed: mask_accuracy(features),
        ),
        Metric(
            "miou",
            "classes",
            False,
            "mean over the given classes of found / (given or said) pixels of a segmenter",
            None,
            lambda features, _arrays, _seed: miou(features),
        ),
        Metric(
            "seg_frechet",
            "segmenter",
            True,
            "Frechet distance of a segmenter's deepest features, averaged over the picture; not FID",
            _gaussian_arrays,
            _frechet,
        ),
        Metric(
            "fd_efficientnet",
            "efficientnet",
            True,
            "Frechet distance of EfficientNet-Lite0 features (1280, ImageNet, pictures at 224x224); not FID",
            _gaussian_arrays,
            _frechet,
        ),
        Metric(
            "kd_efficientnet",
            "efficientnet",
            True,
            "kernel distance (cubic, unbiased) of the same EfficientNet-Lite0 features; not KID",
            _kernel_arrays,
            _kernel,
        ),
        Metric(
            "efficientnet_precision",
            "efficientnet",
            False,
            "share of pictures within the photographs' manifold (3 neighbours) in EfficientNet-Lite0 features",
            manifold_reference,
            _precision,
        ),
        Metric(
            "efficientnet_recall",
            "efficientnet",
            False,
            "share of photographs within the pictures' manifold (3 neighbours) in EfficientNet-Lite0 features",
            manifold_reference,
            _recall,
        ),
        Metric(
            "lpips",
            "lpips",
            True,
            "mean LPIPS (v0.1, AlexNet) of every picture to the photograph of its label map",
            None,
            lambda features, _arrays, _seed: mean_distance(features),
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
