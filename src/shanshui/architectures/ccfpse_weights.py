"""CC-FPSE weights of the authors (`latest_net_G.pth`, `_D`, `_E`): names of arrays, and sizes from shapes.

Our networks use the authors' names, except for the weights of spectral norm (theirs `weight_orig`, here `weight`) and
containers of one layer in SPADE and the encoder. Arrays that no forward pass uses are left out: in every block a batch
norm `norm_0` and one inside each depthwise convolution, which has no weights either; and the counters of batch norms.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from shanshui.architectures.converter import VECTORS, Converted, Converter, Given
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np

    from shanshui.storage.checkpoint import Arrays, Meta

UNUSED = re.compile(r"\.num_batches_tracked$|^\w+\.norm_0\.|^\w+\.conv_[02]\.norm_layer\.")
TRUNK = 16  # channels of the start / base channels
HALVINGS = {"normal": 5, "more": 6}
ENCODER_WIDTHS, ENCODER_CELLS = (1, 2, 4, 8, 8, 8), 16  # channels / base channels; pixels of the last features


def our_key(key: str) -> str | None:
    """Convert a key of `net_G`, `net_D` or `net_E` to our name; None if the array is not needed."""
    if UNUSED.search(key):
        return None
    key = re.sub(r"(\.mlp_shared|^layer\d)\.0\.", r"\1.", key)
    return re.sub(r"\.weight_orig$", ".weight", key)


def convert(given: Given) -> Converted:
    """Convert a generator, with style encoder and FPSE discriminator if given.

    Raises:
        ShanshuiError: the arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    arrays = {letter: our_arrays(state, given.spectral_norm) for letter, state in given.states.items()}
    generator, channels = generator_structure(arrays["G"], given.files["G"], given.size)
    data = given.data(channels - given.edges, given.size)
    networks: Meta = {"generator": generator}
    if "E" in arrays:
        encoder, z_dim = encoder_structure(arrays["E"], given.files["E"])
        given.check_styles(z_dim, cast("int", generator["z_dim"]))
        generator["style_encoder"] = encoder
    if "D" in arrays:
        networks["discriminator"], seen = discriminator_structure(arrays["D"], given.files["D"])
        given.check_channels(seen, channels)
    return Converted(arrays, given.meta(data, networks, given.edges))


def our_arrays(state: Mapping[str, np.ndarray], spectral_norm: bool = True) -> Arrays:
    """Select the arrays of a state dict that are needed, under our names.

    Args:
        state: of `net_G`, `net_D` or `net_E`.
        spectral_norm: keep the singular vectors of spectral normalisation.
    """
    named = {our_key(key): array for key, array in state.items()}
    return {
        name: array
        for name, array in named.items()
        if name is not None and (spectral_norm or not name.endswith(VECTORS))
    }


def generator_structure(arrays: Arrays, source: str, size: Size | None) -> tuple[dict[str, object], int]:
    """Infer the section of a `ConditionalGenerator` from the shapes of its arrays, and the segmap's channels.

    Args:
        arrays: by our names.
        source: how error messages call the file.
        size: of the images, for a generator that starts from z; else None.

    Raises:
        ShanshuiError: the arrays are not those of such a generator.
        UsageError: `size` is missing, does not fit the arrays, or is given for a generator that takes any size.
    """
    kind = "generator (net_G)"
    labels, out = (_shape(arrays, name, (4,), kind, source) for name in ("labelenc1.0.0.weight", "conv_img.weight"))
    start = _shape(arrays, "fc.weight", (2, 4), kind, source)
    upsampling = "more" if "labelenc7.0.0.weight" in arrays else "normal"
    from_z = len(start) == 2
    if from_z:
        _check_size(start[0] // (TRUNK * out[1]), 2 ** HALVINGS[upsampling], source, size)
    elif size is not None:
        raise UsageError("--size", "nothing: this generator starts from the label map and takes any size")
    norm = "on" if "labelenc1.0.0.weight_u" in arrays else "off"
    z_dim = start[1] if from_z else 0
    section = {
        "name": "ccfpse",
        "base_channels": out[1],
        "spectral_norm": norm,
        "upsampling": upsampling,
        "z_dim": z_dim,
    }
    return section, labels[1]


def _check_size(cells: int, step: int, source: str, size: Size | None) -> None:
    """Check that images of `size` downsampled by `step` have `cells` pixels.

    Raises:
        UsageError: they have not, or `size` is None.
    """
    expected = f"--size WxH with sides that are multiples of {step} and W * H = {cells * step * step}"
    if size is None:
        raise UsageError(f"{source} starts from z: it makes images of one size, which it does not tell", expected)
    if any(side % step for side in size) or size.divided(step).pixels != cells:
        raise UsageError(f"{source} does not make images of {size}", expected)


def discriminator_structure(arrays: Arrays, source: str) -> tuple[dict[str, object], int]:
    """Infer the section of an `FPSEDiscriminator`, and the segmap's channels, from the shapes of its arrays.

    Raises:
        ShanshuiError: the arrays are not those of such a discriminator.
    """
    kind = "FPSE discriminator (net_D)"
    enc, embedding = (_shape(arrays, name, (4,), kind, source) for name in ("enc1.0.0.weight", "embedding.weight"))
    norm = "on" if "enc1.0.0.weight_u" in arrays else "off"
    return {"name": "fpse", "base_channels": enc[0], "spectral_norm": norm}, embedding[1]


def encoder_structure(arrays: Arrays, source: str) -> tuple[dict[str, object], int]:
    """Infer the section of the style encoder, which is SPADE's (six convolutions, two linear layers), and its z_dim.

    Raises:
        ShanshuiError: names or shapes are not exactly those.
    """
    kind = "style encoder (net_E)"
    base_channels = _shape(arrays, "layer1.weight", (4,), kind, source)[0]
    z_dim = _shape(arrays, "fc_mu.weight", (2,), kind, source)[0]
    spectral_norm = "layer1.weight_u" in arrays
    channels = [3, *(base_channels * width for width in ENCODER_WIDTHS)]
    wanted: dict[str, tuple[int, ...]] = {}
    for i, (fin, fout) in enumerate(itertools.pairwise(channels), 1):
        wanted[f"layer{i}.weight"] = (fout, fin, 3, 3)
        if spectral_norm:
            wanted |= {f"layer{i}.weight_u": (fout,), f"layer{i}.weight_v": (9 * fin,)}
    for layer in ("fc_mu", "fc_var"):
        wanted |= {f"{layer}.weight": (z_dim, ENCODER_CELLS * channels[-1]), f"{layer}.bias": (z_dim,)}
    from shanshui.storage.checkpoint import check_keys

    check_keys(arrays, wanted, source)
    return {
        "base_channels": base_channels,
        "norm": "instance",
        "spectral_norm": "on" if spectral_norm else "off",
    }, z_dim


def _shape(arrays: Arrays, name: str, ranks: tuple[int, ...], kind: str, source: str) -> tuple[int, ...]:
    """Return the shape of an array; ShanshuiError unless its rank is one of `ranks`."""
    if name not in arrays or arrays[name].ndim not in ranks:
        found = f"has {name} of shape {arrays[name].shape}" if name in arrays else f"has no {name}"
        raise ShanshuiError(f"{source} {found}", f"the state dict of a CC-FPSE {kind}", "check the file")
    return tuple(arrays[name].shape)


PYTORCH = Converter(
    "CC-FPSE in PyTorch: latest_net_G.pth, _E.pth, _D.pth", convert,
    options=frozenset({"classes", "unknown_class", "edges", "size", "spectral_norm"}),
)  # fmt: skip
