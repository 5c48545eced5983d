"""Height and width in one order everywhere."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """Size of an image or a label map in pixels; as text WIDTHxHEIGHT, the way options and file names have it."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"
