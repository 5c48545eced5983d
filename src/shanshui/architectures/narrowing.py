"""Smaller generators of the same architecture: the largest width whose cost is a share of a given one's."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.network_cost import generator_costs
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn.cost import Cost
from shanshui.storage.checkpoint import Arrays
from shanshui.storage.size import Size

STEP = 2  # widths are multiples of it: some architectures halve them


@dataclass(frozen=True)
class Student:
    """A smaller generator.

    Attributes:
        declared: the generator.
        cost: of its network, without an encoder, for one image.
        share: its multiply-accumulates / those of the generator it is smaller than.
        arrays: initial weights by name, "G." and "E." for those of an encoder; None: fresh ones.
    """

    declared: Generator
    cost: Cost
    share: float
    arrays: Arrays | None = None


def dense(cost: Cost) -> int:
    """Return the multiply-accumulates where every layer computes at every pixel."""
    return cost.macs


def narrow(teacher: Generator, share: float, size: Size, macs: Callable[[Cost], int] = dense) -> Student:
    """Find the widest generator whose multiply-accumulates are at most `share` of the teacher's.

    Widths are even; SPADE layers get two hidden channels per channel (`Generator.narrowed`). An encoder does not count.

    Args:
        teacher: within its context.
        share: above 0, below 1.
        size: of the images; shares are nearly the same at others.
        macs: the multiply-accumulates that count.

    Raises:
        UsageError: `share` is out of range.
        ShanshuiError: even the narrowest generator takes more.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g}", "above 0 and below 1, of the teacher's multiply-accumulates")
    whole = macs(_cost(teacher, size))

    @functools.cache
    def cost(width: int) -> Cost:
        return _cost(teacher.narrowed(width), size)

    low, high = 1, teacher.base_channels // STEP + 1  # in steps: the widest that fits is in [low, high)
    floor = macs(cost(STEP))
    if high <= low or floor > share * whole:
        raise ShanshuiError(
            f"a share of {share:g} of {teacher.name} with {whole / 1e9:.2f} GMAC",
            f"at least {math.ceil(1e4 * floor / whole) / 1e4:g}: with {STEP} base channels it still takes "
            f"{floor / 1e9:.2f} GMAC",
            "take a larger share, or another generator",
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if macs(cost(STEP * middle)) <= share * whole else (low, middle)
    found = cost(STEP * low)
    return Student(teacher.narrowed(STEP * low), found, macs(found) / whole)


def _cost(declared: Generator, size: Size) -> Cost:
    return generator_costs(BuiltGenerator(declared, *declared.build()), size)["G"]
