"""Detect interpolated label maps, which have intermediate values along class borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDEST = 4  # pixels of a seam; scaling up three times leaves three
BAND = 3  # so many pixels of one number are an object, not a seam
LEAST = 20  # borders with a seam, to say anything
BETWEEN = 0.45  # of what lies between two areas goes from the one number to the other
# Share of the borders that have a seam. Of sound maps (CamVid, Stanford Background, COCO-Stuff, S-FLCKR, landscapes:
# 2,400 in all) 0.2 at most in a single file and 0.006 in a set; of maps scaled bilinearly, bicubically, by Lanczos or
# by area averages, or kept as JPEG, 0.14 to 0.57 in a set.
OF_A_FILE, OF_A_SET = 0.25, 0.1


@dataclass(frozen=True)
class Seams:
    """Number of borders between two areas, along rows and columns, by what lies on them.

    `between` have values that change monotonically from one area's to the other's, `other` different values, `plain`
    none.
    """

    between: int = 0
    other: int = 0
    plain: int = 0

    @property
    def borders(self) -> int:
        """All borders that were found."""
        return self.between + self.other + self.plain

    def scaled(self, share: float = OF_A_FILE) -> bool:
        """Test whether the map was interpolated or stored with lossy compression, as photographs are."""
        least = max(LEAST, BETWEEN * (self.between + self.other), share * self.borders)
        return self.between >= least


def together(found: Sequence[Seams]) -> Seams:
    """Add up the borders of several maps."""
    between, other, plain = (sum(getattr(one, name) for one in found) for name in ("between", "other", "plain"))
    return Seams(between, other, plain)


def _along_rows(ids: np.ndarray) -> np.ndarray:
    """Count the borders (between, other, plain) along the rows of ids (H, W)."""
    found = np.zeros(3, np.int64)
    same = ids[:, 1:] == ids[:, :-1]
    for gap in range(1, min(WIDEST, ids.shape[1] - 4) + 1):
        count = ids.shape[1] - gap - 3
        left, right = ids[:, 1 : 1 + count], ids[:, 2 + gap : 2 + gap + count]
        ends = same[:, :count] & same[:, 2 + gap : 2 + gap + count] & (left != right)
        rows, columns = np.nonzero(ends)  # few: the rest works on these alone
        a, b = ids[rows, columns + 1], ids[rows, columns + 2 + gap]
        middle = np.stack([ids[rows, columns + 2 + step] for step in range(gap)])
        third = (middle != a).all(0) & (middle != b).all(0)
        steps = np.stack([a, *middle, b]).astype(np.int64)
        rising = np.diff(steps, axis=0)
        seam = third & ((rising >= 0).all(0) | (rising <= 0).all(0))
        outside = third & ~seam
        if gap >= BAND:
            seam &= (middle != middle[0]).any(0)
        plain = int((~third).sum()) if gap == 1 else 0
        found += (int(seam.sum()), int(outside.sum()), plain)
    return found


def seams(ids: np.ndarray) -> Seams:
    """Count the borders in class ids (H, W), along rows and columns."""
    between, other, plain = (int(count) for count in _along_rows(ids) + _along_rows(ids.T))
    return Seams(between, other, plain)
