"""Height and width in one order everywhere."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """Size of an image or a label map in pixels; as text WIDTHxHEIGHT, as in options and file names."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"
