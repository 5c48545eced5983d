"""Weights of SPADE, CLADE and CLADE-ICPE saved by PyTorch: translation of names, structure from names and shapes."""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from shanshui.architectures.converter import Converted, Converter, Given, Option, translate
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.size import Size

if TYPE_CHECKING:
    import numpy as np

    from shanshui.storage.checkpoint import Meta

State: TypeAlias = "Mapping[str, np.ndarray]"

HALVINGS = {"normal": 5, "more": 6, "most": 7}
RATIOS = ((1, 1), (4, 3), (2, 1))  # width to height of the images, where nothing is said of them
VECTORS = re.compile(r"\.weight_[uv]$")


def our_key(key: str) -> str | None:
    """Translate a name of `net_G`, `net_E` or `net_D` of SPADE or CLADE; None for torch's batch counters.

    The vectors of spectral norm are needed: evaluation there divides by the value the stored ones give.
    """
    if key.endswith(".num_batches_tracked"):
        return None
    key = re.sub(r"\b(mlp_shared|layer\d|model\d)(?:\.0)+\.", r"\1.", key)
    return re.sub(r"\.weight_orig$", ".weight", key)


def convert(given: Given, family: str) -> Converted:
    """Convert a generator of the `family` "spade" or "clade", with style encoder and discriminator if given.

    Raises:
        ShanshuiError: the arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    states: Mapping[str, State] = given.states
    if not given.spectral_norm:
        states = {letter: drop_spectral_norm(state) for letter, state in states.items()}
    meta = metadata(given, states, family)
    return Converted({letter: translate(state, our_key) for letter, state in states.items()}, meta)


def metadata(given: Given, states: Mapping[str, State], family: str) -> Meta:
    """Infer the metadata of a checkpoint, as `convert` does, from the state dicts by letter."""
    source = given.files["G"]
    generator, num_classes, edges, size = generator_structure(
        states["G"], source, edges=given.edges, upsampling=given.upsampling, size=given.size
    )
    if (generator["name"] == "spade") != (family == "spade"):
        raise UsageError(f"{source} is a generator of {generator['name']}", "import spade for SPADE, clade for CLADE")
    data = given.data(num_classes, size)
    if size and not given.size:
        print(f"images of {size} assumed; --size or --upsampling say otherwise", file=sys.stderr)
    networks: Meta = {"generator": generator}
    if "E" in states:
        encoder, z_dim = encoder_structure(states["E"], given.files["E"])
        given.check_styles(z_dim, cast("int", generator["z_dim"]))
        generator["style_encoder"] = encoder
    if "D" in states:
        networks["discriminator"], channels = discriminator_structure(states["D"], given.files["D"])
        given.check_channels(channels, num_classes + edges)
    return given.meta(data, networks, edges)


def drop_spectral_norm(state: State) -> dict[str, np.ndarray]:
    """Remove spectral normalisation from a state dict: Jittor's ports of SPADE store it but do not apply it."""
    plain = {key: array for key, array in state.items() if not VECTORS.search(key)}
    return {re.sub(r"\.weight_orig$", ".weight", key): array for key, array in plain.items()}


def generator_structure(
    state: State, source: str, *, edges: bool, upsampling: str | None, size: Size | None
) -> tuple[dict[str, object], int, bool, Size | None]:
    """Infer the section of a generator, and what one must know of its label maps and images.

    Args:
        state: `net_G` of SPADE or CLADE.
        source: how error messages call the file.
        edges: SPADE was trained with an edge channel (CLADE's own arrays show it).
        upsampling: "normal" or "more", which have the same arrays ("normal" if None); "most" is recognised.
        size: of the images of a generator that starts from z; None takes the first of 1:1, 4:3 and 2:1
            that fits its first features.

    Returns:
        The section, the number of classes, whether it sees edges, and the size of the images if the start from z fixes
        it.

    Raises:
        ShanshuiError: the arrays are not those of such a generator.
        UsageError: `size` or `upsampling` does not fit the arrays.
    """
    base_channels, spectral_norm = first_layer(state, "head_0.conv_0", source)
    layer = "head_0.norm_0"
    found = _upsampling(state, source, upsampling)
    kind, num_classes, sees_edges = modulation(state, layer, source, edges)
    section: dict[str, object] = {
        **kind,
        "base_channels": base_channels // 16,
        "spectral_norm": "on" if spectral_norm else "off",
        "norm": "batch" if f"{layer}.param_free_norm.running_mean" in state else "instance",
        "upsampling": found,
        "z_dim": 0,
    }
    fc = need(state, "fc.weight", source)
    if fc.ndim != 2:
        if size is not None:
            raise UsageError("--size", "nothing: this generator starts from the label map and takes any size")
        return section, num_classes, sees_edges, None
    positions = fc.shape[0] // base_channels
    size = size or likely_size(positions, found, source)
    step = 2 ** HALVINGS[found]
    if any(side % step for side in size) or size.pixels != positions * step * step:
        raise UsageError(
            f"{source} starts from {positions} positions, which are not those of {size} images",
            f"WxH with W * H = {positions * step * step} and both multiples of {step}",
            "give --size as it was trained, or another --upsampling",
        )
    return section | {"z_dim": fc.shape[1]}, num_classes, sees_edges, size


