"""Inception-v3 (Szegedy et al. 2015) as a fixed feature network, in the two variants in use.

`variant="fid"`: the network of the FID weights (TensorFlow, 2015): its 3x3 average pools divide by the number
of real pixels, and the pool of Mixed_7c takes the maximum. `variant="torchvision"`: the ImageNet network of
perceptual losses: average pools everywhere, padding counted. The names of the parameters are torchvision's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.norm_kernels import standardise, usable
from shanshui.nn.norms import over_ranks

if TYPE_CHECKING:
    from jittor import Var


Variant = Literal["fid", "torchvision"]
Sides = int | tuple[int, int]
Pool = Callable[["Var"], "Var"]
TAPS = ("maxpool_1", "maxpool_2", "Mixed_6e", "mean")
EPS = 1e-3


def average_pool(x: Var, count_padding: bool) -> Var:
    """Average over 3x3 at stride 1, any size; divide by 9, or (count_padding=False) by the number of real pixels.

    Jittor's own AvgPool2d ignores count_include_pad=False and refuses maps of 3 pixels and less.
    """
    n, c, height, width = x.shape
    total = x.reindex([n, c, height, width, 3, 3], ["i0", "i1", "i2+i4-1", "i3+i5-1"]).sum((4, 5))
    if count_padding:
        return total / 9
    rows, columns = (np.minimum(np.arange(k) + 1, k - 1) - np.maximum(np.arange(k) - 1, 0) + 1 for k in (height, width))
    return total / jt.array(np.outer(rows, columns).astype(np.float32)).reshape(1, 1, height, width)


class FrozenNorm(Module):
    """Batch normalisation with fixed affine parameters; statistics from the file, or of the batch itself."""

    def __init__(self, channels: int, batch_statistics: bool) -> None:
        self.batch_statistics = batch_statistics
        self.weight = jt.ones((channels,)).stop_grad()
        self.bias = jt.zeros((channels,)).stop_grad()
        self.running_mean = jt.zeros((channels,)).stop_grad()
        self.running_var = jt.ones((channels,)).stop_grad()

    def with_relu(self, x: Var) -> Var:
        """Normalise (N, C, H, W) and apply a ReLU."""
        if self.batch_statistics and usable(x):
            return standardise(x, self.weight, self.bias, eps=EPS, unit=0.0, slope=0.0)
        return nn.relu(self(x))

    def execute(self, x: Var) -> Var:
        """Normalise (N, C, H, W)."""
        if self.batch_statistics:
            mean = over_ranks(x.mean((0, 2, 3)))
            variance = over_ranks(((x - mean.reshape(1, -1, 1, 1)) ** 2).mean((0, 2, 3)))
        else:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight / jt.sqrt(variance + EPS)
        return x * scale.reshape(1, -1, 1, 1) + (self.bias - mean * scale).reshape(1, -1, 1, 1)


class BasicConv(Module):
    """Convolution without bias, normalisation, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sides,
        stride: int = 1,
        padding: Sides = 0,
        batch_statistics: bool = False,
    ) -> None:
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.conv.weight.stop_grad()
        self.bn = FrozenNorm(outputs, batch_statistics)

    def execute(self, x: Var) -> Var:
        """Apply the layers: (N, inputs, H, W) -> (N, outputs, H', W')."""
        return self.bn.with_relu(self.conv(x))


def _same(kernel: tuple[int, int]) -> tuple[int, int]:
    """Return the padding that keeps the size at stride 1."""
    return kernel[0] // 2, kernel[1] // 2


