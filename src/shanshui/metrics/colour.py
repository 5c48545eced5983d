"""Conversion of RGB images to brightness and colour: the YCbCr of JPEG files (ITU-R BT.601, full range)."""

from __future__ import annotations

import numpy as np

MATRIX = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32)
OFFSET = np.array([0, 128, 128], dtype=np.float32)


def ycbcr(photo: np.ndarray) -> np.ndarray:
    """Convert uint8 RGB (H, W, 3) to float32 YCbCr (H, W, 3): Y in [0, 255], Cb and Cr around 128, not rounded."""
    return photo.astype(np.float32) @ MATRIX.T + OFFSET
