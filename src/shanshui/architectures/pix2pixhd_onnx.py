"""ONNX nodes of pix2pixHD's global generator."""

from __future__ import annotations

from shanshui.architectures.pix2pixhd_generator import WIDE
from shanshui.export.graph import Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import conv, standardise


def add_pix2pixhd(graph: Graph, inputs: Inputs, halvings: int, blocks: int) -> Name:
    """Add the nodes, and return the images (N, 3, H, W) in [-1, 1].

    Args:
        graph: under construction, with the arrays of "G".
        inputs: of the generator.
        halvings: of the label map's size.
        blocks: residual blocks.
    """

    def normed(x: Name, norm: str) -> Name:
        return graph.node("Relu", standardise(graph, x, norm))

    x = normed(conv(graph, reflect(graph, inputs.segmap(0), WIDE // 2), "G.wide_in", padding=0), "G.norm.0")
    for i in range(halvings):
        x = normed(conv(graph, x, f"G.down_{i}", stride=2), f"G.norm.{i + 1}")
    for i in range(blocks):
        block = f"G.block_{i}"
        y = normed(conv(graph, reflect(graph, x, 1), f"{block}.conv_0", padding=0), f"{block}.norm_0")
        y = conv(graph, reflect(graph, y, 1), f"{block}.conv_1", padding=0)
        x = graph.node("Add", x, standardise(graph, y, f"{block}.norm_1"))
    for i in range(halvings):
        x = normed(transposed(graph, x, f"G.up_{i}"), f"G.norm.{halvings + 1 + i}")
    return graph.node("Tanh", conv(graph, reflect(graph, x, WIDE // 2), "G.wide_out", padding=0))


def reflect(graph: Graph, x: Name, margin: int) -> Name:
    """Pad by `margin` on all sides, mirrored at the border pixels."""
    return graph.node("Pad", x, graph.numbers(0, 0, margin, margin, 0, 0, margin, margin), mode="reflect")


def transposed(graph: Graph, x: Name, layer: str) -> Name:
    """Apply a transposed convolution that doubles the size: (N, in, h, w) -> (N, out, 2h, 2w)."""
    weight, bias = graph.arrays[f"{layer}.weight"], graph.arrays[f"{layer}.bias"]
    return graph.node(
        "ConvTranspose", x, graph.weight(weight), graph.constant(bias),
        kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1],
    )  # fmt: skip
