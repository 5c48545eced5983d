"""Training pairs whose label map is a single class: the photographs that the stage `fuse` may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

Pair = Mapping[str, str]


def single_class(label_map: np.ndarray, label_offset: int = 0, ignore_label: int | None = None) -> int | None:
    """Return the class id of a label map (H, W), if all its pixels have one value that is a class; else None.

    Args:
        label_map: values as in the file.
        label_offset: is added to a value to get its class id.
        ignore_label: value in the file for pixels without a class.
    """
    first = int(label_map.flat[0])
    if first == ignore_label or (label_map != first).any():
        return None
    return first + label_offset


def group_by_class(pairs: Iterable[tuple[int | None, Pair]]) -> dict[str, list[dict[str, str]]]:
    """Group pairs of (class id or None, manifest row) by class.

    Returns:
        Rows of name and image by class id as text, both in ascending order.
    """
    groups: dict[int, list[dict[str, str]]] = {}
    for class_id, pair in pairs:
        if class_id is not None:
            groups.setdefault(class_id, []).append({"name": pair["name"], "image": pair["image"]})
    return {str(c): sorted(groups[c], key=lambda pair: pair["name"]) for c in sorted(groups)}
