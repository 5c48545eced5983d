"""Segmenter features of images: confusion counts, and means of its deepest layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from shanshui.architectures.segmenters import Segmenter
from shanshui.data.labels import apply_label_rules
from shanshui.metrics.segmentation import count_classes
from shanshui.storage.images import read_label_map, resize_label_map, resize_photo

LabelRules = Mapping[str, int | None]
PLAIN_RULES: LabelRules = {"label_offset": 0, "ignore_label": 255}


class SegmenterFeatures:
    """A segmenter as a function from images and label maps to features.

    Args:
        segmenter: the network.
        rules: `label_offset` and `ignore_label`, what the numbers in the files of label maps mean.
    """

    def __init__(self, segmenter: Segmenter, rules: LabelRules = PLAIN_RULES) -> None:
        self._segmenter, self._rules = segmenter, rules

    def sized(self, photo: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) at the segmenter's size."""
        return resize_photo(photo, self._segmenter.size)

    def label_map(self, path: str | Path) -> np.ndarray:
        """Class ids uint8 (h, w) of a file, at the segmenter's size; 255 = no class."""
        raw = resize_label_map(read_label_map(path), self._segmenter.size)
        count, offset = len(self._segmenter.classes), self._rules["label_offset"] or 0
        return apply_label_rules(raw, count, offset, self._rules["ignore_label"], path)

    def __call__(self, photos: np.ndarray, label_maps: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Of uint8 (N, h, w, 3): "segmenter" (N, d), and with ids (N, h, w) "classes", see `count_classes`."""
        said, features = self._segmenter.see(photos)
        if label_maps is None:
            return {"segmenter": features}
        return {
            "segmenter": features,
            "classes": count_classes(said, label_maps, len(self._segmenter.classes), self._segmenter.judged),
        }
