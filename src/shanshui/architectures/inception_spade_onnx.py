"""ONNX nodes of CAT's inception SPADE generator."""

from __future__ import annotations

from functools import reduce

from shanshui.architectures.spade_generator import BLOCKS, HALVINGS
from shanshui.export.graph import Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import conv, leaky_relu, number, rgb, standardise, upsample2


def add_inception(graph: Graph, inputs: Inputs, upsampling: str, slope: float) -> Name:
    """Add the nodes, and return the images (N, 3, H, W) in [-1, 1].

    Args:
        graph: under construction, with the arrays of "G".
        inputs: of the generator.
        upsampling: how often the first features are doubled.
        slope: of the blocks' activations below 0.
    """
    left = HALVINGS[upsampling]
    x = standardise(graph, conv(graph, inputs.segmap(left), "G.fc"), "G.fc_norm")
    single = {"head_0", "G_middle_1"} if upsampling == "normal" else {"head_0"}
    for name in BLOCKS if upsampling == "most" else BLOCKS[:-1]:
        if name not in single:
            x, left = upsample2(graph, x), left - 1
        x = block(graph, x, f"G.{name}", inputs.segmap(left), slope)
    return rgb(graph, leaky_relu(graph, x), "G.conv_img")


def block(graph: Graph, x: Name, name: str, segmap: Name, slope: float) -> Name:
    """Apply a residual block to x (N, fin, h, w); its shortcut alone where it has no branch."""
    shortcut = x
    if f"{name}.shortcut.0.weight" in graph.arrays:
        shortcut = conv(graph, standardise(graph, x, f"{name}.shortcut.0"), f"{name}.shortcut.1.conv")
    if not branches(graph, name):
        return shortcut
    return graph.node("Add", shortcut, total(graph, modulated(graph, x, f"{name}.spade", segmap, slope), name, slope))


def modulated(graph: Graph, x: Name, layer: str, segmap: Name, slope: float) -> Name:
    """Modulate x (N, C, h, w) by the label map, and apply the block's activation."""
    y = standardise(graph, x, f"{layer}.param_free_norm")
    if branches(graph, layer):
        both = total(graph, segmap, layer, 0.0)
        width = graph.arrays[f"{layer}.param_free_norm.running_mean"].size
        gamma, beta = (graph.slice(both, [1], [start], [start + width]) for start in (0, width))
        scaled = graph.node("Mul", y, graph.node("Add", gamma, number(graph, 1)))
        y = graph.node("Add", scaled, beta)
    return graph.node("LeakyRelu", y, alpha=slope)


def branches(graph: Graph, layer: str) -> list[str]:
    """List the names of the branches that a layer has."""
    found = []
    for kind in ("res_ops", "dw_ops"):
        numbers = range(3)
        found += [f"{layer}.{kind}.{i}" for i in numbers if f"{layer}.{kind}.{i}.0.conv.weight" in graph.arrays]
    return found


def total(graph: Graph, x: Name, layer: str, slope: float) -> Name:
    """Add up the branches of a layer."""
    return reduce(lambda a, b: graph.node("Add", a, b), (branch(graph, x, b, slope) for b in branches(graph, layer)))


def branch(graph: Graph, x: Name, name: str, slope: float) -> Name:
    """Apply a branch: convolutions with norms and activations, and one more convolution."""
    number = 0
    while f"{name}.{number}.norm.running_mean" in graph.arrays:
        unit = f"{name}.{number}"
        y = conv(graph, x, f"{unit}.conv", depthwise=number == 1)
        x = graph.node("LeakyRelu", standardise(graph, y, f"{unit}.norm"), alpha=slope)
        number += 1
    last = f"{name}.{number}"
    return conv(graph, x, f"{last}.conv" if f"{last}.conv.weight" in graph.arrays else last)
