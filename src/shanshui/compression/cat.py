"""CAT's students: inception SPADE generators whose widths are those that their teacher's norms make most use of."""

from __future__ import annotations

import math

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.inception_spade import InceptionSpade
from shanshui.architectures.narrowing import Student, dense
from shanshui.backend.modules import gather
from shanshui.compression.inception_search import LEAST, Scales, Widths, search
from shanshui.compression.pruning import Count, cost_of
from shanshui.errors import ShanshuiError, UsageError
from shanshui.nn.channel_groups import Plan, channel_groups
from shanshui.storage.size import Size


def check_cat(declared: Generator, share: float, size: Size, count: Count = dense) -> None:
    """Check that a smaller generator takes a share of the cost.

    Raises:
        UsageError: `share` is out of range.
        ShanshuiError: this is another architecture, or every smaller one takes more.
    """
    groups = channel_groups(_checked(declared, share).build()[0])
    branches = {group.name: np.zeros(group.channels, np.float32) for group in groups}
    trunk = np.zeros(16 * declared.base_channels, np.float32)
    _searched(declared, Scales(trunk, branches, _halved(declared)), share, size, count)


def cat(teacher: BuiltGenerator, share: float, size: Size, count: Count = dense) -> Student:
    """Find the widths of a smaller generator by CAT's search; its weights are fresh.

    Args:
        teacher: an inception SPADE generator.
        share: of its multiply-accumulates, above 0 and below 1.
        size: of the images.
        count: the multiply-accumulates of a cost; dense ones, or on distinct patches.

    Raises:
        UsageError: `share` is out of range.
        ShanshuiError: the teacher is of another architecture, or every smaller one takes more.
    """
    declared = _checked(teacher.declared, share)
    found = _searched(declared, scales_of(teacher), share, size, count)
    small = declared.narrowed(found.base_channels).planned(found.plan)
    return Student(small, cost_of(small, size), found.macs / count(cost_of(declared, size)))


def scales_of(teacher: BuiltGenerator) -> Scales:
    """Read the scales of the norms behind first convolutions from a generator."""
    arrays = gather(teacher.G)
    branches = {}
    for group in channel_groups(teacher.G):
        norms = [one.array for one in group.arrays if one.array.endswith(".0.norm.weight")]
        branches[group.name] = np.abs(arrays[norms[0]]) if norms else np.zeros(0, np.float32)
    return Scales(np.abs(arrays["fc_norm.weight"]), branches, _halved(teacher.declared))


def _checked(declared: Generator, share: float) -> Generator:
    if not isinstance(declared, InceptionSpade):
        raise ShanshuiError(
            f"the method cat for a generator {declared.name}", "a teacher of the architecture inception_spade",
            "train one (config/models/inception-spade.yaml), or take the method narrow or prune",
        )  # fmt: skip
    if not 0 < share < 1:
        raise UsageError(f"a share of {share:g}", "above 0 and below 1, of the teacher's multiply-accumulates")
    return declared


def _halved(declared: Generator) -> bool:
    return declared.section()["upsampling"] == "most"


def _searched(declared: Generator, scales: Scales, share: float, size: Size, count: Count) -> Widths:
    """Search, or raise that every generator takes more."""
    least = max(min(LEAST, declared.base_channels // (2 if scales.halved else 1)), 1)

    def macs(base_channels: int, plan: Plan) -> int:
        return count(cost_of(declared.narrowed(base_channels).planned(plan), size))

    whole = count(cost_of(declared, size))
    found = search(scales, macs, share * whole, least)
    if found is None:
        fewest = scales.fewest(least)
        floor = macs(*fewest)
        raise ShanshuiError(
            f"a share of {share:g} of {declared.name} with {whole / 1e9:.2f} GMAC",
            f"at least {math.ceil(1e4 * floor / whole) / 1e4:g}: with {fewest[0]} base channels and no branch it still "
            f"takes {floor / 1e9:.2f} GMAC",
            "take a larger share",
        )  # fmt: skip
    return found
