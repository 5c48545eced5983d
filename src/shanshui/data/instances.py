"""Instance maps number the object of each pixel, so that adjacent objects of one class have an edge between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shanshui.data.edges import edges
from shanshui.data.scan import first_line
from shanshui.errors import ShanshuiError
from shanshui.storage.images import read_label_map
from shanshui.storage.size import Size


@dataclass(frozen=True)
class InstanceFacts:
    """An instance map: size, share of its pixels on an edge; if unreadable, only a `problem`."""

    path: Path
    problem: str = ""
    size: Size = Size(0, 0)
    edges: float = 0.0


def instance_edges(instances: np.ndarray) -> np.ndarray:
    """Mark pixels whose id differs from that of a neighbour to the left, right, above or below, as bool (H, W).

    Both pixels of a differing pair are marked (Park et al. 2019, whose generator has the edges as one more channel).

    Args:
        instances: object ids (H, W) of any integer type; only equality matters.
    """
    return edges(instances[None])[0, 0] > 0


def scan_instances(path: Path) -> InstanceFacts:
    """Read an instance map; a broken or coloured file gives a `problem` instead of an exception."""
    try:
        instances = read_label_map(path)
    except ShanshuiError as error:
        return InstanceFacts(path, first_line(path, error))
    return InstanceFacts(path, "", Size.of(instances), float(instance_edges(instances).mean()))
