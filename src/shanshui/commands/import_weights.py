"""Import weights of other implementations: generators for `generate`, segmenters for the mask accuracy.

python -m shanshui import apf --generator 300_net_G.pkl --encoder 300_net_E.pkl --out W.safetensors
python -m shanshui import spade --generator latest_net_G.pth --encoder latest_net_E.pth --out W.safetensors
python -m shanshui import segformer --weights pytorch_model.bin --out segmenter.safetensors
python -m shanshui import ccfpse --generator latest_net_G.pth --out W.safetensors

The generators are those whose declarations list a converter (`architectures/`, and plug-ins).
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from shanshui.architectures.converter import Converter, Given, converters_of
from shanshui.architectures.registry import GENERATORS
from shanshui.config.sections import Parity
from shanshui.data.ade20k import ADE20K, grouping
from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256
from shanshui.storage.outputs import add_file
from shanshui.storage.size import Size
from shanshui.weights.classes import class_list

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterMeta


SIDE_STEP = 32  # by how much SegFormer reduces an image
NETWORKS = {  # by letter: option, and help
    "G": ("generator", "weights of the generator"),
    "E": ("encoder", "weights of the encoder; of a style encoder where the generator takes a style"),
    "D": ("discriminator", "weights of the discriminator, for further training"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a subcommand per implementation."""
    sources = parser.add_subparsers(dest="source", required=True, metavar="source")
    for name, converter in converters_of(GENERATORS.values()).items():
        add_generator_arguments(sources.add_parser(name, help=converter.title), converter)
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


def add_generator_arguments(parser: argparse.ArgumentParser, converter: Converter) -> None:
    """Define the command line of a generator's import: files of the networks, and the options of its converter."""
    for letter in converter.required + converter.optional:
        option, text = NETWORKS[letter]
        parser.add_argument(f"--{option}", required=letter in converter.required, type=Path, help=text)
    add_file(parser, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    for name, options in OPTIONS.items():
        if name in converter.options:
            parser.add_argument(f"--{name.replace('_', '-')}", **options)
    parser.set_defaults(bring_in=functools.partial(import_generator, converter))


def run(args: argparse.Namespace) -> None:
    """Import weights: convert names, infer sizes, check that networks accept every array, and write a checkpoint."""
    args.bring_in(args)


def import_generator(converter: Converter, args: argparse.Namespace) -> None:
    """Import a generator, with encoder and discriminator if given.

    Raises:
        ShanshuiError: a file cannot be read, or its arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    from shanshui.architectures.networks import restore_generator
    from shanshui.architectures.registry import discriminator_of
    from shanshui.backend.modules import restore
    from shanshui.weights.catalogue import load_state

    given = {letter: getattr(args, option, None) for letter, (option, _) in NETWORKS.items()}
    files: dict[str, Path] = {letter: file for letter, file in given.items() if file is not None}
    states = {letter: load_state(file, letter) for letter, file in files.items()}
    names = {letter: str(file) for letter, file in files.items()}
    converted = converter.convert(
        Given(
            states,
            names,
            classes=getattr(args, "classes", None),
            unknown_class=getattr(args, "unknown_class", False),
            edges=getattr(args, "edges", False),
            size=getattr(args, "size", None),
            upsampling=getattr(args, "upsampling", None),
            spectral_norm=getattr(args, "spectral_norm", "on") == "on",
        )
    )
    for letter, part in converted.arrays.items():
        if broken := [name for name, array in part.items() if not np.isfinite(array).all()]:
            raise ShanshuiError(f"{files[letter]}: {broken[0]} holds numbers that are not finite", do="check the file")
    meta = dict(converted.meta)
    if preset := meta.get("preset"):
        meta["parity"] = Parity(preset=preset).resolved()
    arrays: checkpoint.Arrays = {}
    for letter, part in converted.arrays.items():
        arrays |= checkpoint.prefixed(letter, part)
    restore_generator(arrays, meta, " with ".join(names[letter] for letter in names if letter != "D"))
    if "D" in converted.arrays:
        restore(discriminator_of(meta).build(), converted.arrays["D"], names["D"])
    origin = {file.name: sha256(file) for file in files.values()}
    checkpoint.save(args.out, arrays, kind="generator", imported=origin, **meta)


def import_segformer(args: argparse.Namespace) -> None:
    """Import a SegFormer as a segmenter of our classes."""
    from shanshui.architectures.segformer import build
    from shanshui.architectures.segformer_weights import needed, recognise, source_name, structure
    from shanshui.weights.catalogue import load_state

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
    """Parse WIDTHxHEIGHT, both multiples of 32."""
    size = Size.parse(text)
    if any(side % SIDE_STEP for side in size):
        raise argparse.ArgumentTypeError(f"{size}: expected sides that are multiples of {SIDE_STEP}")
    return size


OPTIONS: Mapping[str, Mapping[str, Any]] = {  # of generators, by the attributes of `Given`
    "size": {
        "type": _size, "metavar": "WxH",
        "help": "of the images, where the generator takes a style (default, where it can be found: the first of 1:1, "
        "4:3, 2:1 that fits)",
    },
    "upsampling": {"choices": ("normal", "more", "most"), "help": "as it was trained (default normal)"},
    "classes": {
        "type": class_list, "metavar": "NAME,NAME,...",
        "help": "class names in id order (default: the contest's, or numbers)",
    },
    "unknown_class": {
        "action": "store_true",
        "help": "the last class is that of unlabelled pixels, 255 in label maps (contain_dontcare_label); not for "
        "ADE20K weights of SPADE, whose 151 classes are the label maps' own values 0 to 150",
    },
    "edges": {"action": "store_true", "help": "trained with instance maps (no --no_instance)"},
    "spectral_norm": {
        "choices": ("on", "off"), "default": "on",
        "help": "off: for weights of a Jittor port, in which it has no effect",
    },
}  # fmt: skip
