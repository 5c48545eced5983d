"""Batch norm with running statistics, with or without learnt scale and shift, and instance norm without.

Jittor adds float32 numbers one after another and takes the variance as E[x^2] - E[x]^2; both lose digits
on large maps (spread 1 around 100: off by 0.1). Here the mean is taken along the rows first, and the
variance from the centred values, which is also the faster form on a CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from shanshui.backend.cpu_forms import images_alone
from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.norm_kernels import EPS, standardise, usable

if TYPE_CHECKING:
    from jittor import Var


NormKind = Literal["batch", "instance"]
LANES = 16  # numbers in the longest vectors of a CPU


def instance_norm(x: Var, slope: float = 1.0) -> Var:
    """Standardise every channel of every image, then apply a leaky ReLU with `slope`: (N, C, h, w) -> (N, C, h, w).

    Within `each_image_alone` a kernel computes numbers of channels that are no multiples of 16: Jittor's takes 16
    roots at a time, of the deviations of all images, and those that are left one by one, which differ in the last bit.
    """
    if images_alone() and x.shape[1] % LANES:
        source = f"const float eps = {EPS}f, slope = {slope}f;" + INSTANCE_NORM
        return jt.code(x.shape, "float32", [x], cpu_src=source)
    if usable(x):
        return standardise(x, by_image=True, slope=slope)
    centred = x - mean(x, [2])  # (N, C, h, w)
    return leaky(centred / (mean(centred * centred, [2]) + EPS).sqrt(), slope)


INSTANCE_NORM = f"""
const int64 maps = in0_shape0 * in0_shape1, S = in0_shape2 * in0_shape3, LANES = {LANES};
#pragma omp parallel for schedule(static)
for (int64 map = 0; map < maps; map++) {{
    const float* x = in0_p + map * S;
    float* y = out_p + map * S;
    auto total = [&](auto value) {{
        double sum = 0;
        for (int64 start = 0; start < S; start += 512) {{
            const int64 end = std::min<int64>(start + 512, S);
            float lanes[LANES] = {{0}};
            int64 p = start;
            for (; p + LANES <= end; p += LANES)
                for (int64 lane = 0; lane < LANES; lane++) lanes[lane] += value(x[p + lane]);
            for (int64 lane = 0; p < end; p++, lane++) lanes[lane] += value(x[p]);
            for (int64 lane = 0; lane < LANES; lane++) sum += lanes[lane];
        }}
        return sum;
    }};
    const float mean = total([](float one) {{ return one; }}) / S;
    const double squares = total([&](float one) {{ return (one - mean) * (one - mean); }});
    const float scale = 1 / std::sqrt(float(squares / S) + eps);
    for (int64 p = 0; p < S; p++) {{
        const float value = (x[p] - mean) * scale;
        y[p] = value > 0 ? value : value * slope;
    }}
}}
"""


def leaky(x: Var, slope: float) -> Var:
    """Apply a leaky ReLU; slope 1 leaves x unchanged."""
    return x if slope == 1 else nn.leaky_relu(x, slope)


def mean(x: Var, axes: list[int]) -> Var:
    """Average (N, C, h, w) over the width and `axes`, which stay with length 1."""
    return x.mean(3, keepdims=True).mean(axes, keepdims=True)


class BatchNorm(Module):
    """Batch norm without scale and shift: (N, C, h, w) -> (N, C, h, w).

    In training mode by the batch's own mean and biased variance, which the running statistics follow;
    in evaluation mode by the running statistics. Over several MPI ranks the batch is the global one.
    """

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        self.momentum = momentum
        self.running_mean = jt.zeros((channels,)).stop_grad()
        self.running_var = jt.ones((channels,)).stop_grad()

    def execute(self, x: Var) -> Var:
        """Standardise x (N, C, h, w), and in training move the running statistics."""
        if not self.is_training():
            scale = 1 / (self.running_var + EPS).sqrt()
            return x * scale.reshape(1, -1, 1, 1) - (self.running_mean * scale).reshape(1, -1, 1, 1)
        if usable(x):
            return standardise(x, norm=self)
        centre = over_ranks(mean(x, [0, 2]))  # (1, C, 1, 1)
        centred = x - centre  # (N, C, h, w)
        variance = over_ranks(mean(centred * centred, [0, 2]))  # (1, C, 1, 1)
        self.follow(centre, variance)
        return centred / (variance + EPS).sqrt()

    def follow(self, mean: Var, variance: Var) -> None:
        """Move the running statistics towards those of a batch, each C values in any shape."""
        for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
            running.update(running + (batch.reshape(-1) - running) * self.momentum)


class AffineBatchNorm(BatchNorm):
    """Batch norm with scale and shift: weight * standardised(x) + bias, (N, C, h, w) -> (N, C, h, w).

    The weight starts normal around 1 with standard deviation 0.02, as in the code of SPADE and related models.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = jt.init.gauss((channels,), mean=1.0, std=0.02)
        self.bias = jt.zeros((channels,))

    def execute(self, x: Var) -> Var:
        """Normalise x (N, C, h, w), by its own statistics in training, by the running ones otherwise."""
        if self.is_training() and usable(x):
            return standardise(x, self.weight, self.bias, unit=0.0, norm=self)
        return super().execute(x) * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)


