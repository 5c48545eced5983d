"""CC-FPSE: networks from a checkpoint's metadata, and checkpoints from its authors' weights."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shanshui import checkpoint
from shanshui.errors import ShanshuiError
from shanshui.files import sha256
from shanshui.sections import CLASSES

Meta = dict[str, Any]


def build_ccfpse(meta: Meta) -> Any:
    """Generator as in the sections model and data, freshly made."""
    from shanshui.models.ccfpse import ConditionalGenerator

    model, data = {name: value for name, value in meta["model"].items() if name != "kind"}, meta["data"]
    size = None if model["z_dim"] is None else (data["height"], data["width"])
    return ConditionalGenerator(**model, size=size)


def build_fpse(meta: Meta) -> Any:
    """FPSE discriminator as in the section discriminator, freshly made."""
    from shanshui.models.fpse_discriminator import FPSEDiscriminator

    return FPSEDiscriminator(**{name: value for name, value in meta["discriminator"].items() if name != "kind"})


def load_ccfpse(arrays: checkpoint.Arrays, meta: Meta, source: str) -> Any:
    """Generator in evaluation mode from a checkpoint's arrays ("G.") and metadata."""
    from shanshui.modules import restore

    G = build_ccfpse(meta)
    restore(G, checkpoint.Checkpoint(arrays, meta).part("G"), source)
    G.eval()
    return G


def add_parser(sources: Any, size: Callable[[str], tuple[int, int]]) -> None:
    """Arguments of `import ccfpse`; `size` reads WxH."""
    parser = sources.add_parser("ccfpse", help="CC-FPSE for PyTorch: latest_net_G.pth, with _E and _D if wanted")
    parser.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    parser.add_argument("--encoder", type=Path, help="weights of the style encoder, where the generator starts from z")
    parser.add_argument("--discriminator", type=Path, help="weights of the FPSE discriminator, to train on")
    parser.add_argument(
        "--size", type=size, metavar="WxH", help="size of the pictures, where the generator starts from z"
    )
    parser.add_argument("--out", required=True, type=Path, help="checkpoint (*.safetensors)")
    parser.set_defaults(bring_in=import_ccfpse)


def import_ccfpse(args: argparse.Namespace) -> None:
    """Generator, and style encoder and discriminator if given, each proved to fit a network exactly."""
    from shanshui.modules import restore
    from shanshui.weights import ccfpse
    from shanshui.weights.catalogue import load_state

    given = {"G": args.generator, "E": args.encoder, "D": args.discriminator}
    files: dict[str, Path] = {letter: file for letter, file in given.items() if file is not None}
    parts = {letter: ccfpse.our_arrays(load_state(file)) for letter, file in files.items()}
    model = ccfpse.generator_structure(parts["G"], str(args.generator), args.size)
    width, height = args.size or (None, None)
    names = list(CLASSES) if model["num_classes"] == len(CLASSES) else _numbered(model["num_classes"])
    meta: Meta = {
        "data": {"classes": names, "width": width, "height": height, "label_offset": 0, "ignore_label": None},
        "model": {"kind": "ccfpse"} | model,
    }  # fmt: skip
    restore(build_ccfpse(meta), parts["G"], str(args.generator))
    if "E" in parts:
        meta["encoder"] = ccfpse.encoder_structure(parts["E"], str(args.encoder))
        _agree("z numbers", meta["encoder"]["z_dim"], model["z_dim"], args.encoder)
    if "D" in parts:
        meta["discriminator"] = {"kind": "fpse"} | ccfpse.discriminator_structure(parts["D"], str(args.discriminator))
        _agree("classes", meta["discriminator"]["num_classes"], model["num_classes"], args.discriminator)
        restore(build_fpse(meta), parts["D"], str(args.discriminator))
    arrays: checkpoint.Arrays = {}
    for letter, part in parts.items():
        arrays |= checkpoint.prefixed(letter, part)
    origin = {str(file.name): sha256(file) for file in files.values()}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def _agree(what: str, found: int, wanted: int | None, file: Path) -> None:
    if found != wanted:
        raise ShanshuiError(
            f"{file} is for {found} {what}", f"{wanted or 0}, as the generator has", "take files of the same training"
        )


def _numbered(count: int) -> list[str]:
    return [f"class {i}" for i in range(count)]