class Mixed(Module):
    """Parallel branches, concatenated over channels. Subclasses list them in the order of the output."""

    def __init__(self, inputs: int, pool: Pool, batch_statistics: bool) -> None:
        self.inputs = inputs
        self.pool = pool
        self.batch_statistics = batch_statistics

    def add(self, name: str, inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), stride: int = 1) -> None:
        """Create convolution `name`: padded to keep the size at stride 1, unpadded at stride 2."""
        padding: Sides = _same(kernel) if stride == 1 else 0
        setattr(self, name, BasicConv(inputs, outputs, kernel, stride, padding, self.batch_statistics))

    def chain(self, name: str, outputs: list[int], kernels: list[tuple[int, int]], last_stride: int = 1) -> None:
        """Create convolutions `name`_1, `name`_2, ... one after the other."""
        inputs = self.inputs
        for i, (width, kernel) in enumerate(zip(outputs, kernels, strict=True), 1):
            self.add(f"{name}_{i}", inputs, width, kernel, last_stride if i == len(outputs) else 1)
            inputs = width

    def run(self, x: Var, name: str, count: int) -> Var:
        """Apply `name`_1 ... `name`_count."""
        for i in range(1, count + 1):
            x = getattr(self, f"{name}_{i}")(x)
        return x


class MixedA(Mixed):
    """Block at 35x35: 1x1, 5x5, double 3x3, pooled 1x1."""

    branch1x1: BasicConv
    branch_pool: BasicConv

    def __init__(self, inputs: int, pooled: int, pool: Pool, batch_statistics: bool) -> None:
        super().__init__(inputs, pool, batch_statistics)
        self.add("branch1x1", inputs, 64)
        self.chain("branch5x5", [48, 64], [(1, 1), (5, 5)])
        self.chain("branch3x3dbl", [64, 96, 96], [(1, 1), (3, 3), (3, 3)])
        self.add("branch_pool", inputs, pooled)

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, inputs, H, W) -> (N, 224 + pooled, H, W)."""
        branches = [self.branch1x1(x), self.run(x, "branch5x5", 2), self.run(x, "branch3x3dbl", 3)]
        return jt.concat([*branches, self.branch_pool(self.pool(x))], 1)


class MixedB(Mixed):
    """Block from 35x35 to 17x17."""

    branch3x3: BasicConv

    def __init__(self, inputs: int, pool: Pool, batch_statistics: bool) -> None:
        super().__init__(inputs, pool, batch_statistics)
        self.add("branch3x3", inputs, 384, (3, 3), 2)
        self.chain("branch3x3dbl", [64, 96, 96], [(1, 1), (3, 3), (3, 3)], 2)

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, 288, H, W) -> (N, 768, H / 2, W / 2)."""
        return jt.concat([self.branch3x3(x), self.run(x, "branch3x3dbl", 3), self.pool(x)], 1)


class MixedC(Mixed):
    """Block at 17x17 with factorised 7x7 kernels of inner width `width`."""

    branch1x1: BasicConv
    branch_pool: BasicConv

    def __init__(self, inputs: int, width: int, pool: Pool, batch_statistics: bool) -> None:
        super().__init__(inputs, pool, batch_statistics)
        row, column = (1, 7), (7, 1)
        self.add("branch1x1", inputs, 192)
        self.chain("branch7x7", [width, width, 192], [(1, 1), row, column])
        self.chain("branch7x7dbl", [width] * 4 + [192], [(1, 1), column, row, column, row])
        self.add("branch_pool", inputs, 192)

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, 768, H, W) -> same."""
        branches = [self.branch1x1(x), self.run(x, "branch7x7", 3), self.run(x, "branch7x7dbl", 5)]
        return jt.concat([*branches, self.branch_pool(self.pool(x))], 1)


class MixedD(Mixed):
    """Block from 17x17 to 8x8."""

    def __init__(self, inputs: int, pool: Pool, batch_statistics: bool) -> None:
        super().__init__(inputs, pool, batch_statistics)
        self.chain("branch3x3", [192, 320], [(1, 1), (3, 3)], 2)
        self.chain("branch7x7x3", [192] * 4, [(1, 1), (1, 7), (7, 1), (3, 3)], 2)

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, 768, H, W) -> (N, 1280, H / 2, W / 2)."""
        return jt.concat([self.run(x, "branch3x3", 2), self.run(x, "branch7x7x3", 4), self.pool(x)], 1)


