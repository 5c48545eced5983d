"""Training pairs whose label map is a single class: the photographs that the stage `fuse` may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

Pair = Mapping[str, str]


def single_class(label_map: np.ndarray, label_offset: int = 0, ignore_label: int | None = None) -> int | None:
    """Class id of a label map (H, W) as read from its file, if all its pixels are that one class; else None.

    `label_offset` is added to the pixel value; `ignore_label` is a pixel value that means no class.
    """
    first = int(label_map.flat[0])
    if first == ignore_label or (label_map != first).any():
        return None
    return first + label_offset


def group_by_class(pairs: Iterable[tuple[int | None, Pair]]) -> dict[str, list[dict[str, str]]]:
    """(class or None, manifest row) -> class id as text -> [{name, image}, ...], both in ascending order."""
    groups: dict[int, list[dict[str, str]]] = {}
    for class_id, pair in pairs:
        if class_id is not None:
            groups.setdefault(class_id, []).append({"name": pair["name"], "image": pair["image"]})
    return {str(c): sorted(groups[c], key=lambda pair: pair["name"]) for c in sorted(groups)}
