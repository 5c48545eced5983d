"""ONNX nodes of the generators of SPADE, CLADE and CLADE-ICPE, and of their style encoder."""

from __future__ import annotations

from typing import Literal

import numpy as np

from shanshui.architectures.spade_generator import BLOCKS, HALVINGS
from shanshui.architectures.style_encoder import SIDE, WIDTHS
from shanshui.export.graph import Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import (
    channels,
    conv,
    gelu,
    leaky_relu,
    linear,
    number,
    rgb,
    simam,
    spade,
    standardise,
    upsample2,
)
from shanshui.storage.size import Size


def start(graph: Graph, inputs: Inputs, z_dim: int, halvings: int, first: int, size: Size | None) -> Name:
    """Add `fc`: the first features (N, `first`, h, w), from the reduced label map or from a vector.

    Args:
        graph: under construction.
        inputs: of the generator.
        z_dim: length of the vector; 0 for a start from the label map.
        halvings: of the label map's size.
        first: channels.
        size: of the images, which a start from a vector fixes.
    """
    if not z_dim or size is None:
        return conv(graph, inputs.segmap(halvings), "G.fc")
    features = linear(graph, inputs.vector(z_dim), "G.fc")
    return graph.node("Reshape", features, graph.numbers(-1, first, *size.divided(2**halvings)))


class Blocks:
    """Residual blocks of one generator, added to a graph.

    Args:
        graph: under construction, with the arrays of "G".
        inputs: of the generator.
        activation: between modulation and convolution.
        attention: after each activation.
        edges: CLADE layers add a channel with a multiple of the edges.
    """

    def __init__(
        self, graph: Graph, inputs: Inputs, activation: Literal["leaky_relu", "gelu"],
        attention: Literal["none", "simam"], edges: bool,
    ) -> None:  # fmt: skip
        self.graph, self.inputs = graph, inputs
        self.activation, self.attention, self.edges = activation, attention, edges

    def add(self, x: Name, block: str, left: int) -> Name:
        """Add a block on features whose size is `left` halvings of the label map's."""
        graph, shortcut = self.graph, x
        if f"{block}.conv_s.weight" in graph.arrays:
            shortcut = conv(graph, self.modulated(x, f"{block}.norm_s", left), f"{block}.conv_s")
        for i in (0, 1):
            modulated = self.activated(self.modulated(x, f"{block}.norm_{i}", left))
            if self.attention == "simam":
                modulated = simam(graph, modulated)
            x = conv(graph, modulated, f"{block}.conv_{i}")
        return graph.node("Add", shortcut, x)

    def activated(self, x: Name) -> Name:
        """Apply the activation."""
        return leaky_relu(self.graph, x) if self.activation == "leaky_relu" else gelu(self.graph, x)

    def modulated(self, x: Name, layer: str, left: int) -> Name:
        """Apply a modulating layer, without an activation."""
        if f"{layer}.class_specified_affine.weight" in self.graph.arrays:
            return self.clade(x, layer, left)
        return spade(self.graph, x, layer, self.inputs.segmap(left))

    def clade(self, x: Name, layer: str, left: int) -> Name:
        """Modulate by scale and shift of each pixel's class (Tan et al. 2021), as rows of a table."""
        graph, affine = self.graph, f"{layer}.class_specified_affine"
        scale = self.by_class(f"{affine}.weight", 1, left)
        shift = self.by_class(f"{affine}.bias", 0, left)
        if f"{affine}.dist_conv_w.weight" in graph.arrays:
            scale = graph.node("Mul", scale, self.by_position(f"{affine}.dist_conv_w", left))
            shift = graph.node("Mul", shift, self.by_position(f"{affine}.dist_conv_b", left))
        scaled = graph.node("Mul", standardise(graph, x, f"{layer}.param_free_norm"), scale)
        y = graph.node("Add", scaled, shift)
        if not self.edges:
            return y
        return graph.node("Concat", y, conv(graph, self.inputs.edges(left), f"{layer}.inst_conv"), axis=1)

    def by_class(self, name: str, none: float, left: int) -> Name:
        """Look up (N, C, h, w) by class, `none` where a pixel has no class."""
        rows = self.graph.arrays[name]
        table = np.concatenate([rows, np.full((1, rows.shape[1]), none, np.float32)])
        found = self.graph.node("Gather", self.graph.weight(table), self.inputs.index(left), axis=0)
        return self.graph.node("Transpose", found, perm=[0, 3, 1, 2])

    def by_position(self, layer: str, left: int) -> Name:
        """Compute 1 + an affine function of the position, (N, 1, h, w)."""
        graph = self.graph
        weighted = graph.node(
            "Mul", self.inputs.positions(left), channels(graph, graph.arrays[f"{layer}.weight"].reshape(-1))
        )
        total = graph.node("ReduceSum", weighted, graph.numbers(1), keepdims=1)
        return graph.node("Add", total, number(graph, 1 + float(graph.arrays[f"{layer}.bias"][0])))


def add_modulated(
    graph: Graph, inputs: Inputs, *, base_channels: int, upsampling: str, z_dim: int, size: Size | None,
    activation: Literal["leaky_relu", "gelu"], attention: Literal["none", "simam"], edges: bool,
) -> Name:  # fmt: skip
    """Add the nodes of SPADE's trunk, and return the images (N, 3, H, W) in [-1, 1]; arguments as of the generator."""
    left = HALVINGS[upsampling]
    x = start(graph, inputs, z_dim, left, 16 * base_channels, size)
    blocks = Blocks(graph, inputs, activation, attention, edges)
    single = {"head_0", "G_middle_1"} if upsampling == "normal" else {"head_0"}
    for name in BLOCKS if upsampling == "most" else BLOCKS[:-1]:
        if name not in single:
            x, left = upsample2(graph, x), left - 1
        x = blocks.add(x, f"G.{name}", left)
    return rgb(graph, blocks.activated(x), "G.conv_img")


def add_style_encoder(graph: Graph) -> Name:
    """Add the nodes of the style encoder: `photograph` (N, 3, H, W) in [-1, 1] -> mean of its style (N, z_dim)."""
    photo = graph.input("photograph", np.float32, ("N", 3, "H", "W"))
    shape = graph.node("Concat", graph.shape(photo, 0, 2), graph.numbers(SIDE, SIDE), axis=0)
    x = graph.node("Resize", photo, "", "", shape, mode="linear", coordinate_transformation_mode="half_pixel")
    for i in range(1, len(WIDTHS) + 1):
        x = leaky_relu(graph, standardise(graph, conv(graph, x, f"E.layer{i}", stride=2), f"E.norm{i}"))
    return linear(graph, graph.node("Flatten", x, axis=1), "E.fc_mu")
