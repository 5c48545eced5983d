"""Weights of APF-GAN's Jittor code: translation of names, and sizes from shapes.

Names differ only where its own show how the modules were wrapped: spectral norm's `weight_orig` (and its vectors, which
that code never uses), containers of one layer, and layers that no forward pass reaches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shanshui.architectures.converter import Converted, Converter, Given, translate
from shanshui.errors import ShanshuiError
from shanshui.weights.classes import class_names

if TYPE_CHECKING:
    from shanshui.storage.checkpoint import Arrays, Meta

SPECTRAL_VECTORS = re.compile(r"\.weight_[uv]$")


def generator_key(key: str) -> str | None:
    """Translate a name of `net_G`; None where it is not needed."""
    return _spectral(key.replace(".mlp_shared.0.", ".mlp_shared."))


def encoder_key(key: str) -> str | None:
    """Translate a name of `net_E`; None where it is not needed (the two unused linear layers)."""
    if key.startswith(("fc_mu.", "fc_var.")):
        return None
    return _spectral(re.sub(r"^(layer\d)\.0\.", r"\1.", key))


def discriminator_key(key: str) -> str | None:
    """Translate a name of `net_D`; None where it is not needed (input layers of earlier levels)."""
    if match := re.match(r"multiscale_discriminator_(\d)\.toRGB_extra(\d)\.", key):
        level, i = map(int, match.groups())
        if i < level - 1:
            return None
    key = key.replace("multiscale_discriminator_", "discriminators.")
    key = re.sub(r"toRGB_extra(\d)\.0\.", r"from_rgb_\1.", key)
    return _spectral(re.sub(r"(extra|model)(\d)(?:\.0)+\.", r"\1_\2.", key))


def _spectral(key: str) -> str | None:
    if SPECTRAL_VECTORS.search(key):
        return None
    return re.sub(r"\.weight_orig$", ".weight", key)


def convert(given: Given) -> Converted:
    """Convert the generator, the mask encoder, and the discriminators if given.

    Raises:
        ShanshuiError: arrays that determine the sizes are missing.
        UsageError: the discriminators see other classes.
    """
    arrays = {letter: translate(state, KEYS[letter]) for letter, state in given.states.items()}
    meta = infer(arrays["G"], arrays["E"], given.files["G"], given.files["E"])
    if "D" in arrays:
        meta["model"]["discriminator"], seen = discriminator_structure(arrays["D"], given.files["D"])
        given.check_channels(seen, len(meta["data"]["classes"]))
    return Converted(arrays, meta)


def discriminator_structure(D: Arrays, source: str) -> tuple[dict[str, object], int]:
    """Infer the section of `net_D`, and the channels of the label maps it sees.

    Raises:
        ShanshuiError: the first layer of the first discriminator is missing.
    """
    first = D.get("discriminators.0.from_rgb_0.weight")
    if first is None or first.ndim != 4:
        raise ShanshuiError(
            f"{source} has no multiscale_discriminator_0.toRGB_extra0.0.weight",
            "the state dict of APF-GAN's discriminators (net_D)", "check the file",
        )  # fmt: skip
    count = len({name.split(".")[1] for name in D})
    return {"name": "progressive", "base_channels": int(first.shape[0]), "count": count}, first.shape[1] - 3


def infer(G: Arrays, E: Arrays, generator: str, encoder: str) -> Meta:
    """Infer the metadata of a checkpoint from the shapes of its arrays.

    Args:
        G: arrays of the generator.
        E: arrays of the mask encoder.
        generator: how error messages call the generator's file.
        encoder: how they call the encoder's.

    Raises:
        ShanshuiError: arrays that determine the sizes are missing.
    """
    from shanshui.architectures.apf_encoder import WIDTHS

    try:
        spade_hidden, num_classes = G["head_0.norm_0.mlp_shared.weight"].shape[:2]
        base_channels = 2 * G["out_conv_img.weight"].shape[1]
    except KeyError as error:
        raise ShanshuiError(
            f"{generator} has no {error.args[0]}", "the state dict of an APF-GAN generator (net_G)", "check the file"
        ) from None
    halvings = sum(name.endswith(".weight") for name in E)
    if halvings not in WIDTHS:
        raise ShanshuiError(f"{encoder} has {halvings} layers", "the 6 layers of an APF-GAN mask encoder (net_E)")
    names = class_names(None, num_classes, generator)
    sizes = {"base_channels": base_channels, "halvings": halvings, "spade_hidden": spade_hidden}
    return {
        "data": {"classes": names, "width": None, "height": None, "label_offset": 0, "ignore_label": None},
        "model": {"generator": {"name": "apf", **sizes}, "edges": "none"},
        "preset": "winner",
        "heads": sum(name.startswith("inter_conv_img.") and name.endswith(".weight") for name in G),
        "seg_noise": any(".seg_noise_var." in name for name in G),
        "level": None,
        "alpha": 0.0,
    }


KEYS = {"G": generator_key, "E": encoder_key, "D": discriminator_key}
JITTOR = Converter(
    "APF-GAN for Jittor: <epoch>_net_G.pkl, <epoch>_net_E.pkl, <epoch>_net_D.pkl", convert, required="GE", optional="D"
)
