"""How many numbers the networks hold, in closed form: for estimates made where Jittor is not loaded.

Parameters and buffers, as a checkpoint has them. The layers are those of `nn/` and `architectures/`; c stands for a
base width. Here are APF-GAN's networks and the segmenter, in `network_counts` the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from shanshui.architectures import network_counts
from shanshui.config.schema import Config
from shanshui.config.structure import structure

_ENCODER = {6: (1, 2, 4, 8, 8, 16), 5: (1, 2, 4, 8, 16)}  # widths of E / c
_BLOCKS = (32, 32, 32, 32, 16, 8, 4, 2, 1)  # widths before, between and after G's blocks / (c / 2)
_WIDEST = 512  # of D
_DEEP = 4  # halvings of the segmenter


def _conv(inputs: int, outputs: int, kernel: int, bias: bool = True, spectral_norm: bool = False) -> int:
    """A convolution; spectral norm adds a vector."""
    return inputs * outputs * kernel**2 + outputs * (bias + spectral_norm)


def _pairs(widths: Iterable[int]) -> Iterable[tuple[int, int]]:
    return itertools.pairwise(widths)


def painters(config: Config, heads: int, seg_noise: bool) -> int:
    """G and E of the configured model; APF-GAN's with `heads` heads."""
    if config.model.generator == "apf":
        return generator(config, heads, seg_noise) + encoder(config)
    sections = structure(config)
    model, pixels = sections["model"], config.data.width * config.data.height
    style = network_counts.style_encoder(sections["encoder"]) if "encoder" in sections else 0
    return network_counts.GENERATORS[model["kind"]](model, pixels) + style


def judges(config: Config) -> int:
    """The configured discriminator, or bank of them."""
    if config.model.discriminator == "bank":
        return discriminators(config)
    sizes = structure(config)["discriminator"]
    return network_counts.DISCRIMINATORS[sizes["kind"]](sizes)


def generator(config: Config, heads: int, seg_noise: bool) -> int:
    """G of APF-GAN with `heads` heads."""
    model, classes = config.model, len(config.data.classes)
    hidden, norm = model.spade_hidden, config.parity.resolved()["spectral_norm"] == "on"

    def spade(channels: int) -> int:
        noise = _conv(classes, channels, 1) if seg_noise else 0
        return 2 * channels + noise + _conv(classes, hidden, 3) + 2 * _conv(hidden, channels, 3)

    def block(inputs: int, outputs: int) -> int:
        middle = min(inputs, outputs)
        straight = _conv(inputs, middle, 3, spectral_norm=norm) + _conv(middle, outputs, 3, spectral_norm=norm)
        shortcut = _conv(inputs, outputs, 1, bias=False, spectral_norm=norm) + spade(inputs)
        return straight + spade(inputs) + spade(middle) + (shortcut if inputs != outputs else 0)

    widths = [model.base_channels // 2 * width for width in _BLOCKS]
    images = [widths[-1], *(model.base_channels * 2**head for head in range(heads))]
    return sum(block(*pair) for pair in _pairs(widths)) + sum(_conv(width, 3, 3) for width in images)


def encoder(config: Config) -> int:
    """E of APF-GAN."""
    norm = config.parity.resolved()["spectral_norm"] == "on"
    widths = [config.model.base_channels * width for width in _ENCODER[config.model.halvings]]
    layers = _pairs([len(config.data.classes), *widths])
    return sum(_conv(*layer, 3, bias=False, spectral_norm=norm) for layer in layers)


def discriminators(config: Config) -> int:
    """The whole bank D."""
    width, seen = config.model.discriminator_channels, len(config.data.classes) + 3
    norm = config.parity.resolved()["spectral_norm"] == "on"
    body = [min(width * 2**i, _WIDEST) for i in range(5)]
    total = 0
    for extra in range(config.model.discriminators):
        entries = range(max(extra - 1, 0), extra + 1)
        extras = [width >> i for i in range(extra, -1, -1)]
        total += sum(_conv(seen, width >> i, 4) for i in entries)
        layers = [*_pairs(extras), *_pairs(body)]
        total += sum(_conv(*layer, 4, bias=False, spectral_norm=norm) for layer in layers) + _conv(body[-1], 1, 4)
    return total


def segmenter(config: Config) -> int:
    """The network that finds the classes again."""

    def layer(inputs: int, outputs: int, kernel: int = 3) -> int:
        return _conv(inputs, outputs, kernel, bias=False) + 4 * outputs

    widths = [config.segmenter.channels * 2**i for i in range(_DEEP)]
    down = sum(layer(inputs, outputs) + layer(outputs, outputs) for inputs, outputs in _pairs([3, *widths]))
    up = sum(layer(deep, skip, 1) + layer(skip, skip) for skip, deep in _pairs(widths))
    return down + up + _conv(widths[0], 4 * len(config.data.classes), 1)
