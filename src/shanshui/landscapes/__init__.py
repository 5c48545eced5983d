"""The embedded dataset: photorealistic landscapes with label maps, drawn with NumPy and SciPy only."""

from __future__ import annotations

from shanshui.landscapes.scene import draw_landscape

__all__ = ["draw_landscape"]
