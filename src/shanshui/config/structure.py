"""Convert the section `model` to the arguments of networks, as stored in training settings and checkpoints.

Own checkpoints and imported weights are described in the same form.
"""

from __future__ import annotations

from typing import Any

from shanshui.config.model_section import CLADES, UPSAMPLINGS
from shanshui.config.schema import Config

Sizes = dict[str, Any]

OASIS_HALVINGS, PIX2PIXHD_HALVINGS = 5, 4
KERNEL = 3  # side of the convolutions inside SPADE
REHEARSED_CLASSES, REHEARSED_SIDE = 3, 128  # which every network can halve


def structure(config: Config) -> dict[str, Sizes]:
    """Sections "model" and, where there are such networks, "encoder" and "discriminator".

    APF-GAN's section has no `kind`; with its bank of discriminators, which grows with it, it holds their sizes too.
    """
    return {"model": _generator(config), **_encoder(config), **_discriminator(config)}


def rehearsed(config: Config) -> dict[str, Sizes] | None:
    """These sections and "data" for networks as small as can be, which need the same kernels.

    None for APF-GAN with its bank.
    """
    if config.model.discriminator == "bank":
        return None
    small = {
        "num_classes": REHEARSED_CLASSES, "base_channels": 4, "discriminator_channels": 8, "count": 2, "z_dim": 4,
        "hidden": 8, "spade_hidden": 8, "channels": REHEARSED_CLASSES + (config.model.edges != "none"),
    }  # fmt: skip
    networks = {
        section: {name: small.get(name, value) if value else value for name, value in sizes.items()}
        for section, sizes in structure(config).items()
    }
    classes = [str(i) for i in range(REHEARSED_CLASSES)]
    return {"data": {"classes": classes, "width": REHEARSED_SIDE, "height": REHEARSED_SIDE}, **networks}


def _spectral_norm(config: Config) -> bool:
    return config.parity.resolved()["spectral_norm"] == "on"


def _generator(config: Config) -> Sizes:
    model = config.model
    if model.generator == "apf":
        bank = {"discriminators", "discriminator_channels"} if model.discriminator == "bank" else set()
        return model.model_dump(include={"base_channels", "halvings", "spade_hidden"} | bank)
    shared = {
        "num_classes": len(config.data.classes), "unknown_class": False, "base_channels": model.base_channels,
        "spectral_norm": _spectral_norm(config), "z_dim": model.z_dim or None, "edges": model.edges != "none",
    }  # fmt: skip
    shared |= {"instances": True} if model.edges == "instance" else {}
    match model.generator:
        case "oasis":
            return {"kind": "oasis", **shared, "hidden": model.spade_hidden, "halvings": OASIS_HALVINGS}
        case "pix2pixhd":
            plain = {"spectral_norm": False}  # published without; of its networks only the discriminator has it here
            return {"kind": "pix2pixhd", **shared, **plain, "norm": model.norm, "halvings": PIX2PIXHD_HALVINGS}
        case "ccfpse":
            return {"kind": "ccfpse", **shared, **_upsampling(config)}
    clade = model.generator in CLADES
    blocks = {"modulation": model.generator, "kernel": KERNEL, "hidden": 0 if clade else model.spade_hidden}
    words = model.model_dump(include={"norm", "activation", "attention"})
    return {"kind": "spade", **shared, **_upsampling(config), **blocks, **words}


def _upsampling(config: Config) -> Sizes:
    upsampling = config.model.upsampling
    return {"upsampling": upsampling, "halvings": UPSAMPLINGS[upsampling]}


def _encoder(config: Config) -> dict[str, Sizes]:
    model = config.model
    if not model.style_encoder:
        return {}
    sizes = {"base_channels": model.style_encoder, "z_dim": model.z_dim, "norm": model.style_norm}
    return {"encoder": {**sizes, "spectral_norm": _spectral_norm(config)}}


def _discriminator(config: Config) -> dict[str, Sizes]:
    model, kind = config.model, config.model.discriminator
    if kind == "bank":
        return {}
    classes = len(config.data.classes)
    sizes: Sizes = {
        "kind": kind, "base_channels": model.discriminator_channels, "spectral_norm": _spectral_norm(config)
    }  # fmt: skip
    if kind == "oasis":
        return {"discriminator": {**sizes, "num_classes": classes}}
    sizes["channels"] = classes + (model.edges != "none")
    if kind == "multiscale":
        sizes |= {"count": model.discriminators, **model.model_dump(include={"activation", "attention"})}
    return {"discriminator": sizes}