def modulates(norm: BatchNorm | InstanceNorm, x: Var) -> bool:
    """Return whether `modulate` can be used: on a GPU, with statistics of x itself."""
    return usable(x) and (isinstance(norm, InstanceNorm) or norm.is_training())


def modulate(
    norm: BatchNorm | InstanceNorm, x: Var, gamma: nn.Conv, beta: nn.Conv, hidden: tuple[Var, Var], slope: float
) -> Var:
    """Compute norm(x) * (1 + gamma(hidden)) + beta(hidden) and a leaky ReLU, as one kernel after the convolutions.

    Args:
        norm: a BatchNorm or InstanceNorm.
        x: (N, C, h, w).
        gamma, beta: convolutions hidden -> C that keep the size.
        hidden: what gamma and beta are computed from, (N, hidden, h, w) each.
        slope: of the leaky ReLU; 1 for none.
    """
    layers = list(zip((gamma, beta), hidden, strict=True))
    if isinstance(norm, InstanceNorm):
        return standardise(x, None, None, *(conv(maps) for conv, maps in layers), by_image=True, slope=slope)
    maps = [nn.conv2d(maps, conv.weight, None, conv.stride, conv.padding) for conv, maps in layers]
    return standardise(x, gamma.bias, beta.bias, *maps, slope=slope, norm=norm)


def scaled(norm: BatchNorm | InstanceNorm, x: Var, scale: Var, shift: Var, slope: float) -> Var:
    """Compute norm(x) * scale + shift, then a leaky ReLU with `slope`; all (N, C, h, w)."""
    if modulates(norm, x):
        followed = None if isinstance(norm, InstanceNorm) else norm
        return standardise(x, None, None, scale, shift, by_image=not followed, slope=slope, unit=0.0, norm=followed)
    return leaky(norm(x) * scale + shift, slope)


def over_ranks(statistic: Var) -> Var:
    """Average a batch's statistic over all MPI ranks, whose parts of the batch are equal; differentiable."""
    return statistic.mpi_all_reduce("mean") if jt.in_mpi else statistic


class InstanceNorm(Module):
    """`instance_norm` as a layer: (N, C, h, w) -> (N, C, h, w), no parameters, no running statistics."""

    def execute(self, x: Var) -> Var:
        """Standardise every channel of every image of x (N, C, h, w)."""
        return instance_norm(x)


def parameter_free(kind: NormKind, channels: int) -> BatchNorm | InstanceNorm:
    """Create the layer that standardises `channels` channels, over the batch or image by image."""
    return BatchNorm(channels) if kind == "batch" else InstanceNorm()
