"""Height and width in one order everywhere, and as text in one form."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from jittor import Var

FORM = "WIDTHxHEIGHT in pixels, such as 512x384"


class Size(NamedTuple):
    """Size of an image, a label map or a map of features in pixels.

    Arrays have rows first, and so has a size. As text it is WIDTHxHEIGHT, as options and file names have it; a format
    specification is that of each side, so that f"{size:03d}" gives 064x048. Pillow and lists in files have the width
    first: `width_first` and `of_width_first` are the only ways to and from them.
    """

    height: int
    width: int

    def __str__(self) -> str:
        return format(self)

    def __format__(self, spec: str) -> str:
        return f"{self.width:{spec}}x{self.height:{spec}}"

    @classmethod
    def of(cls, image: np.ndarray) -> Size:
        """Return the size of an array (H, W) or (H, W, channels)."""
        return cls(*image.shape[:2])

    @classmethod
    def of_maps(cls, maps: Var | np.ndarray) -> Size:
        """Return the size of a batch (N, channels, H, W) or (N, H, W)."""
        return cls(*tuple(maps.shape)[-2:])

    @classmethod
    def of_width_first(cls, sides: Sequence[int]) -> Size:
        """Return the size whose width and height, in this order, are the two items of `sides`."""
        width, height = sides
        return cls(height, width)

    @classmethod
    def parse(cls, text: str) -> Size:
        """Return the size written as WIDTHxHEIGHT, in an argument of a command.

        Raises:
            argparse.ArgumentTypeError: another text, or a side of 0.
        """
        width, _, height = text.partition("x")
        if not (text.isascii() and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            raise argparse.ArgumentTypeError(f"{text}: expected {FORM}")
        return cls(int(height), int(width))

    @property
    def width_first(self) -> tuple[int, int]:
        """Width and height, as Pillow takes them."""
        return self.width, self.height

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def divided(self, divisor: int) -> Size:
        """Return the size with both sides divided by `divisor`, rounded down."""
        return Size(self.height // divisor, self.width // divisor)

    def at_width(self, width: int) -> Size:
        """Return the size of the same shape at another width, the height rounded down."""
        return Size(width * self.height // self.width, width)
