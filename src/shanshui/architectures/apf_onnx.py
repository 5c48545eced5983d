"""ONNX nodes of APF-GAN's generator with its mask encoder, at full size."""

from __future__ import annotations

import functools

from shanshui.architectures.apf_generator import MIDDLE, UPS
from shanshui.export.graph import Graph, Name
from shanshui.export.inputs import Inputs
from shanshui.export.layers import conv, instance_norm, leaky_relu, rgb, spade_block, upsample2


def add_apf(graph: Graph, inputs: Inputs, halvings: int, seg_noise: bool) -> Name:
    """Add the nodes, and return the images (N, 3, H, W) in [-1, 1].

    Args:
        graph: under construction, with the arrays of "G" and "E".
        inputs: of the generator.
        halvings: 5 or 6.
        seg_noise: SPADE layers have noise amplitudes.
    """
    x = inputs.one_hot(0)
    for i in range(1, halvings + 1):
        x = leaky_relu(graph, instance_norm(graph, conv(graph, x, f"E.layer{i}", stride=2)))
    doubled = {*UPS, "G_middle_0"} if halvings == 6 else {*UPS}
    left = halvings  # of the label map's size
    for name in MIDDLE + UPS:
        if name in doubled:
            x, left = upsample2(graph, x), left - 1
        draw = functools.partial(inputs.noise, left) if seg_noise else lambda: None
        x = spade_block(graph, x, f"G.{name}", inputs.one_hot(left), draw)
    return rgb(graph, leaky_relu(graph, x), "G.out_conv_img")