class MixedE(Mixed):
    """Block at 8x8 with branches that fork at their end."""

    branch1x1: BasicConv
    branch3x3_2a: BasicConv
    branch3x3_2b: BasicConv
    branch3x3dbl_3a: BasicConv
    branch3x3dbl_3b: BasicConv
    branch_pool: BasicConv

    def __init__(self, inputs: int, pool: Pool, batch_statistics: bool) -> None:
        super().__init__(inputs, pool, batch_statistics)
        self.add("branch1x1", inputs, 320)
        self.chain("branch3x3", [384], [(1, 1)])
        self.chain("branch3x3dbl", [448, 384], [(1, 1), (3, 3)])
        for name, number in (("branch3x3", 2), ("branch3x3dbl", 3)):
            self.add(f"{name}_{number}a", 384, 384, (1, 3))
            self.add(f"{name}_{number}b", 384, 384, (3, 1))
        self.add("branch_pool", inputs, 192)

    def execute(self, x: Var) -> Var:
        """Apply the block: (N, inputs, H, W) -> (N, 2048, H, W)."""
        middle, double = self.run(x, "branch3x3", 1), self.run(x, "branch3x3dbl", 2)
        forks = [self.branch3x3_2a(middle), self.branch3x3_2b(middle)]
        forks += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return jt.concat([self.branch1x1(x), *forks, self.branch_pool(self.pool(x))], 1)


class Inception(Module):
    """Inception-v3 up to the global average, returning four maps on the way.

    Args:
        variant: which pools, see the module's text.
        batch_statistics: normalise every batch by its own mean and (biased) variance instead of the stored
            ones, as perceptual losses do that leave the network in training mode.
    """

    def __init__(self, variant: Variant, batch_statistics: bool = False) -> None:
        own = batch_statistics
        average = functools.partial(average_pool, count_padding=variant == "torchvision")
        last: Pool = nn.MaxPool2d(3, 1, 1) if variant == "fid" else average
        self.halve = nn.MaxPool2d(3, 2)
        self.Conv2d_1a_3x3 = BasicConv(3, 32, 3, 2, batch_statistics=own)
        self.Conv2d_2a_3x3 = BasicConv(32, 32, 3, batch_statistics=own)
        self.Conv2d_2b_3x3 = BasicConv(32, 64, 3, padding=1, batch_statistics=own)
        self.Conv2d_3b_1x1 = BasicConv(64, 80, 1, batch_statistics=own)
        self.Conv2d_4a_3x3 = BasicConv(80, 192, 3, batch_statistics=own)
        self.Mixed_5b = MixedA(192, 32, average, own)
        self.Mixed_5c = MixedA(256, 64, average, own)
        self.Mixed_5d = MixedA(288, 64, average, own)
        self.Mixed_6a = MixedB(288, self.halve, own)
        for name, width in zip("bcde", (128, 160, 160, 192), strict=True):
            setattr(self, f"Mixed_6{name}", MixedC(768, width, average, own))
        self.Mixed_7a = MixedD(768, self.halve, own)
        self.Mixed_7b = MixedE(1280, average, own)
        self.Mixed_7c = MixedE(2048, last, own)

    def execute(self, x: Var) -> list[Var]:
        """Compute the four maps named in `TAPS` for images (N, 3, H, W) in [-1, 1], sides of 91 or more.

        For 299x299: (N,64,73,73), (N,192,35,35), (N,768,17,17), (N,2048,1,1).
        """
        for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"):
            x = getattr(self, name)(x)
        first = self.halve(x)
        second = self.halve(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(first)))
        x = second
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e"):
            x = getattr(self, f"Mixed_{name}")(x)
        sixth = x
        for name in ("7a", "7b", "7c"):
            x = getattr(self, f"Mixed_{name}")(x)
        return [first, second, sixth, x.mean((2, 3), keepdims=True)]
