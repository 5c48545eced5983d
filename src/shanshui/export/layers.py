"""Layers of the generators as ONNX nodes; each takes its values by the layer's name from the graph's arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shanshui.export.graph import END, Graph, Name
from shanshui.nn.norm_kernels import EPS
from shanshui.nn.simam import REGULARISER
from shanshui.nn.singular_vectors import largest_singular_value
from shanshui.nn.spade import SLOPE
from shanshui.storage.checkpoint import Arrays


def effective_weight(arrays: Arrays, layer: str) -> np.ndarray:
    """Compute the weight that evaluation uses: divided by spectral norm's sigma where its vectors are stored."""
    weight = arrays[f"{layer}.weight"]
    if f"{layer}.weight_u" not in arrays:
        return weight
    return (weight / largest_singular_value(arrays, layer)).astype(np.float32)


def conv(
    graph: Graph, x: Name, layer: str, *, stride: int = 1, padding: int | None = None, shift: float = 0,
    depthwise: bool = False,
) -> Name:  # fmt: skip
    """Convolve (N, in, h, w); `padding` is half the kernel's side by default; `shift` is added to the bias.

    A depthwise convolution has one kernel per channel.
    """
    weight = effective_weight(graph.arrays, layer)
    side = weight.shape[2]
    around = side // 2 if padding is None else padding
    bias = graph.arrays.get(f"{layer}.bias")
    if bias is None and shift:
        bias = np.zeros(len(weight), np.float32)
    extra = [] if bias is None else [graph.constant((bias + np.float32(shift)).astype(np.float32))]
    groups = {"group": len(weight)} if depthwise else {}
    return graph.node(
        "Conv", x, graph.weight(weight), *extra,
        kernel_shape=[side, side], strides=[stride, stride], pads=[around] * 4, **groups,
    )  # fmt: skip


def linear(graph: Graph, x: Name, layer: str) -> Name:
    """Apply a linear layer: (N, in) -> (N, out)."""
    weight, bias = graph.arrays[f"{layer}.weight"], graph.arrays[f"{layer}.bias"]
    return graph.node("Gemm", x, graph.weight(weight), graph.constant(bias), transB=1)


def standardise(graph: Graph, x: Name, layer: str) -> Name:
    """Standardise (N, C, h, w) by the layer's running statistics, and apply its scale and shift, if it has any.

    A layer without running statistics is an instance norm.
    """
    mean = graph.arrays.get(f"{layer}.running_mean")
    if mean is None:
        return instance_norm(graph, x)
    scale = 1 / np.sqrt(graph.arrays[f"{layer}.running_var"].astype(np.float64) + EPS)
    scale = scale * graph.arrays.get(f"{layer}.weight", np.ones(1))
    shift = graph.arrays.get(f"{layer}.bias", np.zeros(1)) - mean * scale
    return graph.node("Add", graph.node("Mul", x, channels(graph, scale)), channels(graph, shift))


def channels(graph: Graph, values: np.ndarray) -> Name:
    """Store one value per channel, as (1, C, 1, 1)."""
    return graph.constant(values.astype(np.float32).reshape(1, -1, 1, 1))


def number(graph: Graph, value: float) -> Name:
    """Store a float32 scalar."""
    return graph.constant(np.array(value, np.float32))


def mean(graph: Graph, x: Name) -> Name:
    """Average (N, C, h, w) over the width, then over the height, so that few numbers are added at a time."""
    return graph.node("ReduceMean", graph.node("ReduceMean", x, axes=[3]), axes=[2])


def instance_norm(graph: Graph, x: Name) -> Name:
    """Standardise every channel of every image, in plain operators, which work at any size.

    Where a channel is nearly constant, as on a label map of one class, what counts is how exact its mean is: it is
    subtracted twice, the second time from values near 0.
    """
    centred = x
    for _ in range(2):
        centred = graph.node("Sub", centred, mean(graph, centred))
    variance = mean(graph, graph.node("Mul", centred, centred))
    return graph.node("Div", centred, graph.node("Sqrt", graph.node("Add", variance, number(graph, EPS))))


