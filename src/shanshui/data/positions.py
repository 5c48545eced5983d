"""Position of a pixel within its region: the positional encoding of CLADE-ICPE.

Tan et al. 2021, "Efficient Semantic Image Synthesis via Class-Adaptive Normalization", section 3.4. Here class
0 is a class like any other, and mirroring an image mirrors its encoding.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from shanshui.data.labels import NO_CLASS

EPS = 1e-5


def positions(label_map: np.ndarray) -> np.ndarray:
    """Compute each pixel's offset from the centre of its region, relative to the largest one there.

    A region is an 8-connected component of one class, its centre the mean position of its pixels.

    Args:
        label_map: class ids (H, W); 255 is no class.

    Returns:
        float32 (2, H, W) in (-1, 1): offsets along the rows (down positive), then along the columns (right positive); 0
        where there is no class.
    """
    regions = number_regions(label_map).ravel()
    counts = np.bincount(regions)
    offsets = np.zeros((2, regions.size))
    for axis, at in enumerate(np.indices(label_map.shape).reshape(2, -1)):
        centres = np.bincount(regions, at) / np.maximum(counts, 1)
        distance = at - centres[regions]
        farthest = np.zeros(len(counts))
        np.maximum.at(farthest, regions, np.abs(distance))
        offsets[axis] = distance / (farthest[regions] + EPS)
    offsets[:, regions == 0] = 0
    return offsets.reshape(2, *label_map.shape).astype(np.float32)


def number_regions(label_map: np.ndarray) -> np.ndarray:
    """Label the 8-connected components of single classes with numbers from 1; 0 where the label is 255."""
    regions = np.zeros(label_map.shape, np.int64)
    count = 0
    for label in np.unique(label_map[label_map != NO_CLASS]):
        pieces, found = ndimage.label(label_map == label, np.ones((3, 3), int))
        regions += np.where(pieces > 0, pieces + count, 0)
        count += found
    return regions
