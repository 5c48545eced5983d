"""Networks of the SPADE family from a checkpoint's metadata."""

from __future__ import annotations

from typing import Any

from shanshui.architectures.multiscale_discriminator import MultiscaleDiscriminator
from shanshui.architectures.spade_generator import SPADEGenerator
from shanshui.architectures.style_encoder import StyleEncoder
from shanshui.nn.spade_block import BlockKind

Settings = dict[str, Any]
KINDS = ("modulation", "norm", "kernel", "hidden", "edges", "activation", "attention", "spectral_norm")


def build_spade(meta: Settings) -> tuple[Any, Any]:
    """Generator and style encoder (None without one) as in the sections model, encoder and data, freshly made."""
    model, data = meta["model"], meta["data"]
    kind = BlockKind(model["num_classes"], **{name: model[name] for name in KINDS})
    size = None if model["z_dim"] is None else (data["height"], data["width"])
    G = SPADEGenerator(kind, model["base_channels"], model["upsampling"], z_dim=model["z_dim"], size=size)
    return G, build_style_encoder(meta)


def build_style_encoder(meta: Settings) -> Any:
    """Style encoder as in the section encoder, freshly made; None without one."""
    encoder = meta.get("encoder")
    return None if encoder is None else StyleEncoder(**encoder)


def build_spade_discriminator(meta: Settings) -> Any:
    """Multi-scale discriminator as in the section discriminator, freshly made."""
    return MultiscaleDiscriminator(**{name: value for name, value in meta["discriminator"].items() if name != "kind"})
