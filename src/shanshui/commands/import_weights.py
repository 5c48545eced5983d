"""Import weights of other implementations: generators for `generate`, segmenters for the mask accuracy.

python -m shanshui import apf --generator 300_net_G.pkl --encoder 300_net_E.pkl --out W.safetensors
python -m shanshui import spade --generator latest_net_G.pth --encoder latest_net_E.pth --out W.safetensors
python -m shanshui import segformer --weights pytorch_model.bin --out segmenter.safetensors
python -m shanshui import ccfpse --generator latest_net_G.pth --out W.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.config.sections import Parity
from shanshui.data.ade20k import ADE20K, grouping
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256
from shanshui.storage.outputs import add_file
from shanshui.storage.size import Size
from shanshui.weights.classes import class_list, class_names

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterMeta


SIDE_STEP = 32  # by how much SegFormer reduces an image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a subcommand per implementation."""
    sources = parser.add_subparsers(dest="source", required=True, metavar="source")
    apf = sources.add_parser("apf", help="APF-GAN for Jittor: <epoch>_net_G.pkl and <epoch>_net_E.pkl")
    apf.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    apf.add_argument("--encoder", required=True, type=Path, help="weights of the mask encoder")
    add_file(apf, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    apf.set_defaults(bring_in=import_apf)
    for family, what in (("spade", "SPADE (GauGAN)"), ("clade", "CLADE and CLADE-ICPE")):
        parser_of = sources.add_parser(family, help=f"{what} in PyTorch: latest_net_G.pth, _E.pth, _D.pth")
        add_spade_arguments(parser_of)
        if family == "spade":
            parser_of.add_argument("--edges", action="store_true", help="trained with instance maps (no --no_instance)")
    segformer = sources.add_parser(
        "segformer", help="SegFormer B0 to B5, trained on ADE20K or on your classes, of Hugging Face's transformers"
    )
    segformer.add_argument("--weights", required=True, type=Path, help="pytorch_model.bin or model.safetensors")
    segformer.add_argument(
        "--classes", type=class_list, default=list(CLASSES), metavar="NAME,NAME,...",
        help="your class names in id order (default: the contest's); ADE20K's are mapped by name, others to other",
    )  # fmt: skip
    segformer.add_argument(
        "--size", type=_size, default=Size(384, 512), metavar="WxH",
        help="size to which images are resized for it (default 512x384)",
    )  # fmt: skip
    add_file(segformer, "--out", mark="imported", required=True, help="the segmenter's file (*.safetensors)")
    segformer.set_defaults(bring_in=import_segformer)
    add_ccfpse_arguments(sources.add_parser("ccfpse", help="CC-FPSE in PyTorch: latest_net_G.pth, _E.pth, _D.pth"))


def add_spade_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of `import spade` and `import clade`."""
    parser.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    parser.add_argument("--encoder", type=Path, help="weights of the style encoder, where the generator takes a style")
    parser.add_argument("--discriminator", type=Path, help="weights of the discriminator, for further training")
    add_file(parser, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    parser.add_argument(
        "--size", type=_size, metavar="WxH",
        help="of the images, where the generator takes a style (default: the first of 1:1, 4:3, 2:1 that fits)",
    )  # fmt: skip
    parser.add_argument("--upsampling", choices=("normal", "more", "most"), help="as it was trained (default normal)")
    parser.add_argument(
        "--classes",
        type=class_list,
        metavar="NAME,NAME,...",
        help="class names in id order (default: the contest's, or numbers)",
    )
    parser.add_argument(
        "--unknown-class",
        action="store_true",
        help="the last class is that of unlabelled pixels, 255 in label maps (contain_dontcare_label); not for the "
        "official ADE20K weights, whose 151 classes are the label maps' own values 0 to 150",
    )
    parser.add_argument(
        "--spectral-norm", choices=("on", "off"), default="on",
        help="off: for weights of a Jittor port, in which it has no effect",
    )  # fmt: skip
    parser.set_defaults(bring_in=import_spade, edges=False)


def add_ccfpse_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line of `import ccfpse`."""
    parser.add_argument("--generator", required=True, type=Path, help="weights of the generator")
    parser.add_argument("--encoder", type=Path, help="weights of the style encoder, where the generator takes a style")
    parser.add_argument("--discriminator", type=Path, help="weights of the FPSE discriminator, kept to train on")
    add_file(parser, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    parser.add_argument("--size", type=_size, metavar="WxH", help="of the images, where the generator takes a style")
    parser.add_argument(
        "--classes", type=class_list, metavar="NAME,NAME,...",
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


def run(args: argparse.Namespace) -> None:
    """Import weights: convert names, infer sizes, check that networks accept every array, and write a checkpoint."""
    args.bring_in(args)


def import_apf(args: argparse.Namespace) -> None:
    """Import the generator and mask encoder of APF-GAN's Jittor code."""
    from shanshui.architectures.keys import encoder_key, generator_key, translate
    from shanshui.architectures.networks import load_generator
    from shanshui.weights.catalogue import load_state

    G = translate(load_state(args.generator, "G"), generator_key)
    E = translate(load_state(args.encoder, "E"), encoder_key)
    arrays = checkpoint.prefixed("G", G) | checkpoint.prefixed("E", E)
    meta = infer(G, E, str(args.generator), str(args.encoder))
    load_generator(arrays, meta, f"{args.generator} with {args.encoder}")
    origin = {str(path.name): sha256(path) for path in (args.generator, args.encoder)}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def infer(G: checkpoint.Arrays, E: checkpoint.Arrays, generator: str, encoder: str) -> checkpoint.Meta:
    """Infer the metadata of an APF-GAN checkpoint from the shapes of its arrays.

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
    return {
        "data": {"classes": names, "width": None, "height": None, "label_offset": 0, "ignore_label": None},
        "model": {
            "generator": {
                "name": "apf",
                "base_channels": base_channels,
                "halvings": halvings,
                "spade_hidden": spade_hidden,
            },
            "edges": "none",
        },
        "parity": Parity(preset="winner").resolved(),
        "preset": "winner",
        "heads": sum(name.startswith("inter_conv_img.") and name.endswith(".weight") for name in G),
        "seg_noise": any(".seg_noise_var." in name for name in G),
        "level": None,
        "alpha": 0.0,
    }


def import_spade(args: argparse.Namespace) -> None:
    """Import a generator of the SPADE family, with style encoder and discriminator if given."""
    from shanshui.architectures.keys import spade_key, translate
    from shanshui.architectures.networks import load_generator
    from shanshui.architectures.registry import discriminator_of
    from shanshui.backend.modules import restore
    from shanshui.weights.catalogue import load_state
    from shanshui.weights.spade import drop_spectral_norm

    files = {"G": args.generator, "E": args.encoder, "D": args.discriminator}
    states = {letter: load_state(path, letter) for letter, path in files.items() if path is not None}
    if args.spectral_norm == "off":
        states = {letter: drop_spectral_norm(state) for letter, state in states.items()}
    for letter, state in states.items():
        if broken := [name for name, array in state.items() if not np.isfinite(array).all()]:
            raise ShanshuiError(f"{files[letter]}: {broken[0]} holds numbers that are not finite", do="check the file")
    meta = spade_meta(args, states)
    parts = {letter: translate(state, spade_key) for letter, state in states.items()}
    arrays = {
        name: array for letter, part in parts.items() for name, array in checkpoint.prefixed(letter, part).items()
    }
    load_generator(arrays, meta, " with ".join(str(files[letter]) for letter in parts if letter != "D"))
    if "D" in parts:
        restore(discriminator_of(meta).build(), parts["D"], str(args.discriminator))
    origin = {files[letter].name: sha256(files[letter]) for letter in parts}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def spade_meta(args: argparse.Namespace, states: dict[str, checkpoint.Arrays]) -> checkpoint.Meta:
    """Infer the metadata of a checkpoint from the arrays of its networks (`states`, by letter) and the arguments.

    Raises:
        ShanshuiError: the arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    from shanshui.weights import spade

    source = str(args.generator)
    generator, num_classes, edges, size = spade.generator_structure(
        states["G"], source, edges=args.edges, upsampling=args.upsampling, size=args.size
    )
    if (generator["name"] == "spade") != (args.source == "spade"):
        raise UsageError(f"{source} is a generator of {generator['name']}", "import spade for SPADE, clade for CLADE")
    classes = num_classes - args.unknown_class
    names = class_names(args.classes, classes, source)
    if size and not args.size:
        print(f"images of {size} assumed; --size or --upsampling say otherwise", file=sys.stderr)
    height, width = size or (None, None)
    ignored = 255 if args.unknown_class else None
    data = {"classes": names, "width": width, "height": height, "label_offset": 0, "ignore_label": ignored}
    parts: checkpoint.Meta = {"generator": generator}
    if "E" in states:
        encoder, z_dim = spade.encoder_structure(states["E"], str(args.encoder))
        _check_styles(z_dim, generator, args)
        generator["style_encoder"] = encoder
    if "D" in states:
        parts["discriminator"], channels = spade.discriminator_structure(states["D"], str(args.discriminator))
        _check_channels(channels, num_classes + edges, args)
    return _meta(data, parts, edges, args)


def _meta(data: checkpoint.Meta, parts: checkpoint.Meta, edges: bool, args: argparse.Namespace) -> checkpoint.Meta:
    """Metadata of a checkpoint of one image size, from sections of its networks."""
    model = {**parts, "edges": "label" if edges else "none", "unknown_class": args.unknown_class}
    return {"data": data, "model": model, "seg_noise": False, "level": None, "alpha": 0.0}


def _check_styles(z_dim: int, generator: checkpoint.Meta, args: argparse.Namespace) -> None:
    """UsageError where the encoder's styles are not of the length that the generator takes."""
    if z_dim != generator["z_dim"]:
        raise UsageError(
            f"{args.encoder} makes styles of {z_dim} numbers",
            f"as {args.generator} takes: {generator['z_dim'] or 'none, it starts from the label map'}",
        )


def _check_channels(channels: int, wanted: int, args: argparse.Namespace) -> None:
    """UsageError where the discriminator sees other label maps than the generator."""
    if channels != wanted:
        raise UsageError(f"{args.discriminator} sees {channels} channels", f"{wanted} as {args.generator}")


def import_ccfpse(args: argparse.Namespace) -> None:
    """Import a CC-FPSE generator, with style encoder and discriminator if given."""
    from shanshui.architectures.registry import discriminator_of, generator_of
    from shanshui.backend.modules import restore
    from shanshui.weights.catalogue import load_state
    from shanshui.weights.ccfpse import our_arrays

    given = {"G": args.generator, "E": args.encoder, "D": args.discriminator}
    files: dict[str, Path] = {letter: file for letter, file in given.items() if file is not None}
    parts = {letter: our_arrays(load_state(file, letter), args.spectral_norm == "on") for letter, file in files.items()}
    for letter, part in parts.items():
        if broken := [name for name, array in part.items() if not np.isfinite(array).all()]:
            raise ShanshuiError(f"{files[letter]}: {broken[0]} holds numbers that are not finite", do="check the file")
    meta = ccfpse_meta(args, parts)
    restore(generator_of(meta).build()[0], parts["G"], str(args.generator))
    if "D" in parts:
        restore(discriminator_of(meta).build(), parts["D"], str(args.discriminator))
    arrays: checkpoint.Arrays = {}
    for letter, part in parts.items():
        arrays |= checkpoint.prefixed(letter, part)
    origin = {file.name: sha256(file) for file in files.values()}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def ccfpse_meta(args: argparse.Namespace, parts: dict[str, checkpoint.Arrays]) -> checkpoint.Meta:
    """Infer the metadata of a checkpoint from the arrays of its networks (`parts`, by letter) and the arguments.

    Raises:
        ShanshuiError: the arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    from shanshui.weights import ccfpse

    source = str(args.generator)
    generator, channels = ccfpse.generator_structure(parts["G"], source, args.size)
    classes = channels - args.edges - args.unknown_class
    names = class_names(args.classes, classes, source)
    height, width = args.size or (None, None)
    ignored = 255 if args.unknown_class else None
    data = {"classes": names, "width": width, "height": height, "label_offset": 0, "ignore_label": ignored}
    networks: checkpoint.Meta = {"generator": generator}
    if "E" in parts:
        encoder, z_dim = ccfpse.encoder_structure(parts["E"], str(args.encoder))
        _check_styles(z_dim, generator, args)
        generator["style_encoder"] = encoder
    if "D" in parts:
        networks["discriminator"], seen = ccfpse.discriminator_structure(parts["D"], str(args.discriminator))
        _check_channels(seen, channels, args)
    return _meta(data, networks, args.edges, args)


def import_segformer(args: argparse.Namespace) -> None:
    """Import a SegFormer as a segmenter of our classes."""
    from shanshui.architectures.segformer import build
    from shanshui.weights.catalogue import load_state
    from shanshui.weights.segformer import needed, recognise, source_name, structure

    state, source = needed(load_state(args.weights)), str(args.weights)
    size, trained = recognise(state, source)
    meta = {
        "architecture": "segformer", "variant": size, "model": structure(size),
        "classes": args.classes, "grouping": groups(args.classes, trained, source),
        "width": args.size.width, "height": args.size.height,
    }  # fmt: skip
    shapes = {name: tuple(var.shape) for name, var in build(cast("SegmenterMeta", meta)).state_dict().items()}
    try:
        checkpoint.check_keys(state, {source_name(name): shape for name, shape in shapes.items()}, source)
    except ShanshuiError as error:
        raise ShanshuiError(error.found, f"the {len(shapes)} arrays of a SegFormer-{size}", "check the file") from None
    if broken := [name for name, array in state.items() if not np.isfinite(array).all()]:
        raise ShanshuiError(f"{source}: {broken[0]} holds numbers that are not finite", do="fetch the file again")
    arrays = {name: state[source_name(name)] for name in shapes}
    checkpoint.save(args.out, arrays, kind="segmenter", imported={args.weights.name: sha256(args.weights)}, **meta)


def groups(classes: list[str], trained: int, source: str) -> list[int]:
    """Map each of the network's `trained` classes to a class id in label maps: by name for ADE20K, else one to one.

    Raises:
        ShanshuiError: the network has another number of classes.
        UsageError: no class is one of ADE20K.
    """
    if trained == len(classes) != len(ADE20K):
        return list(range(trained))
    if trained != len(ADE20K):
        raise ShanshuiError(
            f"{source} tells {trained} classes apart",
            f"the {len(ADE20K)} of ADE20K, or as many as --classes names ({len(classes)})",
        )
    found = grouping(classes)
    unknown = [name for number, name in enumerate(classes) if number not in found]
    if len(unknown) == len(classes):
        raise UsageError(f"no class of --classes is one of ADE20K: {', '.join(classes)}", ", ".join(ADE20K))
    if unknown:
        print(f"ADE20K has no class of these names, they will never be seen: {', '.join(unknown)}", file=sys.stderr)
    return found


def _size(text: str) -> Size:
    size = Size.parse(text)
    if any(side % SIDE_STEP for side in size):
        raise argparse.ArgumentTypeError(f"{size}: expected sides that are multiples of {SIDE_STEP}")
    return size
