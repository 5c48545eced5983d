"""Methods of making a student's shape, by name: what is built, and what its weights begin with.

A method is a pair of functions. `check` looks at the declared teacher only, so that a share that cannot be reached is
refused before anything is trained; `student` has the teacher's networks, and label maps to measure on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from shanshui.architectures.base import Generator
from shanshui.architectures.generator_networks import BuiltGenerator
from shanshui.architectures.narrowing import Student, narrow
from shanshui.compression.cat import cat, check_cat
from shanshui.compression.pruning import check_prunable, prune
from shanshui.nn.cost import Cost
from shanshui.storage.size import Size


@dataclass(frozen=True)
class Teacher:
    """The generator that a student is made from.

    Attributes:
        generator: its networks, in evaluation mode; a method may run them, and leaves them as they are.
        size: of the images.
        label_maps: class ids uint8 (N, H, W) at this size, to measure on.
        seed: of the noise it is measured with.
        patches: distinct patches per pixel by size of the features, where shares are of the multiply-accumulates on
            distinct patches; empty where they are of the dense ones.
    """

    generator: BuiltGenerator
    size: Size
    label_maps: np.ndarray
    seed: int = 0
    patches: Mapping[Size, float] = field(default_factory=dict)

    def macs(self, cost: Cost) -> int:
        """Return the multiply-accumulates of which shares are taken."""
        return cost.on_patches(self.patches)


@dataclass(frozen=True)
class Method:
    """A method of compression.

    Attributes:
        check: (teacher, share, size) raises a ShanshuiError if no student takes at most this share, densely counted.
        student: (teacher, share) -> the student's declaration and cost, and its initial weights.
    """

    check: Callable[[Generator, float, Size], object]
    student: Callable[[Teacher, float], Student]


def narrowed(teacher: Teacher, share: float) -> Student:
    """Take the same architecture with fewer channels everywhere, freshly initialised (`architectures.narrowing`)."""
    return narrow(teacher.generator.declared, share, teacher.size, teacher.macs)


def pruned(teacher: Teacher, share: float) -> Student:
    """Take the teacher without the least important channels inside of its blocks (`compression.pruning`)."""
    return prune(teacher.generator, share, teacher.size, teacher.label_maps, teacher.seed, teacher.macs)


def searched(teacher: Teacher, share: float) -> Student:
    """Take the widths that CAT's search finds for an inception SPADE generator, freshly initialised."""
    return cat(teacher.generator, share, teacher.size, teacher.macs)


METHODS: dict[str, Method] = {
    "narrow": Method(narrow, narrowed),
    "prune": Method(check_prunable, pruned),
    "cat": Method(check_cat, searched),
}
