"""Boundaries between instances, or between classes, as an additional channel of the one-hot label map.

Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", section 3.3.
"""

from __future__ import annotations

import numpy as np


def edges(ids: np.ndarray) -> np.ndarray:
    """Mark where ids change between neighbours: (N, H, W) of any integer type -> float32 (N, 1, H, W).

    Both pixels of every horizontally or vertically neighbouring pair with different ids are 1, all others 0.
    """
    marked = np.zeros(ids.shape, bool)
    across, down = ids[:, :, 1:] != ids[:, :, :-1], ids[:, 1:] != ids[:, :-1]
    marked[:, :, 1:] |= across
    marked[:, :, :-1] |= across
    marked[:, 1:] |= down
    marked[:, :-1] |= down
    return marked[:, None].astype(np.float32)
