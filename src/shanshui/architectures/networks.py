"""From settings to networks: the one seam between configuration and models, for training and generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shanshui.architectures.apf_discriminator import Discriminator
from shanshui.architectures.apf_encoder import MaskEncoder
from shanshui.architectures.apf_generator import Generator
from shanshui.architectures.ccfpse_networks import build_ccfpse, build_fpse
from shanshui.architectures.oasis import OasisDiscriminator, OasisGenerator
from shanshui.architectures.painters import PAINTERS, Painter
from shanshui.architectures.pix2pixhd import GlobalGenerator
from shanshui.architectures.spade_networks import build_spade, build_spade_discriminator, build_style_encoder
from shanshui.backend.modules import gather, restore
from shanshui.nn.init import init_weights
from shanshui.storage.checkpoint import Arrays

Settings = dict[str, Any]

APF, BANK = "apf", "bank"  # where the sections say nothing else


def build_painter(settings: Settings, seg_noise: bool = False, heads: int = 0) -> Painter:
    """Generator and encoder as in `settings` (sections data, model, encoder, parity), freshly initialised.

    Args:
        seg_noise: noise in APF-GAN's SPADE layers.
        heads: output sizes of APF-GAN below the full one.
    """
    kind = settings["model"].get("kind", APF)
    if kind == APF:
        G, E = build_generator(settings, seg_noise, heads)
    else:
        G, E = GENERATORS[kind](settings)
        for network in (G, E):
            if network is not None:
                init_weights(network)
    return _painter(settings, G, E)


def load_painter(arrays: Arrays, meta: Settings, source: str) -> Painter:
    """Generator and encoder in evaluation mode from a checkpoint's arrays ("G.", "E.") and metadata."""
    kind = meta["model"].get("kind", APF)
    if kind == APF:
        G, E = build_generator(meta, seg_noise=meta["seg_noise"], heads=meta["heads"])
    else:
        G, E = GENERATORS[kind](meta)
    painter = _painter(meta, G, E)
    for letter, network in painter.networks().items():
        start = f"{letter}."
        restore(network, {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}, source)
        network.eval()
    return painter


def load_generator(arrays: Arrays, meta: Settings, source: str) -> tuple[Any, Any]:
    """Generator and encoder (None without one) of `load_painter`."""
    painter = load_painter(arrays, meta, source)
    return painter.G, painter.E


def build_discriminator(settings: Settings) -> Any:
    """The discriminator, or bank of them, as in `settings`, freshly initialised."""
    D = DISCRIMINATORS[discriminator_kind(settings)](settings)
    init_weights(D)
    return D


def discriminator_kind(settings: Settings) -> str:
    """Which one it is: a key of `DISCRIMINATORS`."""
    kind: str = settings.get("discriminator", {}).get("kind", BANK)
    return kind


def _painter(settings: Settings, G: Any, E: Any) -> Painter:
    model = settings["model"]
    num_classes = model.get("num_classes") or len(settings["data"]["classes"])
    return PAINTERS[model.get("kind", APF)](G, E, model, num_classes)


def build_generator(settings: Settings, seg_noise: bool, heads: int) -> tuple[Any, Any]:
    """APF-GAN's generator and mask encoder as in `settings`, freshly initialised."""
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


def _ccfpse(settings: Settings) -> tuple[Any, Any]:
    return build_ccfpse(settings), build_style_encoder(settings)


def _oasis(settings: Settings) -> tuple[Any, Any]:
    model = settings["model"]
    G = OasisGenerator(
        model["num_classes"], model["base_channels"], noise_channels=model["z_dim"] or 0,
        spade_hidden=model["hidden"], spectral_norm=model["spectral_norm"],
    )  # fmt: skip
    return G, None


def _pix2pixhd(settings: Settings) -> tuple[Any, Any]:
    model = settings["model"]
    channels = model["num_classes"] + model["edges"]
    return GlobalGenerator(channels, model["base_channels"], model["halvings"], norm=model["norm"]), None


def _bank(settings: Settings) -> Any:
    model, parity = settings["model"], settings["parity"]
    return Discriminator(
        len(settings["data"]["classes"]), model["discriminator_channels"], model["discriminators"],
        spectral_norm=parity["spectral_norm"] == "on", reverse_in_full=parity["full_order"] == "reversed",
        pool_counts_padding=parity["pool_padding"] == "counted",
    )  # fmt: skip


def _oasis_discriminator(settings: Settings) -> Any:
    sizes = settings["discriminator"]
    return OasisDiscriminator(sizes["num_classes"], sizes["base_channels"], spectral_norm=sizes["spectral_norm"])


GENERATORS: dict[str, Callable[[Settings], tuple[Any, Any]]] = {
    "spade": build_spade, "ccfpse": _ccfpse, "oasis": _oasis, "pix2pixhd": _pix2pixhd,
}  # fmt: skip
DISCRIMINATORS: dict[str, Callable[[Settings], Any]] = {
    BANK: _bank, "multiscale": build_spade_discriminator, "fpse": build_fpse, "oasis": _oasis_discriminator,
}  # fmt: skip


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
