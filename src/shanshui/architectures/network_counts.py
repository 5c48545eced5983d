"""Numbers of parameters and buffers of the networks in closed form, for estimates made without Jittor.

They are counted from the networks' sections, as a checkpoint stores them. The layers are those of `nn/` and
`architectures/`; c stands for a base width.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shanshui.architectures.apf import Apf, ProgressiveDiscriminators

Sizes = dict[str, Any]

_MASK = {6: (1, 2, 4, 8, 8, 16), 5: (1, 2, 4, 8, 16)}  # widths of APF-GAN's E / c
_DEEP = 4  # halvings of the segmenter
_BANK = 5  # layers of each of APF-GAN's D

_TRUNK = (32, 32, 32, 32, 16, 8, 4, 2, 1)  # widths of SPADE's trunk / (c / 2)
_CONDITIONAL = (16, 16, 16, 16, 8, 4, 2, 1)  # of CC-FPSE's / c
_OASIS = (16, 16, 16, 8, 4, 2, 1)  # of OASIS's / c
_DOWN, _UP = (2, 2, 4, 4, 8, 8), (8, 4, 4, 2, 2, 1)  # of OASIS's discriminator / c
_STYLE = (1, 2, 4, 8, 8, 8)  # of the style encoder / c
_PYRAMID = (1, 2, 4, 8, 8)  # of the FPSE discriminator / c
_CELLS = 16  # pixels of the style encoder's last features
_HIDDEN, _TAPS = 128, 9  # of CC-FPSE's predictors
_RESIDUAL, _WIDE = 9, 7  # blocks of pix2pixHD, and the side of its first and last kernel
_LAYERS, _WIDEST = 4, 512  # of a patch discriminator


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True, vectors: int = 0) -> int:
    """Count a convolution; spectral norm adds one singular vector or both."""
    kept = (0, outputs, outputs + inputs * kernel**2)[vectors]
    return inputs * outputs * kernel**2 + outputs * bias + kept


def _pairs(widths: Iterable[int]) -> Iterable[tuple[int, int]]:
    return itertools.pairwise(widths)


def _spade(channels: int, channels_in: int, hidden: int, kernel: int = 3) -> int:
    return conv(channels_in, hidden, kernel) + 2 * conv(hidden, channels, kernel)


def _start(model: Sizes, channels_in: int, channels: int, pixels: int) -> int:
    """Count the layer of the first features, from the label map or from a vector."""
    size = (pixels >> model["halvings"]) >> model["halvings"]
    return (model["z_dim"] + 1) * channels * size if model["z_dim"] else conv(channels_in, channels, 3)


def spade(model: Sizes, pixels: int) -> int:
    """Count G of SPADE and CLADE, for images of `pixels` pixels."""
    channels_in, clade = model["num_classes"] + model["edges"], model["modulation"] != "spade"
    added, vectors = int(clade and model["edges"]), 2 * model["spectral_norm"]

    def layer(channels: int) -> int:
        statistics = 2 * channels * (model["norm"] == "batch")
        if not clade:
            return statistics + _spade(channels, channels_in, model["hidden"], model["kernel"])
        position_affines = 6 * (model["modulation"] == "clade_icpe")
        return statistics + 2 * model["num_classes"] * channels + position_affines + 2 * model["edges"]

    def block(fin: int, fout: int) -> int:
        middle = min(fin, fout)
        straight = conv(fin + added, middle, 3, vectors=vectors) + conv(middle + added, fout, 3, vectors=vectors)
        shortcut = conv(fin + added, fout, 1, bias=False, vectors=vectors) + layer(fin)
        return straight + layer(fin) + layer(middle) + (shortcut if fin != fout else 0)

    widths = [model["base_channels"] * width // 2 for width in _TRUNK]
    widths = widths if model["upsampling"] == "most" else widths[:-1]
    blocks = sum(block(*pair) for pair in _pairs(widths))
    return _start(model, channels_in, widths[0], pixels) + blocks + conv(widths[-1], 3, 3)


def ccfpse(model: Sizes, pixels: int) -> int:
    """Count G of CC-FPSE, for images of `pixels` pixels."""
    c, channels_in, vectors = model["base_channels"], model["num_classes"] + model["edges"], 2 * model["spectral_norm"]
    condition = channels_in + c

    def conv_unit(inputs: int, kernel: int) -> int:
        return conv(inputs, c, kernel, bias=False, vectors=vectors) + 4 * c

    def predictor(outputs: int) -> int:
        return conv(condition, _HIDDEN, 3) + conv(_HIDDEN, outputs, 3)

    def block(fin: int, fout: int) -> int:
        predicted = predictor(_TAPS * fin) + predictor(_TAPS * fout) + 2 * predictor(fout)
        straight = 4 * fin + conv(fin, fout, 1) + 4 * fout + conv(fout, fout, 1)
        shortcut = conv(fin, fout, 1, bias=False, vectors=vectors) + 2 * fin + _spade(fin, condition, _HIDDEN)
        return predicted + straight + (shortcut if fin != fout else 0)

    widths = [c * width for width in _CONDITIONAL]
    pyramid = conv_unit(channels_in, 3) + model["halvings"] * (2 * conv_unit(c, 3) + conv_unit(c, 1))
    blocks = sum(block(*pair) for pair in _pairs(widths))
    return pyramid + _start(model, channels_in, widths[0], pixels) + blocks + conv(c, 3, 3)


def oasis(model: Sizes, pixels: int) -> int:
    """Count G of OASIS, whatever its images' size."""
    channels_in, vectors = model["num_classes"] + (model["z_dim"] or 0), int(model["spectral_norm"])

    def layer(channels: int) -> int:
        return 2 * channels + _spade(channels, channels_in, model["hidden"])

    def block(fin: int, fout: int) -> int:
        middle = min(fin, fout)
        straight = conv(fin, middle, 3, vectors=vectors) + conv(middle, fout, 3, vectors=vectors)
        shortcut = conv(fin, fout, 1, bias=False, vectors=vectors) + layer(fin)
        return straight + layer(fin) + layer(middle) + (shortcut if fin != fout else 0)

    widths = [model["base_channels"] * width for width in _OASIS]
    return conv(channels_in, widths[0], 3) + sum(block(*pair) for pair in _pairs(widths)) + conv(widths[-1], 3, 3)


