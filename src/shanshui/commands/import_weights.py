"""Import weights of other implementations: generators for `generate`, segmenters for the mask accuracy.

python -m shanshui import apf --generator 300_net_G.pkl --encoder 300_net_E.pkl --out W.safetensors
python -m shanshui import spade --generator latest_net_G.pth --encoder latest_net_E.pth --out W.safetensors
python -m shanshui import segformer --weights pytorch_model.bin --out segmenter.safetensors
python -m shanshui import ccfpse --generator latest_net_G.pth --out W.safetensors

The generators are those whose declarations list a converter (`architectures/`, and plug-ins), the segmenters those of
`segmenters.CONVERTERS`.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from shanshui.architectures.converter import Converted, Converter, Given, converters_of
from shanshui.architectures.registry import GENERATORS
from shanshui.architectures.segmenters import CONVERTERS
from shanshui.config.sections import Parity
from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Arrays, Meta
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
    "S": ("weights", "weights of the segmenter: pytorch_model.bin or model.safetensors"),
}
GENERATOR = "GED"  # letters of networks that one file may hold together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line: a subcommand per implementation."""
    sources = parser.add_subparsers(dest="source", required=True, metavar="source")
    for name, converter in converters_of(GENERATORS.values(), CONVERTERS).items():
        add_converter_arguments(sources.add_parser(name, help=converter.title), converter)


def add_converter_arguments(parser: argparse.ArgumentParser, converter: Converter) -> None:
    """Define the command line of one implementation: files of the networks, and the options of its converter."""
    for letter in converter.required + converter.optional:
        option, text = NETWORKS[letter]
        parser.add_argument(f"--{option}", required=letter in converter.required, type=Path, help=text)
    add_file(parser, "--out", mark="imported", required=True, help="checkpoint (*.safetensors)")
    for name, options in OPTIONS[converter.kind].items():
        if name in converter.options:
            parser.add_argument(f"--{name.replace('_', '-')}", **options)
    parser.set_defaults(bring_in=functools.partial(import_networks, converter))


def run(args: argparse.Namespace) -> None:
    """Import weights: convert names, infer sizes, check that networks accept every array, and write a checkpoint."""
    args.bring_in(args)


def import_networks(converter: Converter, args: argparse.Namespace) -> None:
    """Import a generator, with encoder and discriminator if given, or a segmenter.

    Raises:
        ShanshuiError: a file cannot be read, or its arrays are not those of such networks.
        UsageError: the networks do not belong together, or arguments do not fit them.
    """
    from shanshui.weights.catalogue import load_state

    given = {letter: getattr(args, option, None) for letter, (option, _) in NETWORKS.items()}
    files: dict[str, Path] = {letter: file for letter, file in given.items() if file is not None}
    states = {letter: load_state(file, letter if letter in GENERATOR else None) for letter, file in files.items()}
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
    for note in converted.notes:
        print(note, file=sys.stderr)
    arrays, meta = CONTENT[converter.kind](converted, names)
    origin = {file.name: sha256(file) for file in files.values()}
    checkpoint.save(args.out, arrays, kind=converter.kind, imported=origin, **meta)


def generator_content(converted: Converted, names: Mapping[str, str]) -> tuple[Arrays, Meta]:
    """Return arrays and metadata of a generator's checkpoint, after its networks have accepted the arrays.

    Args:
        converted: arrays by letter, and metadata.
        names: how messages call the files, by letter.

    Raises:
        ShanshuiError: a network has other arrays.
    """
    from shanshui.architectures.networks import restore_generator
    from shanshui.architectures.registry import discriminator_of
    from shanshui.backend.modules import restore

    meta = dict(converted.meta)
    if preset := meta.get("preset"):
        meta["parity"] = Parity(preset=preset).resolved()
    arrays: Arrays = {}
    for letter, part in converted.arrays.items():
        arrays |= checkpoint.prefixed(letter, part)
    restore_generator(arrays, meta, " with ".join(names[letter] for letter in names if letter != "D"))
    if "D" in converted.arrays:
        restore(discriminator_of(meta).build(), converted.arrays["D"], names["D"])
    return arrays, meta


def segmenter_content(converted: Converted, names: Mapping[str, str]) -> tuple[Arrays, Meta]:
    """Return arrays and metadata of a segmenter's file, after its network has accepted the arrays.

    Raises:
        ShanshuiError: the network has other arrays.
    """
    from shanshui.architectures.segmenters import BUILDERS
    from shanshui.backend.modules import restore

    meta = cast("SegmenterMeta", converted.meta)
    restore(BUILDERS[meta["architecture"]](meta), converted.arrays["S"], names["S"])
    return dict(converted.arrays["S"]), dict(converted.meta)


CONTENT: Mapping[str, Callable[[Converted, Mapping[str, str]], tuple[Arrays, Meta]]] = {
    "generator": generator_content, "segmenter": segmenter_content,
}  # fmt: skip


def _size(text: str) -> Size:
    """Parse WIDTHxHEIGHT, both multiples of 32."""
    size = Size.parse(text)
    if any(side % SIDE_STEP for side in size):
        raise argparse.ArgumentTypeError(f"{size}: expected sides that are multiples of {SIDE_STEP}")
    return size


GENERATOR_OPTIONS: Mapping[str, Mapping[str, Any]] = {  # by the attributes of `Given`
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
SEGMENTER_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "classes": {
        "type": class_list, "metavar": "NAME,NAME,...",
        "help": "your class names in id order (default: the contest's); ADE20K's are mapped by name, others to other",
    },
    "size": {
        "type": _size, "metavar": "WxH", "help": "size to which images are resized for it (default 512x384)",
    },
}  # fmt: skip
OPTIONS = {"generator": GENERATOR_OPTIONS, "segmenter": SEGMENTER_OPTIONS}
