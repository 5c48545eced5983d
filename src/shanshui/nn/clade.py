"""CLADE (Tan et al. 2021): normalisation with scale and shift looked up per class instead of convolved.

"Efficient Semantic Image Synthesis via Class-Adaptive Normalization": equation 4, and 6 for the variant with
intra-class positional encoding (ICPE), where both also depend on the position within the region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shanshui.backend.device import on_cpu
from shanshui.backend.lazy import Module, jt, nn
from shanshui.nn.channel_groups import Along, statistics
from shanshui.nn.condition import Condition
from shanshui.nn.norms import NormKind, leaky, parameter_free, scaled
from shanshui.nn.patch_spade import normalise

if TYPE_CHECKING:
    from jittor import Var


class CLADE(Module):
    """Class-adaptive normalisation: norm(x) * scale[class] + shift[class]; with edges, one channel more.

    At first scales are uniform in [0, 1] and shifts 0. Where there is no class, features are normalised only.

    Args:
        channels: C of the features.
        num_classes: channels of the one-hot label map, edges not counted.
        norm: how features are standardised.
        positions: ICPE, which at first changes nothing.
        edges: return C + 1 channels, the last one a multiple of the edges.
    """

    def __init__(
        self, channels: int, num_classes: int, *, norm: NormKind = "batch", positions: bool = False, edges: bool = False
    ) -> None:
        self.param_free_norm = parameter_free(norm, channels)
        self.class_specified_affine = ClassAffine(channels, num_classes, positions)
        self.edges = edges
        if edges:
            self.inst_conv = nn.Conv(1, 1, 1)

    def execute(self, x: Var, condition: Condition, slope: float = 1.0) -> Var:
        """Modulate x (N, C, h, w) and apply a leaky ReLU with `slope`: (N, C or C + 1, h, w)."""
        affine = self.class_specified_affine
        if condition.positions is None and condition.index is not None and on_cpu():
            y = normalise(self.param_free_norm, x, affine.table(), condition.index, slope)
        else:
            scale, shift = affine(condition)
            y = scaled(self.param_free_norm, x, scale, shift, slope)
        if not self.edges:
            return y
        return jt.concat([y, leaky(self.inst_conv(cast("Var", condition.edges)), slope)], 1)

    def by_channel(self) -> tuple[Along, ...]:
        """List the arrays with one entry per channel of the features."""
        tables = (Along(f"class_specified_affine.{name}", 1) for name in ("weight", "bias"))
        return (*statistics("param_free_norm"), *tables)


class ClassAffine(Module):
    """Scale and shift (N, C, h, w) by class, from `weight` and `bias` (num_classes, C); for ICPE also by position."""

    def __init__(self, channels: int, num_classes: int, positions: bool) -> None:
        self.weight = jt.rand((num_classes, channels))
        self.bias = jt.zeros((num_classes, channels))
        self.positions = positions
        if positions:
            self.dist_conv_w, self.dist_conv_b = PositionAffine(), PositionAffine()

    def execute(self, condition: Condition) -> tuple[Var, Var]:
        """Look up scale and shift of every pixel, each (N, C, h, w)."""
        classes = condition.segmap[:, : self.weight.shape[0]]
        scale = 1 + _by_class(self.weight - 1, classes)
        shift = _by_class(self.bias, classes)
        if not self.positions:
            return scale, shift
        return scale * (1 + self.dist_conv_w(condition.positions)), shift * (1 + self.dist_conv_b(condition.positions))

    def table(self) -> Var:
        """Build the table (2C, num_classes + 1): scales less 1, then shifts; the last column, for no class, is zero."""
        columns = jt.concat([self.weight - 1, self.bias], 1).transpose()  # (2C, num_classes)
        return jt.concat([columns, jt.zeros((columns.shape[0], 1))], 1)


class PositionAffine(Module):
    """Affine function of the position: (N, 2, h, w) -> (N, 1, h, w). It is zero before training."""

    def __init__(self) -> None:
        self.weight = jt.zeros((1, 2, 1, 1))
        self.bias = jt.zeros((1,))

    def execute(self, positions: Var) -> Var:
        """Compute the function at positions (N, 2, h, w)."""
        return (positions * self.weight).sum(1, keepdims=True) + self.bias


def _by_class(rows: Var, one_hot: Var) -> Var:
    """Look up each pixel's row (N, C, h, w) of (num_classes, C); zeros where it has no class."""
    # `nn.conv` is `nn.conv2d` by another name: `nn.cost` counts calls of the latter alone, and this is no convolution
    return nn.conv(one_hot, rows.transpose().reshape(*reversed(rows.shape), 1, 1))