def pix2pixhd(model: Sizes, pixels: int) -> int:
    """Count G of pix2pixHD, whatever its images' size."""
    widths = [model["base_channels"] << i for i in range(model["halvings"] + 1)]
    ends = conv(model["num_classes"] + model["edges"], widths[0], _WIDE) + conv(widths[0], 3, _WIDE)
    ways = sum(conv(fin, fout, 3) + conv(fout, fin, 3) for fin, fout in _pairs(widths))
    blocks = 2 * _RESIDUAL * conv(widths[-1], widths[-1], 3)
    normed = 2 * sum(widths) - widths[-1] + 2 * _RESIDUAL * widths[-1]
    return ends + ways + blocks + 2 * normed * (model["norm"] == "batch")


def style_encoder(sizes: Sizes) -> int:
    """Count the style encoder."""
    widths = [3, *(sizes["base_channels"] * width for width in _STYLE)]
    layers = sum(conv(*pair, 3, bias=False, vectors=2 * sizes["spectral_norm"]) for pair in _pairs(widths))
    layers += 2 * sum(widths[1:]) * (sizes["norm"] == "batch")
    return layers + 2 * (_CELLS * widths[-1] + 1) * sizes["z_dim"]


def multiscale(sizes: Sizes) -> int:
    """Count the multi-scale discriminator."""
    widths = [min(sizes["base_channels"] << i, _WIDEST) for i in range(_LAYERS)]
    inner = sum(conv(*pair, 4, bias=False, vectors=2 * sizes["spectral_norm"]) for pair in _pairs(widths))
    return int(sizes["count"] * (conv(sizes["channels"] + 3, widths[0], 4) + inner + conv(widths[-1], 1, 4)))


