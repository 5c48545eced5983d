"""ONNX nodes of CC-FPSE's generator."""

from __future__ import annotations

from shanshui.architectures.spade_onnx import start
from shanshui.export.graph import END, Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import conv, leaky_relu, rgb, spade, standardise, upsample2
from shanshui.nn.ccfpse_shape import BLOCKS, HALVINGS, LEVELS, TAPS, WIDTHS
from shanshui.storage.size import Size

SIDE = 3  # of the predicted kernels


def add_ccfpse(
    graph: Graph, inputs: Inputs, *, base_channels: int, upsampling: str, z_dim: int, size: Size | None
) -> Name:
    """Add the nodes, and return the images (N, 3, H, W) in [-1, 1]; arguments as of the generator."""
    halvings = HALVINGS[upsampling]
    levels = pyramid(graph, inputs, halvings)
    conditions = [
        graph.node("Concat", inputs.segmap(halvings - number), level, axis=1) for number, level in enumerate(levels)
    ]
    x = start(graph, inputs, z_dim, halvings, WIDTHS[0] * base_channels, size)
    at = 0
    for name, number in zip(BLOCKS, LEVELS[upsampling], strict=True):
        if number > at:
            x, at = upsample2(graph, x), number
        x = conditional_block(graph, x, f"G.{name}", conditions[number])
    return rgb(graph, leaky_relu(graph, x), "G.conv_img")


def pyramid(graph: Graph, inputs: Inputs, halvings: int) -> list[Name]:
    """Add the feature pyramid over the label map, and return its levels, the smallest first."""
    ways, x = [], inputs.segmap(0)
    for i in range(1, halvings + 2):
        x = unit(graph, x, f"G.labelenc{i}", stride=1 if i == 1 else 2)
        ways.append(x)
    levels = [x]
    for i, across in enumerate(reversed(ways[:-1]), 1):
        x = graph.node("Add", upsample2(graph, x), unit(graph, across, f"G.labellat{i}"))
        x = unit(graph, x, f"G.labeldec{i}")
        levels.append(x)
    return levels


def unit(graph: Graph, x: Name, layer: str, stride: int = 1) -> Name:
    """Apply convolution, batch norm and leaky ReLU."""
    return leaky_relu(graph, standardise(graph, conv(graph, x, f"{layer}.0.0", stride=stride), f"{layer}.0.1"))


def conditional_block(graph: Graph, x: Name, block: str, condition: Name) -> Name:
    """Apply a residual block of two conditional convolutions with gates."""
    shortcut = x
    if f"{block}.conv_s.weight" in graph.arrays:
        shortcut = conv(graph, spade(graph, x, f"{block}.norm_s", condition), f"{block}.conv_s")
    for i, (norm, mixing) in enumerate((("norm_1", "conv_1"), ("norm_2", "conv_3")), 1):
        features = graph.arrays[f"{block}.{norm}.weight"].size
        kernels = predicted(graph, condition, f"{block}.gen_weights{i}")
        x = depthwise_by_pixel(graph, standardise(graph, x, f"{block}.{norm}"), kernels, features)
        gate = graph.node("Sigmoid", predicted(graph, condition, f"{block}.gen_se_weights{i}"))
        x = leaky_relu(graph, graph.node("Mul", conv(graph, x, f"{block}.{mixing}"), gate))
    return graph.node("Add", x, shortcut)


def predicted(graph: Graph, condition: Name, layer: str) -> Name:
    """Apply the small network that predicts weights or gates."""
    return conv(graph, graph.node("Relu", conv(graph, condition, f"{layer}.0")), f"{layer}.2")


def depthwise_by_pixel(graph: Graph, x: Name, kernels: Name, channels: int) -> Name:
    """Sum the nine shifted copies of x (N, C, h, w), each times its weights by pixel, of kernels (N, 9C, h, w)."""
    padded = graph.node("Pad", x, graph.numbers(0, 0, 1, 1, 0, 0, 1, 1))
    total: Name | None = None
    for tap in range(TAPS):
        row, column = divmod(tap, SIDE)
        ends = [end if end < 0 else END for end in (row - 2, column - 2)]
        shifted = graph.slice(padded, [2, 3], [row, column], ends)
        weights = graph.slice(kernels, [1], [tap], [TAPS * channels], TAPS)
        product = graph.node("Mul", shifted, weights)
        total = product if total is None else graph.node("Add", total, product)
    assert total is not None
    return total