def leaky_relu(graph: Graph, x: Name) -> Name:
    """Apply a leaky ReLU."""
    return graph.node("LeakyRelu", x, alpha=SLOPE)


def gelu(graph: Graph, x: Name) -> Name:
    """Apply x * (1 + erf(x / sqrt(2))) / 2."""
    erf = graph.node("Erf", graph.node("Div", x, number(graph, 2**0.5)))
    half = graph.node("Mul", x, number(graph, 0.5))
    return graph.node("Mul", half, graph.node("Add", erf, number(graph, 1)))


def simam(graph: Graph, x: Name) -> Name:
    """Apply SimAM's attention (Yang et al. 2021, equation 5)."""
    centred = graph.node("Sub", x, mean(graph, x))
    squares = graph.node("Mul", centred, centred)
    pixels = graph.cast(graph.node("ReduceProd", graph.shape(x, 2, 4), keepdims=0), np.float32)
    others = graph.node("Max", graph.node("Sub", pixels, number(graph, 1)), number(graph, 1))
    variance = graph.node("Mul", mean(graph, squares), graph.node("Div", pixels, others))
    below = graph.node("Mul", graph.node("Add", variance, number(graph, REGULARISER)), number(graph, 4))
    energy = graph.node("Add", graph.node("Div", squares, below), number(graph, 0.5))
    return graph.node("Mul", x, graph.node("Sigmoid", energy))


def upsample2(graph: Graph, x: Name) -> Name:
    """Double (N, C, h, w) by nearest neighbour."""
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    return graph.node(
        "Resize", x, "", scales,
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


def reduced(graph: Graph, x: Name, halvings: int, first_axis: int = 2) -> Name:
    """Take every 2^halvings-th row and column, as nearest-neighbour resizing does; axes are the two from `first_axis`.

    Sides are multiples of 2^halvings, so the positions are exact.
    """
    if halvings == 0:
        return x
    return graph.slice(x, [first_axis, first_axis + 1], [0, 0], [END, END], 2**halvings)


def spade(graph: Graph, x: Name, layer: str, segmap: Name, noise: Name | None = None) -> Name:
    """Modulate x (N, C, h, w) by the label map of the same size (Park et al. 2019), without an activation.

    Args:
        graph: under construction.
        x: features.
        layer: name of the layer.
        segmap: (N, classes, h, w).
        noise: (N, 1, h, w), scaled by class and channel; or None.
    """
    if noise is not None:
        x = graph.node("Add", x, graph.node("Mul", noise, conv(graph, segmap, f"{layer}.seg_noise_var")))
    hidden = graph.node("Relu", conv(graph, segmap, f"{layer}.mlp_shared"))
    scale = conv(graph, hidden, f"{layer}.mlp_gamma", shift=1)
    scaled = graph.node("Mul", standardise(graph, x, f"{layer}.param_free_norm"), scale)
    return graph.node("Add", scaled, conv(graph, hidden, f"{layer}.mlp_beta"))


def spade_block(
    graph: Graph, x: Name, block: str, segmap: Name, draw: Callable[[], Name | None] = lambda: None
) -> Name:
    """Apply a residual block of SPADE layers; `draw` returns each layer's noise in turn: norm_s, norm_0, norm_1."""
    shortcut = x
    if f"{block}.conv_s.weight" in graph.arrays:
        shortcut = conv(graph, spade(graph, x, f"{block}.norm_s", segmap, draw()), f"{block}.conv_s")
    y = leaky_relu(graph, spade(graph, x, f"{block}.norm_0", segmap, draw()))
    y = conv(graph, y, f"{block}.conv_0")
    y = leaky_relu(graph, spade(graph, y, f"{block}.norm_1", segmap, draw()))
    return graph.node("Add", shortcut, conv(graph, y, f"{block}.conv_1"))


def rgb(graph: Graph, x: Name, layer: str) -> Name:
    """Compute images (N, 3, H, W) in [-1, 1] from activated features."""
    return graph.node("Tanh", conv(graph, x, layer))
