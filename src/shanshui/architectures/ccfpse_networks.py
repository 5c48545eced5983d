"""CC-FPSE: networks from a checkpoint's metadata, and checkpoints from its authors' weights."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256
from shanshui.storage.outputs import add_file
from shanshui.weights.classes import class_names

Meta = dict[str, Any]


def build_ccfpse(meta: Meta) -> Any:
    """Generator as in the sections model and data, freshly made."""
    from shanshui.architectures.ccfpse import ConditionalGenerator

    model, data = meta["model"], meta["data"]
    return ConditionalGenerator(
        model["num_classes"] + model["edges"], model["base_channels"], model["upsampling"], z_dim=model["z_dim"],
        size=None if model["z_dim"] is None else (data["height"], data["width"]), spectral_norm=model["spectral_norm"],
    )  # fmt: skip


def build_fpse(meta: Meta) -> Any:
    """FPSE discriminator as in the section discriminator, freshly made."""
    from shanshui.architectures.fpse_discriminator import FPSEDiscriminator

    sizes = meta["discriminator"]
    return FPSEDiscriminator(sizes["channels"], sizes["base_channels"], spectral_norm=sizes["spectral_norm"])


def add_parser(sources: Any, size: Callable[[str], tuple[int, int]], names: Callable[[str], list[str]]) -> None:
    """Arguments of `import ccfpse`; `size` reads WxH, `names` a list."""
    parser = sources.add_parser("ccfpse", help="CC-FPSE in PyTorch: latest_net_G.pth, _E.pth, _D.pth")
    parser.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    parser.add_argument("--encoder", type=Path, help="weights of the style encoder, where the generator takes a style")
    parser.add_argument("--discriminator", type=Path, help="weights of the FPSE discriminator, kept to train on")
    add_file(parser, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    parser.add_argument("--size", type=size, metavar="WxH", help="of the pictures, where the generator takes a style")
    parser.add_argument(
        "--classes", type=names, metavar="NAME,NAME,...",
        help="class names in id order (default: the contest's, or numbers)",
    )  # fmt: skip
    parser.add_argument(
        "--unknown-class", action="store_true",
        help="the last class is that of unlabelled pixels (contain_dontcare_label)",
    )  # fmt: skip
    parser.add_argument("--edges", action="store_true", help="trained with instance maps (no --no_instance)")
    parser.add_argument(
        "--spectral-norm", choices=("on", "off"), default="on",
        help="off: of a Jittor port, where it is written down but changes nothing",
    )  # fmt: skip
    parser.set_defaults(bring_in=import_ccfpse)


def import_ccfpse(args: argparse.Namespace) -> None:
    """Generator, and style encoder and discriminator where given, each proved to fit its network exactly."""
    from shanshui.backend.modules import restore
    from shanshui.weights.catalogue import load_state
    from shanshui.weights.ccfpse import our_arrays

    given = {"G": args.generator, "E": args.encoder, "D": args.discriminator}
    files: dict[str, Path] = {letter: file for letter, file in given.items() if file is not None}
    parts = {letter: our_arrays(load_state(file, letter), args.spectral_norm == "on") for letter, file in files.items()}
    for letter, part in parts.items():
        if broken := [name for name, array in part.items() if not np.isfinite(array).all()]:
            raise ShanshuiError(f"{files[letter]}: {broken[0]} holds numbers that are not finite", do="check the file")
    meta = read_meta(args, parts)
    restore(build_ccfpse(meta), parts["G"], str(args.generator))
    if "D" in parts:
        restore(build_fpse(meta), parts["D"], str(args.discriminator))
    arrays: checkpoint.Arrays = {}
    for letter, part in parts.items():
        arrays |= checkpoint.prefixed(letter, part)
    origin = {file.name: sha256(file) for file in files.values()}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def read_meta(args: argparse.Namespace, parts: dict[str, checkpoint.Arrays]) -> Meta:
    """Metadata of a checkpoint from the arrays of its networks, by our names, and what they do not tell.

    Raises ShanshuiError where they do not belong together.
    """
    from shanshui.weights import ccfpse

    source = str(args.generator)
    sizes = ccfpse.generator_structure(parts["G"], source, args.size)
    channels = sizes.pop("channels")
    classes = channels - args.edges - args.unknown_class
    names = class_names(args.classes, classes, source)
    model = {"kind": "ccfpse", "num_classes": channels - args.edges, "edges": args.edges}
    model |= {"unknown_class": args.unknown_class} | sizes
    width, height = args.size or (None, None)
    ignored = 255 if args.unknown_class else None
    data = {"classes": names, "width": width, "height": height, "label_offset": 0, "ignore_label": ignored}
    meta: Meta = {"data": data, "model": model, "seg_noise": False, "level": None, "alpha": 0.0}
    if "E" in parts:
        meta["encoder"] = ccfpse.encoder_structure(parts["E"], str(args.encoder))
        if (found := meta["encoder"]["z_dim"]) != model["z_dim"]:
            raise UsageError(
                f"{args.encoder} makes styles of {found} numbers",
                f"as {source} takes: {model['z_dim'] or 'none, it starts from the label map'}",
            )
    if "D" in parts:
        meta["discriminator"] = {"kind": "fpse"} | ccfpse.discriminator_structure(parts["D"], str(args.discriminator))
        if (found := meta["discriminator"]["channels"]) != channels:
            raise UsageError(f"{args.discriminator} sees {found} channels", f"{channels} as {source}")
    return meta