def fpse(sizes: Sizes) -> int:
    """Count the feature-pyramid discriminator."""
    c, vectors = sizes["base_channels"], 2 * sizes["spectral_norm"]

    def conv_unit(inputs: int, outputs: int, kernel: int) -> int:
        return conv(inputs, outputs, kernel, bias=False, vectors=vectors)

    widths = [3, *(c * width for width in _PYRAMID)]
    down = sum(conv_unit(*pair, 3) for pair in _pairs(widths))
    across = sum(conv_unit(width, 4 * c, 1) for width in widths[2:]) + 3 * conv_unit(4 * c, 2 * c, 3)
    return down + across + conv(2 * c, 1, 1) + conv(2 * c, 2 * c, 1) + conv(sizes["channels"], 2 * c, 1)


def oasis_discriminator(sizes: Sizes) -> int:
    """Count the discriminator of OASIS."""
    vectors = int(sizes["spectral_norm"])

    def block(fin: int, fout: int) -> int:
        straight = conv(fin, fout, 3, vectors=vectors) + conv(fout, fout, 3, vectors=vectors)
        return straight + (conv(fin, fout, 1, vectors=vectors) if fin != fout else 0)

    down = [3, *(sizes["base_channels"] * width for width in _DOWN)]
    up = [sizes["base_channels"] * width for width in _UP]
    entries = [fin + skip for fin, skip in zip([down[-1], *up[:-1]], [0, *down[-2:0:-1]], strict=True)]
    blocks = [*_pairs(down), *zip(entries, up, strict=True)]
    return sum(block(*pair) for pair in blocks) + conv(up[-1], sizes["num_classes"] + 1, 1)


def apf(model: Apf) -> int:
    """Count G of APF-GAN."""
    classes, norm = model.num_classes, int(model.normed)

    def layer(channels: int) -> int:
        noise = conv(classes, channels, 1) if model.seg_noise else 0
        return 2 * channels + noise + _spade(channels, classes, model.spade_hidden)

    def block(fin: int, fout: int) -> int:
        middle = min(fin, fout)
        straight = conv(fin, middle, 3, vectors=norm) + conv(middle, fout, 3, vectors=norm)
        shortcut = conv(fin, fout, 1, bias=False, vectors=norm) + layer(fin)
        return straight + layer(fin) + layer(middle) + (shortcut if fin != fout else 0)

    widths = [model.base_channels // 2 * width for width in _TRUNK]
    images = [widths[-1], *(model.base_channels * 2**head for head in range(model.heads))]
    return sum(block(*pair) for pair in _pairs(widths)) + sum(conv(width, 3, 3) for width in images)


def mask_encoder(model: Apf) -> int:
    """Count E of APF-GAN."""
    widths = [model.base_channels * width for width in _MASK[model.halvings]]
    layers = _pairs([model.num_classes, *widths])
    return sum(conv(*layer, 3, bias=False, vectors=int(model.normed)) for layer in layers)


def progressive_discriminators(sizes: ProgressiveDiscriminators) -> int:
    """Count the progressive discriminators of APF-GAN."""
    width, channels_in = sizes.base_channels, sizes.num_classes + 3
    body = [min(width << i, _WIDEST) for i in range(_BANK)]
    total = 0
    for extra in range(sizes.count):
        entries = range(max(extra - 1, 0), extra + 1)
        extras = [width >> i for i in range(extra, -1, -1)]
        total += sum(conv(channels_in, width >> i, 4) for i in entries)
        layers = [*_pairs(extras), *_pairs(body)]
        total += sum(conv(*layer, 4, bias=False, vectors=int(sizes.normed)) for layer in layers)
        total += conv(body[-1], 1, 4)
    return total


def segmenter(channels: int, classes: int) -> int:
    """Count the U-Net segmenter."""

    def layer(inputs: int, outputs: int, kernel: int = 3) -> int:
        return conv(inputs, outputs, kernel, bias=False) + 4 * outputs

    widths = [channels * 2**i for i in range(_DEEP)]
    down = sum(layer(inputs, outputs) + layer(outputs, outputs) for inputs, outputs in _pairs([3, *widths]))
    up = sum(layer(deep, skip, 1) + layer(skip, skip) for skip, deep in _pairs(widths))
    return down + up + conv(widths[0], 4 * classes, 1)
