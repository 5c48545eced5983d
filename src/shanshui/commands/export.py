"""Export weights: an ONNX file for other programs, a folder for a hub of models, or a file of half the size.

    python -m shanshui export onnx --weights W.safetensors --out W.onnx
    python -m shanshui export onnx --weights W.safetensors --out W.onnx --half --noise off --size 512x384
    python -m shanshui export hub DIR --weights W.safetensors --scores score.json --licence cc-by-4.0
    python -m shanshui export half --weights W.safetensors --out HALF.safetensors

The ONNX file takes `labels`, class ids uint8 (N, H, W), and returns `image`, float32 (N, 3, H, W) in [-1, 1]. Random
numbers are inputs, so that seeds remain reproducible; its metadata say how to draw them, and what the classes are.
Before the file appears, its images are compared with those of the weights. The packages `onnx` and `onnxruntime` are
the extra `export`. The folder holds the weights, their model card with example images, and the ONNX file. The file of
half the size stores float16 and is used like any other weights; images are computed in float32.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shanshui.errors import UsageError
from shanshui.report.card_arguments import add_card_arguments
from shanshui.storage.outputs import add_file, add_folder
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.storage.checkpoint import Checkpoint
    from shanshui.synthesis.onnx_file import OnnxGenerator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    forms = parser.add_subparsers(dest="form", required=True, metavar="form")
    onnx = forms.add_parser("onnx", help="an ONNX file of the generator")
    onnx.add_argument("--weights", required=True, type=Path, help="checkpoint or average (*.safetensors)")
    add_file(onnx, "--out", ".onnx", required=True, metavar="FILE", help="the ONNX file")
    add_file(onnx, "--encoder", ".onnx", metavar="FILE", help="write the style encoder too, to a file of its own")
    onnx.add_argument(
        "--noise", choices=("inputs", "off"), default="inputs", help="random numbers as inputs, or no noise [inputs]"
    )
    onnx.add_argument("--size", type=Size.parse, metavar="WxH", help="the only size of label maps; default: any")
    onnx.add_argument("--half", action="store_true", help="store weights as float16: half the size")
    onnx.add_argument(
        "--labels", type=Path, metavar="PATH", help="folder or manifest of label maps: compare images of the first too"
    )
    onnx.add_argument("--no-check", action="store_true", help="do not compare images, which needs onnxruntime")
    hub = forms.add_parser("hub", help="a folder with weights, model card and ONNX file")
    add_folder(hub, "out", metavar="DIR", help="the folder, which is replaced as a whole")
    hub.add_argument("--weights", required=True, type=Path, help="checkpoint or average (*.safetensors)")
    hub.add_argument("--no-onnx", action="store_true", help="leave out the ONNX file")
    add_card_arguments(hub)
    half = forms.add_parser("half", help="the same weights as float16, half the size")
    half.add_argument("--weights", required=True, type=Path, help="checkpoint or average (*.safetensors)")
    add_file(half, "--out", ".safetensors", mark="stored", required=True, metavar="FILE", help="the smaller file")


def run(args: argparse.Namespace) -> None:
    """Export in the form that is asked for."""
    {"onnx": export_onnx, "hub": export_hub, "half": export_half}[args.form](args)


def export_half(args: argparse.Namespace) -> None:
    """Write the weights as float16, and say how far images differ from those of the weights.

    Raises:
        ShanshuiError: the file holds no generator, or a weight is beyond float16's range.
    """
    from shanshui.storage import checkpoint
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.synthesis.half_weights import differences, halved
    from shanshui.synthesis.synthesizer import Synthesizer

    made = halved(read_generator(args.weights))
    checkpoint.save(args.out, made.arrays, **made.meta)
    largest, mean = differences(Synthesizer.load(args.weights), Synthesizer.load(args.out))
    print(
        f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB; images differ from those of {args.weights} by "
        f"{mean:.2f} of 255 on average, at most {largest:.1f}"
    )


def export_hub(args: argparse.Namespace) -> None:
    """Write a folder that can be uploaded as it is.

    Raises:
        ShanshuiError: as for `export_onnx`; nothing is written then.
    """
    from shanshui.architectures.registry import generator_of
    from shanshui.export.graph import optional
    from shanshui.report.card_content import card_content, example_images
    from shanshui.report.model_card import card_text
    from shanshui.storage.files import write_text
    from shanshui.storage.folders import replaced
    from shanshui.storage.images import write_image
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.synthesis.onnx_file import generator_file, style_encoder_file

    content = card_content(
        args.weights, name=args.name or args.out.name, licence=args.licence, note=args.note, scores=args.scores,
        examples="examples.png", as_file="model.safetensors",
    )  # fmt: skip
    files = {}
    if not args.no_onnx:
        for package in ("onnx", "onnxruntime"):
            optional(package)
        found = read_generator(args.weights)
        made = generator_file(found, args.weights)
        files["model.onnx"] = made.content
        if generator_of(found.meta).has_style_encoder:
            files["style_encoder.onnx"] = style_encoder_file(found, args.weights)
        compare(found, args.weights, made, files.get("style_encoder.onnx"))
        content = replace(content, onnx="model.onnx", onnx_inputs=tuple(made.inputs))
    sheet = example_images(args.weights, args.labels)
    with replaced(args.out, args.force) as folder:
        shutil.copyfile(args.weights, folder / "model.safetensors")
        for name, stored in files.items():
            (folder / name).write_bytes(stored)
        write_image(folder / "examples.png", sheet)
        write_text(folder / "README.md", card_text(content))
    print(f"{args.out}: README.md, examples.png, model.safetensors{''.join(f', {name}' for name in files)}")


def export_onnx(args: argparse.Namespace) -> None:
    """Write the ONNX files, once their results are those of the weights.

    Raises:
        ShanshuiError: a package is missing, an option does not fit the weights, or results differ.
    """
    from shanshui.export.graph import optional
    from shanshui.storage.files import atomic
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.synthesis.onnx_file import generator_file, style_encoder_file

    if args.no_check and args.labels:
        raise UsageError("--labels with --no-check", "one of them: label maps are used for the comparison only")
    for package in ("onnx", *(() if args.no_check else ("onnxruntime",))):
        optional(package)
    found = read_generator(args.weights)
    made = generator_file(found, args.weights, noise=args.noise == "inputs", size=args.size, half=args.half)
    encoder = style_encoder_file(found, args.weights, args.half) if args.encoder else None
    compared = "not compared"
    if not args.no_check:
        difference = compare(found, args.weights, made, encoder, args.labels, args.half)
        compared = f"images differ from those of the weights by at most {difference:.1e}"
    for path, content in ((args.out, made.content), (args.encoder, encoder)):
        if content:
            with atomic(path) as staged:
                staged.write_bytes(content)
    noise = f", noise_0 to noise_{len(made.noise_halvings) - 1}" if made.noise_halvings else ""
    others = ", ".join(name for name in made.inputs if not name.startswith("noise_"))
    print(f"{args.out}: {len(made.content) / 2**20:.1f} MiB; inputs {others}{noise}; {compared}")


def compare(
    found: Checkpoint, weights: Path, made: OnnxGenerator, encoder: bytes | None, labels: Path | None = None,
    half: bool = False,
) -> float:  # fmt: skip
    """Compare the files' results with those of the weights, and return the largest difference of the images.

    Args:
        found: content of the weights file.
        weights: the file.
        made: ONNX file of the generator.
        encoder: that of its style encoder, or None.
        labels: folder or manifest, of which the first label map is used as well.
        half: weights are stored as float16.

    Raises:
        ShanshuiError: they differ by more than rounding explains.
    """
    from shanshui.architectures.networks import restore_generator
    from shanshui.data.labels import Classes
    from shanshui.synthesis.generation_inputs import label_files
    from shanshui.synthesis.onnx_check import check, encoder_difference, largest_difference
    from shanshui.synthesis.synthesizer import Synthesizer

    label_maps = []
    if labels:
        synthesizer = Synthesizer.load(weights, made.size)
        label_maps = [synthesizer.read_label_map(label_files(labels)[0].label)]
    generator = restore_generator(found.arrays, found.meta, str(weights))
    difference = largest_difference(made, generator, Classes.of(found.meta["data"]), label_maps)
    check(difference, half)
    if encoder:
        check(encoder_difference(encoder, generator), half, "styles")
    return difference
