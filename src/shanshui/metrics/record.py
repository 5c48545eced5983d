"""Records of metrics and of the features they are computed from, and the decorators that declare them.

    @image_features("colour", numbers=6)
    def colour_statistics(image): ...

    @metric("colour", title="Colour distance", features="colour", better="lower", reference=..., description=...)
    def score(features, arrays, seed): ...

A declaration is all that a metric needs: names in the configuration, in tables and in the report, the files a metric
needs, its disk usage and whether a set has too few images are read from the records. Modules here import NumPy, no
SciPy and no Jittor, so that the configuration can read the records of all metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.estimate import Estimate

Arrays = Mapping[str, np.ndarray]
Need = Literal["photographs", "labels", "segmenter"]
ReferenceFunction = Callable[[np.ndarray, int], dict[str, np.ndarray]]
ScoreFunction = Callable[[np.ndarray, Arrays, int], Estimate]
ImageFunction = TypeVar("ImageFunction", bound=Callable[..., np.ndarray])
WEIGHT_FREE = "weight-free proxy, not FID"


@dataclass(frozen=True)
class Features:
    """One kind of features of an image.

    Args:
        name: what metrics call it.
        numbers: how many are stored per image; 0 where they are not stored or their number is the segmenter's.
        take: from an image uint8 (H, W, 3) and a seed to its features; None where a network takes whole batches.
        weights: name of the weight file of that network in `weights.catalogue`; "" where it needs none.
        needs: what is needed besides the images: "photographs" of the same label maps, the "labels" themselves,
            a "segmenter".
        own_size: whether images are taken as they are, not resized to the generated images' size.
        kept: whether they are stored with `score --features-out`.
    """

    name: str
    numbers: int = 0
    take: Callable[[np.ndarray, int], np.ndarray] | None = None
    weights: str = ""
    needs: frozenset[Need] = frozenset()
    own_size: bool = False
    kept: bool = True


@dataclass(frozen=True)
class Metric:
    """One metric of a set of images.

    Args:
        name: its name in the configuration and in files.
        title: its name in tables and plots.
        features: name of the kind of features it is computed from.
        lower_is_better: None for a ratio whose best value is 1.
        description: what it is computed from, for people.
        score: from features (N, ...), the arrays of the reference and a seed to the value.
        reference: from features of real photographs and a seed to the arrays that are stored; None where every image
            is compared with its own label map or its own photograph.
        fewest: the least number of images, and of photographs, for which there is a value.
        proxy: note for tables, on a metric that might be mistaken for FID or KID.
    """

    name: str
    title: str
    features: str
    lower_is_better: bool | None
    description: str
    score: ScoreFunction
    reference: ReferenceFunction | None = None
    fewest: int = 1
    proxy: str = ""

    @property
    def source(self) -> Features:
        """Look up the record of its features."""
        return _FEATURES[self.features]

    @property
    def weight_free(self) -> bool:
        """Return whether it is a proxy that needs no weights."""
        return self.proxy == WEIGHT_FREE

    @property
    def needs_weights(self) -> bool:
        """Return whether it needs the Inception weight file."""
        return self.source.weights == "fid_inception"

    @property
    def needs_photographs(self) -> bool:
        """Return whether it compares every image with the photograph of its own label map."""
        return "photographs" in self.source.needs

    @property
    def needs_segmenter(self) -> bool:
        """Return whether it needs a segmenter."""
        return "segmenter" in self.source.needs

    @property
    def needs_labels(self) -> bool:
        """Return whether it needs the label maps that the images were generated from."""
        return "labels" in self.source.needs


_METRICS: dict[str, Metric] = {}
_FEATURES: dict[str, Features] = {}


def metric(
    name: str,
    *,
    title: str,
    features: str,
    better: Literal["lower", "higher", "one"],
    description: str,
    reference: ReferenceFunction | None = None,
    fewest: int = 1,
    proxy: str = "",
) -> Callable[[ScoreFunction], ScoreFunction]:
    """Declare the decorated function `score(features, arrays, seed) -> Estimate` as a metric; see `Metric`.

    `better` "one" is for a ratio whose best value is 1: nothing can be ranked by it.

    Raises:
        ShanshuiError: where a metric of this name is declared already.
    """
    lower = {"lower": True, "higher": False, "one": None}[better]

    def declare(score: ScoreFunction) -> ScoreFunction:
        record = Metric(name, title, features, lower, description, score, reference, fewest, proxy)
        _check_new(name, _METRICS, "metric")
        _METRICS[name] = record
        return score

    return declare


def image_features(
    name: str, *, numbers: int = 0, seeded: bool = False, kept: bool = True
) -> Callable[[ImageFunction], ImageFunction]:
    """Declare the decorated function as features of one image: of uint8 (H, W, 3), and of a seed where `seeded`.

    Images are resized to the generated images' size first.

    Raises:
        ShanshuiError: where features of this name are declared already.
    """

    def declare(function: ImageFunction) -> ImageFunction:
        def take(photo: np.ndarray, seed: int) -> np.ndarray:
            return function(photo, seed) if seeded else function(photo)

        network_features(Features(name, numbers, take, kept=kept))
        return function

    return declare


def network_features(record: Features) -> None:
    """Declare features that a network extracts.

    Raises:
        ShanshuiError: where features of this name are declared already.
    """
    _check_new(record.name, _FEATURES, "kind of features")
    _FEATURES[record.name] = record


def _check_new(name: str, known: Mapping[str, object], what: str) -> None:
    if name in known:
        raise ShanshuiError(f"two declarations of the {what} {name}", "one name for each", "rename one of them")


def declared_metrics() -> dict[str, Metric]:
    """Return all metrics declared so far by name, sorted by name so that the order of imports does not matter."""
    return dict(sorted(_METRICS.items()))


def declared_features() -> dict[str, Features]:
    """Return all kinds of features declared so far by name, sorted by name."""
    return dict(sorted(_FEATURES.items()))
