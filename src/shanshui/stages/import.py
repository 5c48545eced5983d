"""Bring weights of other implementations in, as a checkpoint that `generate` understands.

python -m shanshui import apf --generator 300_net_G.pkl --encoder 300_net_E.pkl --out W.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from shanshui import checkpoint
from shanshui.config import CLASSES, Parity
from shanshui.errors import ShanshuiError
from shanshui.files import sha256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument(
        "source", choices=("apf",), help="apf: APF-GAN for Jittor, <epoch>_net_G.pkl and <epoch>_net_E.pkl"
    )
    parser.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    parser.add_argument("--encoder", required=True, type=Path, help="weights of the mask encoder")
    parser.add_argument("--out", required=True, type=Path, help="checkpoint (*.safetensors)")


def run(args: argparse.Namespace) -> None:
    """Translate names, infer the sizes, prove that the networks accept every array, and write."""
    from shanshui.models.keys import encoder_key, generator_key, translate
    from shanshui.networks import load_generator
    from shanshui.weights.catalogue import load_state

    G = translate(load_state(args.generator), generator_key)
    E = translate(load_state(args.encoder), encoder_key)
    arrays = checkpoint.prefixed("G", G) | checkpoint.prefixed("E", E)
    meta = infer(G, E, str(args.generator), str(args.encoder))
    load_generator(arrays, meta, f"{args.generator} with {args.encoder}")
    origin = {str(path.name): sha256(path) for path in (args.generator, args.encoder)}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def infer(G: checkpoint.Arrays, E: checkpoint.Arrays, generator: str, encoder: str) -> dict[str, Any]:
    """Metadata of a checkpoint from the shapes of its arrays.

    Raises ShanshuiError where the arrays that tell the sizes are not there.
    """
    from shanshui.models.encoder import WIDTHS

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
    names = list(CLASSES) if num_classes == len(CLASSES) else [f"class {i}" for i in range(num_classes)]
    return {
        "data": {"classes": names, "width": None, "height": None, "label_offset": 0, "ignore_label": None},
        "model": {"base_channels": base_channels, "halvings": halvings, "spade_hidden": spade_hidden},
        "parity": Parity(preset="winner").resolved(),
        "preset": "winner",
        "heads": sum(name.startswith("inter_conv_img.") and name.endswith(".weight") for name in G),
        "seg_noise": any(".seg_noise_var." in name for name in G),
        "level": None,
        "alpha": 0.0,
    }
