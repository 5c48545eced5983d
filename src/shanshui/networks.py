"""From settings to networks: the one seam between configuration and models, for training and generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shanshui.ccfpse_networks import build_ccfpse
from shanshui.checkpoint import Arrays
from shanshui.models.discriminator import Discriminator
from shanshui.models.encoder import MaskEncoder
from shanshui.models.generator import Generator
from shanshui.models.init import init_weights
from shanshui.modules import gather, restore
from shanshui.spade_networks import build_spade, build_style_encoder

Settings = dict[str, Any]


def build_generator(settings: Settings, seg_noise: bool, heads: int) -> tuple[Any, Any]:
    """Generator and mask encoder as in `settings` (sections data, model and parity), freshly initialised."""
    model, spectral_norm = settings["model"], settings["parity"]["spectral_norm"] == "on"
    num_classes = len(settings["data"]["classes"])
    E = MaskEncoder(num_classes, model["base_channels"], model["halvings"], spectral_norm)
    G = Generator(
        num_classes, model["base_channels"], model["halvings"], heads=heads, seg_noise=seg_noise,
        spectral_norm=spectral_norm, spade_hidden=model["spade_hidden"],
    )  # fmt: skip
    for network in (E, G):
        init_weights(network, seg_noise=settings["parity"]["seg_noise_init"])
    return G, E


def build_discriminator(settings: Settings) -> Any:
    """The bank of discriminators as in `settings`, freshly initialised."""
    model, parity = settings["model"], settings["parity"]
    D = Discriminator(
        len(settings["data"]["classes"]), model["discriminator_channels"], model["discriminators"],
        spectral_norm=parity["spectral_norm"] == "on", reverse_in_full=parity["full_order"] == "reversed",
        pool_counts_padding=parity["pool_padding"] == "counted",
    )  # fmt: skip
    init_weights(D)
    return D


def adopt(network: Any, arrays: Arrays, source: str, fresh: Sequence[str] = (), dropped: Sequence[str] = ()) -> None:
    """Set `network` from `arrays`, strictly but for declared differences.

    Args:
        fresh: layer names that may be new in the network and keep their initial values ("seg_noise").
        dropped: layer names in the arrays that the network no longer has ("heads").
    """
    own = gather(network)
    kept = {name: a for name, a in arrays.items() if not any(part in dropped for part in name.split("."))}
    new = {name: a for name, a in own.items() if name not in kept and any(part in fresh for part in name.split("."))}
    restore(network, kept | new, source)


def load_generator(arrays: Arrays, meta: Settings, source: str) -> tuple[Any, Any]:
    """Generator and encoder in evaluation mode from a checkpoint's arrays ("G.", "E.") and metadata.

    APF-GAN's where model.kind is not said; of SPADE's relatives the encoder is that of styles, None without one.
    """
    kind = meta["model"].get("kind")
    if kind == "spade":
        G, E = build_spade(meta)
    elif kind == "ccfpse":
        G, E = build_ccfpse(meta), build_style_encoder(meta)
    else:
        G, E = build_generator(meta, seg_noise=meta["seg_noise"], heads=meta["heads"])
    for letter, network in (("G", G), ("E", E)):
        if network is None:
            continue
        start = f"{letter}."
        restore(network, {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}, source)
        network.eval()
    return G, E
