"""Segmenter features of images: pixel counts by class, and means of its deepest layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from shanshui.architectures.segmenters import Segmenter
from shanshui.data.labels import apply_label_rules
from shanshui.metrics.segmentation import count_classes
from shanshui.storage.images import read_label_map, resize_photo

LabelRules = Mapping[str, int | None]
PLAIN_RULES: LabelRules = {"label_offset": 0, "ignore_label": 255}


class SegmenterFeatures:
    """A segmenter as a function from images and label maps to features.

    Args:
        segmenter: the network.
        rules: `label_offset` and `ignore_label`, the meaning of the values in label map files.
    """

    def __init__(self, segmenter: Segmenter, rules: LabelRules = PLAIN_RULES) -> None:
        self._segmenter, self._rules = segmenter, rules

    def sized(self, photo: np.ndarray) -> np.ndarray:
        """Resize an image uint8 (H, W, 3) to the segmenter's size."""
        return resize_photo(photo, self._segmenter.size)

    def label_map(self, path: str | Path) -> np.ndarray:
        """Read the class ids uint8 (h, w) of a file, at the segmenter's size; 255 means no class."""
        raw = read_label_map(path, self._segmenter.size)
        count, offset = len(self._segmenter.classes), self._rules["label_offset"] or 0
        return apply_label_rules(raw, count, offset, self._rules["ignore_label"], path)

    def __call__(self, photos: np.ndarray, label_maps: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Compute features of images, and pixel counts where there are label maps.

        Args:
            photos: uint8 (N, h, w, 3) at the segmenter's size.
            label_maps: class ids (N, h, w), or None.

        Returns:
            "segmenter" (N, d), and with label maps "classes", see `count_classes`.
        """
        said, features = self._segmenter.segment(photos)
        if label_maps is None:
            return {"segmenter": features}
        return {
            "segmenter": features,
            "classes": count_classes(said, label_maps, len(self._segmenter.classes), self._segmenter.judged),
        }
