"""ONNX nodes of OASIS's generator."""

from __future__ import annotations

from shanshui.architectures.oasis_networks import WIDTHS
from shanshui.export.graph import Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import conv, leaky_relu, rgb, spade_block, upsample2


def add_oasis(graph: Graph, inputs: Inputs, z_dim: int, halvings: int) -> Name:
    """Add the nodes, and return the images (N, 3, H, W) in [-1, 1].

    Args:
        graph: under construction, with the arrays of "G".
        inputs: of the generator.
        z_dim: length of the random vector at every pixel; 0 for none.
        halvings: of the first features.
    """
    left = halvings
    x = conv(graph, condition(graph, inputs, z_dim, left), "G.fc")
    for i in range(len(WIDTHS) - 1):
        if i:
            x, left = upsample2(graph, x), left - 1
        x = spade_block(graph, x, f"G.body.{i}", condition(graph, inputs, z_dim, left))
    return rgb(graph, leaky_relu(graph, x), "G.conv_img")


def condition(graph: Graph, inputs: Inputs, z_dim: int, left: int) -> Name:
    """Concatenate the random vector, repeated at every pixel, and the label map: (N, z_dim + classes, h, w)."""
    labels = inputs.one_hot(left)
    if not z_dim:
        return labels
    vector = graph.node("Unsqueeze", inputs.vector(z_dim), graph.numbers(2, 3))
    shape = graph.node("Concat", graph.shape(vector, 0, 2), graph.shape(labels, 2, 4), axis=0)
    return graph.node("Concat", graph.node("Expand", vector, shape), labels, axis=1)
