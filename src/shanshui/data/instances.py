"""Instance maps: which object a pixel belongs to, so that two cars side by side have an edge between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shanshui.data.edges import edges
from shanshui.data.scan import first_line
from shanshui.errors import ShanshuiError
from shanshui.storage.images import read_label_map


@dataclass(frozen=True)
class InstanceFacts:
    """An instance map: (width, height), share of its pixels that lie on an edge. A broken one has a `problem` only."""

    path: Path
    problem: str = ""
    size: tuple[int, int] = (0, 0)
    edges: float = 0.0


def instance_edges(instances: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels whose number differs from that of a neighbour to the left, right, above or below.

    Both pixels of a differing pair are on the edge (Park et al. 2019, whose generator has it as one more channel).
    `instances` (H, W) holds whole numbers of any width; what they are does not matter.
    """
    return edges(instances[None])[0, 0] > 0


def scan_instances(path: Path) -> InstanceFacts:
    """Read an instance map; never raises for a broken or coloured file."""
    try:
        instances = read_label_map(path)
    except ShanshuiError as error:
        return InstanceFacts(path, first_line(path, error))
    return InstanceFacts(path, "", (instances.shape[1], instances.shape[0]), float(instance_edges(instances).mean()))
