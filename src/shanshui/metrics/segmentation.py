"""Mask accuracy and mIoU: how well a segmenter finds the given classes in images, in total and class by class.

All are computed from pixel counts (N, num_classes, 3) per image and class: how many the label map has, for how many of
these the class was found, and how many were predicted as the class. Pixels without a class (255) are ignored. So are
those of classes that the segmenter does not know; they are counted in a fourth number. Counts are summed over images
before shares are taken, so that a share is one of pixels, not a mean of shares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shanshui.data.labels import NO_CLASS
from shanshui.metrics.estimate import FEWEST, Estimate, NotMeasured, jackknife_error
from shanshui.metrics.record import Arrays, metric

GIVEN, FOUND, SAID, UNJUDGED = range(4)  # the last axis of counts; the fourth is there where it is needed


def count_classes(
    said: np.ndarray, given: np.ndarray, num_classes: int, judged: np.ndarray | None = None
) -> NDArray[np.int64]:
    """Count pixels by class in predictions for images and in their label maps.

    Args:
        said: predicted class ids (N, H, W).
        given: class ids of the label maps (N, H, W); 255 means no class.
        num_classes: of the label maps.
        judged: which classes (num_classes,) the segmenter knows; None where it knows all.

    Returns:
        Counts (N, num_classes, 3): pixels given, found and predicted; with `judged` (N, num_classes, 4), the fourth
        of given pixels of classes the segmenter does not know, which count nowhere else.
    """
    counts = np.zeros((len(given), num_classes, 3 if judged is None else 4), np.int64)
    for row, mine, theirs in zip(counts, said, given, strict=True):
        known = theirs != NO_CLASS
        if judged is not None:
            passed = np.bincount(theirs[known], minlength=num_classes) * ~judged
            row[:, UNJUDGED] = passed
            known &= np.append(judged, np.zeros(256 - num_classes, bool))[theirs]
        mine, theirs = mine[known], theirs[known]
        mine = np.where(mine == NO_CLASS, num_classes, mine)  # not of the label maps, hence wrong
        for place, ids in ((GIVEN, theirs), (FOUND, theirs[mine == theirs]), (SAID, mine)):
            row[:, place] = np.bincount(ids, minlength=num_classes)[:num_classes]
    return counts


def mask_accuracy(counts: np.ndarray) -> Estimate:
    """Compute the share of the labelled pixels whose class was found, in [0, 1].

    Args:
        counts: of `count_classes`, (N, num_classes, 3 or 4).

    Returns:
        The share with the jackknife's error over images, None below 4 or where one image holds all labelled pixels.

    Raises:
        NotMeasured: where no pixel has a class, or none that the segmenter knows.
    """
    per_image = _checked(counts)[:, :, [GIVEN, FOUND]].sum(axis=1)  # (N, 2)
    given, found = per_image.sum(axis=0)
    rest = per_image.sum(axis=0) - per_image
    return Estimate(float(found / given), _error(_ratio(rest[:, 1], rest[:, 0])))


def miou(counts: np.ndarray) -> Estimate:
    """Compute the mean intersection over union over the classes the label maps have, in [0, 1].

    Args:
        counts: of `count_classes`, (N, num_classes, 3 or 4).

    Returns:
        The mean with the jackknife's error over images, None below 4 or where one image holds all labelled pixels.

    Raises:
        NotMeasured: where no pixel has a class, or none that the segmenter knows.
    """
    counts = _checked(counts)
    total = counts.sum(axis=0)
    return Estimate(float(_mean_iou(total[None])[0]), _error(_mean_iou(total - counts)))


def per_class(counts: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Compute shares of pixels, accuracy and IoU for every class, by its name.

    Args:
        counts: of `count_classes`, (N, num_classes, 3 or 4).
        classes: names in the order of their ids.

    Returns:
        By class: `pixels`, its share of the labelled pixels; `accuracy` and `iou`, in [0, 1], None where the class does
        not occur or the segmenter does not know it.

    Raises:
        NotMeasured: where no pixel has a class, or none that the segmenter knows.
    """
    total = _checked(counts).sum(axis=0)
    labelled = total[:, GIVEN] + total[:, UNJUDGED:].sum(axis=1)
    shares = labelled / labelled.sum()
    accuracy, iou = _ratio(total[:, FOUND], total[:, GIVEN]), _iou(total)
    return {
        name: {
            "pixels": float(shares[i]),
            "accuracy": None if np.isnan(accuracy[i]) else float(accuracy[i]),
            "iou": None if np.isnan(iou[i]) else float(iou[i]),
        }
        for i, name in enumerate(classes)
    }


def unjudged_share(counts: np.ndarray) -> float | None:
    """Compute the share, in [0, 1], of labelled pixels in classes unknown to the segmenter; None where it knows all."""
    if counts.shape[-1] <= UNJUDGED:
        return None
    given, passed = counts.astype(np.float64).sum(axis=(0, 1))[[GIVEN, UNJUDGED]]
    return float(passed / (given + passed))


def _checked(counts: np.ndarray) -> NDArray[np.float64]:
    """Return counts as float64, exact far beyond any set; NotMeasured where no pixel has a class."""
    exact = counts.astype(np.float64)
    if not exact[:, :, GIVEN].any():
        if exact[:, :, UNJUDGED:].any():
            raise NotMeasured("no pixel of the label maps has a class that the segmenter knows",
                              "label maps with classes it knows", "use another segmenter")  # fmt: skip
        raise NotMeasured("no pixel of the label maps has a class", "label maps with classes")
    return exact


def _ratio(part: np.ndarray, whole: np.ndarray) -> NDArray[np.float64]:
    """Divide `part` by `whole`, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _iou(counts: np.ndarray) -> NDArray[np.float64]:
    """Compute found / (given or predicted) of counts (..., 3); NaN for classes that are not given."""
    given, found, said = np.moveaxis(counts[..., :UNJUDGED], -1, 0)
    return np.where(given > 0, _ratio(found, given + said - found), np.nan)


def _mean_iou(counts: np.ndarray) -> NDArray[np.float64]:
    """Average IoU over the given classes of counts (n, num_classes, 3): (n,); NaN where no class is given."""
    iou = _iou(counts)
    return _ratio(np.nansum(iou, axis=1), np.sum(~np.isnan(iou), axis=1))


def _error(left_out: np.ndarray) -> float | None:
    """Compute the standard error from the values with one image left out in turn; None where there are too few."""
    return None if len(left_out) < FEWEST or np.isnan(left_out).any() else jackknife_error(left_out.tolist())


@metric(
    "mask_accuracy",
    title="Mask accuracy",
    features="classes",
    better="higher",
    description="share of the labelled pixels in which a segmenter finds the given class",
)
def _mask_accuracy(features: np.ndarray, _arrays: Arrays, _seed: int) -> Estimate:
    return mask_accuracy(features)


@metric(
    "miou",
    title="mIoU",
    features="classes",
    better="higher",
    description="mean over the given classes of found / (given or said) pixels of a segmenter",
)
def _miou(features: np.ndarray, _arrays: Arrays, _seed: int) -> Estimate:
    return miou(features)
