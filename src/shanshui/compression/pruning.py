"""Pruning: a generator without the least important channels inside of its blocks, with its other weights kept.

The widths between blocks stay, so that no channel of one block has to match one of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.narrowing import Student, dense
from shanshui.architectures.network_cost import generator_costs
from shanshui.backend.modules import gather, restore
from shanshui.compression.importance import measure
from shanshui.compression.selection import Order, Selection, select
from shanshui.errors import ShanshuiError, UsageError
from shanshui.evaluation.merging import estimate_statistics
from shanshui.nn.channel_groups import ChannelGroup, Plan, channel_groups
from shanshui.nn.cost import Cost
from shanshui.nn.norm_kernels import EPS
from shanshui.nn.singular_vectors import largest_singular_value, refresh_singular_vectors
from shanshui.storage.checkpoint import Arrays, prefixed
from shanshui.storage.size import Size

Count = Callable[[Cost], int]
BATCH = 4  # label maps for which running statistics are estimated together


def cost_of(declared: Generator, size: Size) -> Cost:
    """Count the cost of a generator's network for one image, without an encoder's."""
    return generator_costs(BuiltGenerator(declared, *declared.build()), size)["G"]


def check_prunable(declared: Generator, share: float, size: Size, count: Count = dense) -> None:
    """Check that channels can be removed until a share of the cost is left.

    Raises:
        UsageError: `share` is out of range.
        ShanshuiError: nothing can be removed from this generator, or too little.
    """
    groups = channel_groups(declared.build()[0])
    order = Order({group.name: np.zeros(group.channels) for group in groups})
    _selected(declared, order, share, size, count)


def prune(
    teacher: BuiltGenerator, share: float, size: Size, label_maps: np.ndarray, seed: int = 0, count: Count = dense
) -> Student:
    """Remove the least important channels until a share of the multiply-accumulates is left.

    Args:
        teacher: in evaluation mode; it is not changed.
        share: above 0, at most 1; at 1 nothing changes.
        size: of the images.
        label_maps: class ids uint8 (N, H, W) at this size, 64 or more, on which importance and statistics are measured.
        seed: of the noise.
        count: the multiply-accumulates of a cost; dense ones, or on distinct patches.

    Raises:
        UsageError: `share` is out of range.
        ShanshuiError: nothing can be removed from this generator, or too little.
    """
    declared = teacher.declared
    check_prunable(declared, share, size, count)
    found = _selected(declared, Order(measure(teacher, label_maps, seed)), share, size, count)
    whole = count(cost_of(declared, size))
    if not found.removed:
        return Student(declared, cost_of(declared, size), 1.0, weights_of(teacher))
    groups = channel_groups(teacher.G)
    small = declared.planned(found.plan())
    G = cut(gather(teacher.G), groups, found.kept)
    student = BuiltGenerator(small, *small.build())
    restore(student.G, G, "the pruned generator")
    if student.E is not None and teacher.E is not None:
        restore(student.E, gather(teacher.E), "the teacher's encoder")
    for network in student.networks().values():
        network.eval()
    if small.has_batch_norm:
        estimate_statistics(student, label_maps, size, seed, min(BATCH, len(label_maps)))
    cost = cost_of(small, size)
    return Student(small, cost, count(cost) / whole, weights_of(student))


def weights_of(generator: BuiltGenerator) -> Arrays:
    """Copy the arrays of a generator and its encoder."""
    parts = (prefixed(letter, gather(network)) for letter, network in generator.networks().items())
    return {name: array for part in parts for name, array in part.items()}


def cut(arrays: Arrays, groups: Sequence[ChannelGroup], kept: Mapping[str, np.ndarray]) -> Arrays:
    """Take away the entries of removed channels from the arrays of a network.

    A spectrally normalised layer with fewer outputs is divided by a smaller singular value. Where a norm follows, what
    is added to its outputs, and the statistics, are scaled alike, so that the norm's output stays as it was.

    Args:
        arrays: of the network, by name.
        groups: of the network.
        kept: channels that stay, by group.
    """
    fresh = dict(arrays)
    for group in groups:
        stays = kept[group.name]
        for name, axis, each in group.arrays:
            if name not in fresh:
                continue
            entries = (stays[:, None] * each + np.arange(each)).reshape(-1)
            others = np.arange(group.channels * each, fresh[name].shape[axis])
            fresh[name] = np.take(fresh[name], np.concatenate([entries, others]), axis)
    fresh = refresh_singular_vectors(fresh)
    for group in groups:
        if f"{group.normalised}.weight_u" not in fresh:
            continue
        before, after = (largest_singular_value(each, group.normalised) for each in (arrays, fresh))
        for name in group.scaled:
            if name in fresh and after > 0:
                fresh[name] = rescaled(name, fresh[name], before / after)
    return fresh


def rescaled(name: str, array: np.ndarray, factor: float) -> np.ndarray:
    """Scale what belongs to features that grow by `factor`, at least 1; variances together with the norm's epsilon."""
    wide = array.astype(np.float64)
    wide = (wide + EPS) * factor**2 - EPS if name.endswith("running_var") else wide * factor
    return wide.astype(np.float32)


def _selected(declared: Generator, order: Order, share: float, size: Size, count: Count) -> Selection:
    """Select the channels that stay, or raise what is wrong."""
    if not order.sizes:
        raise ShanshuiError(
            f"the generator {declared.name} declares no channels that can be removed",
            "one whose blocks list them", "take the method narrow",
        )  # fmt: skip
    if not 0 < share <= 1:
        raise UsageError(f"a share of {share:g}", "above 0 and at most 1, of the teacher's multiply-accumulates")

    def macs(plan: Plan) -> int:
        return count(cost_of(declared.planned(plan), size))

    whole = macs(declared.context.plan)
    found = select(order, macs, share * whole)
    if found is None:
        kept = {name: len(channels) for name, channels in order.kept(len(order.removable)).items()}
        floor = macs(kept)
        raise ShanshuiError(
            f"a share of {share:g} of {declared.name} with {whole / 1e9:.2f} GMAC",
            f"at least {math.ceil(1e4 * floor / whole) / 1e4:g}: with the fewest channels inside of its blocks it "
            f"still takes {floor / 1e9:.2f} GMAC",
            "take a larger share, or the method narrow",
        )  # fmt: skip
    return found
