"""Segment a photograph into a label map to start from, by the built-in segmenter."""

from __future__ import annotations

import functools

import numpy as np

from shanshui.architectures.segmenters import Segmenter, builtin_segmenter
from shanshui.data.labels import NO_CLASS, Classes, value_counts
from shanshui.errors import ShanshuiError
from shanshui.painting.refusals import Refusal
from shanshui.storage import images
from shanshui.storage.size import Size


@functools.lru_cache(maxsize=1)
def _segmenter(names: tuple[str, ...]) -> Segmenter:
    return builtin_segmenter(names)


def segmented(photo: np.ndarray, classes: Classes, size: Size) -> tuple[dict[str, object], np.ndarray]:
    """Predict class ids uint8 (H, W) of a photograph, uint8 (h, w, 3), at `size`.

    Pixels of no known class become those of the nearest pixel that has one, unless the weights know pixels of no class.

    Returns:
        A report with the numbers of pixels, and the class ids.

    Raises:
        Refusal: the segmenter knows none of the classes, or finds none.
    """
    try:
        segmenter = _segmenter(classes.names)
    except ShanshuiError as error:
        raise Refusal("no_segmenter", error.found, error.expected, error.do) from None
    ids, _ = segmenter.segment(images.resize_photo(photo, segmenter.size)[None])
    found = images.resize_label_map(ids[0], size)
    unknown = found == NO_CLASS
    if unknown.all():
        raise Refusal("bad_image", "no class is recognised in the photograph", "a photograph of a landscape")
    if unknown.any() and classes.no_class is None:
        found = _filled(found, unknown)
    counts = value_counts(found)
    report: dict[str, object] = {
        "width": photo.shape[1], "height": photo.shape[0], "resized": Size.of(photo) != size, "how": "segmented",
        "ids": {str(number): pixels for number, pixels in counts.items() if number != NO_CLASS},
        "no_class": int(unknown.sum()),
    }  # fmt: skip
    return report, found


def _filled(ids: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Replace unknown pixels (H, W) by the nearest known ones."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return ids[rows, columns]
