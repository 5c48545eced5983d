"""Spectral normalisation (Miyato et al. 2018): convolutions divided by their largest singular value.

The Jittor code of APF-GAN computes this value and discards it, so its published recipe runs without
("off"); "on" is what the papers describe. Weights are not interchangeable: at the small initial values
of GAN training the normalised weight is some forty times larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shanshui.backend.cpu_forms import BIAS_INSIDE, convolution, convolves
from shanshui.backend.lazy import Conv, jt, nn
from shanshui.nn.label_conv import convolve
from shanshui.nn.norm_kernels import usable
from shanshui.nn.spectral_kernels import Divide, power_iteration
from shanshui.nn.spectral_together import Normalised, prepared

if TYPE_CHECKING:
    from jittor import Var


Sides = int | tuple[int, int]


def conv(
    in_channels: int, out_channels: int, kernel: int, *,
    stride: int = 1, padding: int = 0, bias: bool = True, spectral_norm: bool = False,
) -> nn.Conv:  # fmt: skip
    """Create a 2-d convolution, plain or spectrally normalised; both store `weight` (and `bias`) by these names."""
    kind = SpectralConv if spectral_norm else nn.Conv
    return kind(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias)


class SpectralConv(Conv):
    """Convolution with weight / sigma, sigma the largest singular value of the weight as (out, in * k * k).

    sigma comes from one power iteration per training forward, started at the stored left vector `weight_u`
    (out,), a buffer: saved, never trained. Gradients reach the weight through sigma as well; the vectors
    are constants to them. In evaluation mode `weight_u` does not change.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sides, stride: Sides = 1, padding: Sides = 0,
        dilation: Sides = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.weight_u = unit_length(jt.randn(self.out_channels)).stop_grad()

    def execute(self, x: Var) -> Var:
        """Convolve x (N, in, h, w) with the normalised weight."""
        if convolves(self, x):
            sources, inside = (self.weight, self.weight_u), getattr(self, BIAS_INSIDE, False)
            return convolution(self, x, sources, self.normalised, self.bias, inside=inside)
        weight = self.normalised()  # (out, in, k, k)
        return nn.conv2d(x, weight, self.bias, self.stride, self.padding)

    def normalised(self) -> Var:
        """Compute weight / sigma; training updates the stored vector."""
        if not (self.is_training() and usable(self.weight)):
            return self.weight / self.sigma()
        weight, u, _ = by_kernels(self)
        self.weight_u.update(u)
        return weight

    def sigma(self) -> Var:
        """Estimate the largest singular value (1,) by one more power iteration; training updates the stored vector."""
        matrix = self.weight.reshape(self.out_channels, -1)  # (out, in * k * k)
        with jt.no_grad():
            u = self.weight_u.reshape(-1, 1)  # (out, 1)
            v = unit_length(jt.matmul(u.reshape(1, -1), matrix)).reshape(-1, 1)  # (in * k * k, 1)
        image = jt.matmul(matrix, v)  # (out, 1)
        if self.is_training():
            with jt.no_grad():
                u = unit_length(image)
                self.weight_u.update(u.reshape(-1))
        return (u * image).sum()


class PairedSpectralConv(Conv):
    """Spectrally normalised convolution that stores both singular vectors, as PyTorch's hook does.

    sigma = u^T W v with the buffers `weight_u` (out,) and `weight_v` (in * k * k,). A training forward first
    updates both by one power iteration; evaluation uses them as they are, so that weights saved by PyTorch
    give PyTorch's images, however far the iteration had converged.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sides, stride: Sides = 1, padding: Sides = 0,
        dilation: Sides = 1, groups: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.weight_u = unit_length(jt.randn(self.out_channels)).stop_grad()
        self.weight_v = unit_length(jt.randn(self.weight.numel() // self.out_channels)).stop_grad()

    def execute(self, x: Var) -> Var:
        """Convolve x (N, in, h, w) with the normalised weight."""
        if convolves(self, x):
            sources, inside = (self.weight, self.weight_u, self.weight_v), getattr(self, BIAS_INSIDE, False)
            return convolution(self, x, sources, self.normalised, self.bias, inside=inside)
        weight = self.normalised()  # (out, in, k, k)
        return nn.conv2d(x, weight, self.bias, self.stride, self.padding)

    def normalised(self) -> Var:
        """Compute weight / sigma; training updates the stored vectors."""
        if not (self.is_training() and usable(self.weight)):
            return self.weight / self.sigma()
        weight, u, v = by_kernels(self)
        self.weight_u.update(u)
        self.weight_v.update(v)
        return weight

    def sigma(self) -> Var:
        """Estimate the largest singular value (1,) from the stored vectors; training updates them first."""
        matrix = self.weight.reshape(self.out_channels, -1)  # (out, in * k * k)
        u, v = self.weight_u.reshape(-1, 1), self.weight_v.reshape(-1, 1)
        if self.is_training():
            with jt.no_grad():
                v = unit_length(towards_right(matrix, u))
                u = unit_length(jt.matmul(matrix, v))
                self.weight_u.update(u.reshape(-1))
                self.weight_v.update(v.reshape(-1))
        return (u * jt.matmul(matrix, v)).sum()


def effective_weight(layer: nn.Conv) -> Var:
    """Return the weight that a convolution layer convolves with, normalised if it is one of these."""
    return layer.normalised() if isinstance(layer, SpectralConv | PairedSpectralConv) else layer.weight


def unbiased(layer: nn.Conv, x: Var) -> Var:
    """Convolve x with the weight of a layer, normalised if it is one of these, but without its bias."""
    return nn.conv2d(x, effective_weight(layer), None, layer.stride, layer.padding)


def layer_of_labels(layer: nn.Conv, segmap: Var) -> Var:
    """Apply a convolution layer, normalised or not, to label maps (N, in, h, w), as fast as these allow on a CPU."""
    return convolve(segmap, effective_weight(layer), layer.bias, layer.stride[0], layer.padding[0])


def by_kernels(layer: SpectralConv | PairedSpectralConv) -> Normalised:
    """Normalise the layer's weight on a GPU, unless that was done together with others (`normalised_together`)."""
    if ready := prepared(layer):
        return ready
    u, v, sigma = power_iteration(layer.weight, layer.weight_u)
    return Normalised(Divide.apply(layer.weight, u, v, sigma), u, v)


def towards_right(matrix: Var, u: Var) -> Var:
    """Compute matrix^T u: (n, m), (n, 1) -> (m, 1); on a GPU without a transposed copy of the matrix."""
    if jt.flags.use_cuda:
        return jt.matmul(u.reshape(1, -1), matrix).reshape(-1, 1)
    return jt.matmul(matrix.transpose(), u)


def unit_length(vector: Var) -> Var:
    """Divide a vector by its Euclidean length."""
    return vector / (vector * vector).sum().sqrt().maximum(1e-12)