def modulation(state: State, layer: str, source: str, edges: bool) -> tuple[dict[str, object], int, bool]:
    """Name and options of a generator from the arrays of a modulating layer, number of classes, whether it sees edges.

    `edges` is for SPADE, where it cannot be inferred.
    """
    table = f"{layer}.class_specified_affine"
    if f"{table}.weight" in state:
        kind = "clade_icpe" if f"{table}.dist_conv_w.weight" in state else "clade"
        classes = need(state, f"{table}.weight", source).shape[0]
        return {"name": kind}, classes, f"{layer}.inst_conv.weight" in state
    hidden, channels, kernel = need(state, f"{layer}.mlp_shared.0.weight", source).shape[:3]
    return {"name": "spade", "spade_hidden": hidden, "spade_kernel": kernel}, channels - edges, edges


def likely_size(positions: int, upsampling: str, source: str) -> Size:
    """Return the size, of ratio 1:1, 4:3 or 2:1, whose first features have `positions` pixels.

    Raises:
        UsageError: there is none.
    """
    step = 2 ** HALVINGS[upsampling]
    for across, down in RATIOS:
        unit = math.isqrt(positions // (across * down))
        if unit * unit * across * down == positions:
            return Size(unit * down * step, unit * across * step)
    raise UsageError(f"{source} starts from {positions} positions", "the images' size", "give --size WxH")


def encoder_structure(state: State, source: str) -> tuple[dict[str, object], int]:
    """Infer the section of `net_E`, and the length of its styles."""
    base_channels, spectral_norm = first_layer(state, "layer1.0", source)
    z_dim = need(state, "fc_mu.weight", source).shape[0]
    norm = "on" if spectral_norm else "off"
    return {"base_channels": base_channels, "norm": "instance", "spectral_norm": norm}, z_dim


def discriminator_structure(state: State, source: str) -> tuple[dict[str, object], int]:
    """Infer the section of `net_D`, and the channels of the label maps it sees."""
    start = "discriminator_0.model"
    first = need(state, f"{start}0.0.weight", source)
    layers = {int(key.removeprefix(start).split(".")[0]) for key in state if re.match(rf"{start}\d+\.", key)}
    section = {
        "name": "multiscale",
        "base_channels": first.shape[0],
        "spectral_norm": "on" if f"{start}1.0.0.weight_orig" in state else "off",
        "count": len({key.split(".")[0] for key in state}),
        "layers": max(layers),
    }
    return section, first.shape[1] - 3


def first_layer(state: State, layer: str, source: str) -> tuple[int, bool]:
    """Return the output channels of a convolution, and whether it is spectrally normalised."""
    if f"{layer}.weight" in state:
        return need(state, f"{layer}.weight", source).shape[0], False
    return need(state, f"{layer}.weight_orig", source).shape[0], True


def need(state: State, key: str, source: str) -> np.ndarray:
    """Return the array `key`, of rank 2 to 4.

    Raises:
        ShanshuiError: there is none.
    """
    array = state.get(key)
    if array is None or not 2 <= array.ndim <= 4:
        raise ShanshuiError(
            f"{source} has no {key}", "the state dict of SPADE's or CLADE's net_G, net_E or net_D", "check the file"
        )
    return array


def _upsampling(state: State, source: str, wanted: str | None) -> str:
    found = "most" if any(key.startswith("up_4.") for key in state) else "normal"
    if wanted is not None and (found == "most") != (wanted == "most"):
        raise UsageError(f'{source} is a generator of upsampling "{found}"', "--upsampling normal or more without up_4")
    return wanted or found


OPTIONS: frozenset[Option] = frozenset({"classes", "unknown_class", "size", "upsampling", "spectral_norm"})
SPADE = Converter(
    "SPADE (GauGAN) in PyTorch: latest_net_G.pth, _E.pth, _D.pth", functools.partial(convert, family="spade"),
    options=OPTIONS | {"edges"},
)  # fmt: skip
CLADE = Converter(
    "CLADE and CLADE-ICPE in PyTorch: latest_net_G.pth, _E.pth, _D.pth", functools.partial(convert, family="clade"),
    options=OPTIONS,
)  # fmt: skip
