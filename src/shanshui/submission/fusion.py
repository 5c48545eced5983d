"""Single-class fusion: replace the image of a (nearly) single-class label map by a training photograph.

The rule of APF-GAN's final submission, made deterministic: the n-th such label map takes the n-th photograph of its
class, each photograph is used once, and if none is left the generated image stays. Pasted images are reported, since
their pixels are training data and not generated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from shanshui.errors import ShanshuiError


@dataclass(frozen=True)
class SingleClassPhoto:
    """A training photograph whose label map has one class only."""

    name: str
    image: str


@dataclass(frozen=True)
class Fit:
    """A label map of nearly one class and the photograph that replaces its image."""

    name: str
    class_id: int
    share: float
    photo: SingleClassPhoto


@dataclass(frozen=True)
class Left:
    """A label map of nearly one class that keeps its generated image, and why."""

    name: str
    class_id: int
    share: float
    reason: str


@dataclass(frozen=True)
class FillPlan:
    """Label maps whose images to replace and to keep, among those of (nearly) one class."""

    fits: list[Fit]
    left: list[Left]


def parse_pure(raw: object, source: str) -> dict[int, list[SingleClassPhoto]]:
    """Parse the content of `pure.json`, {"<class id>": [{"name", "image"}, ...]}, to photographs by class id.

    Raises:
        ShanshuiError: it has another structure.
    """
    try:
        listed = cast("dict[str, list[dict[str, object]]]", raw)
        return {
            int(key): [SingleClassPhoto(str(p["name"]), str(p["image"])) for p in photos]
            for key, photos in listed.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShanshuiError(
            f"{source} is not a list of single-class photographs ({type(error).__name__}: {error})",
            "the file pure.json of the stage `reference`",
            "remove it and run again",
        ) from None


def dominant_class(ids: np.ndarray, num_classes: int) -> tuple[int, float]:
    """Return the most frequent class of ids (H, W) and its share of all pixels, 0..1; the lower id wins a tie.

    Pixels outside 0..num_classes-1 belong to no class and count only in the total.
    """
    flat = ids.reshape(-1)
    counts = np.bincount(flat[(flat >= 0) & (flat < num_classes)].astype(np.int64), minlength=num_classes)
    best = int(counts.argmax())
    return best, float(counts[best]) / flat.size


def plan_fill(
    maps: Iterable[tuple[str, int, float]], pure: Mapping[int, Sequence[SingleClassPhoto]], share: float
) -> FillPlan:
    """Assign the next photograph of its class to every label map with a dominant class, in the order of names.

    Args:
        maps: name, dominant class and its share of each label map.
        pure: photographs by class id.
        share: label maps with a smaller or equal share are left out.
    """
    taken: dict[int, int] = {}
    result = FillPlan([], [])
    for name, class_id, part in sorted(maps):
        if part <= share:
            continue
        photos = pure.get(class_id, ())
        index = taken.get(class_id, 0)
        if index < len(photos):
            result.fits.append(Fit(name, class_id, part, photos[index]))
            taken[class_id] = index + 1
        else:
            reason = "no photograph of this class left" if photos else "no photograph of this class"
            result.left.append(Left(name, class_id, part, reason))
    return result


def paste(generated: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Compose uint8 (H, W, 3): the photograph where `mask` (H, W) is true, the generated image elsewhere."""
    return np.where(mask[..., None], photo, generated)
