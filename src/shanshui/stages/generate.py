"""Generate images of label maps from a weights file alone.

python -m shanshui generate --weights W.safetensors --labels DIR --out DIR [--seed N] [--noise off]
python -m shanshui generate --weights W.safetensors --labels holdout=a.csv test=b.csv --out DIR --settings S.json
python -m shanshui generate --weights SPADE.safetensors --labels DIR --out DIR --style IMAGE [IMAGE --blend SHARE]

Without `--weights` it uses the starter model, which comes with the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from shanshui.backend.arithmetic import Arithmetic, Precision, use
from shanshui.config.sections import Section
from shanshui.config.settings import generate_settings
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import read_checked
from shanshui.storage import images
from shanshui.storage.files import atomic
from shanshui.storage.folders import replaced
from shanshui.storage.outputs import add_folder, check_inputs_stay
from shanshui.storage.size import Size
from shanshui.synthesis.generation_inputs import instance_maps, label_files, label_sources, positive, style_vector
from shanshui.synthesis.starter import given_or_starter


class FormatSettings(Section):
    """Settings file of this stage, and what holds without one."""

    format: Literal["npy", "png", "jpg"] = "png"
    quality: int = 95
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:4:4"
    rounding: Literal["truncate", "round"] = "round"
    precision: Precision = "fp32"
    deterministic: bool = False


def share(text: str) -> float:
    """Parse a number from 0 to 1 of a command line."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 1")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--weights", type=Path, help="checkpoint or average (default: the starter model)")
    parser.add_argument(
        "--labels", required=True, nargs="+", metavar="[SET=]PATH",
        help="folder of label maps, or manifest (CSV with columns name,label); with SET= images go to OUT/SET/",
    )  # fmt: skip
    add_folder(parser, "--out", required=True, help="folder for the images; one that was written here is replaced")
    parser.add_argument("--settings", type=Path, help="format, quality, subsampling, rounding, precision (JSON)")
    parser.add_argument(
        "--size",
        type=Size.parse,
        help="WIDTHxHEIGHT of the images; default: as trained, or for imported weights as the label map",
    )
    parser.add_argument("--seed", type=int, default=0, help="noise seed (default 0)")
    parser.add_argument("--noise", choices=("on", "off"), default="on", help="off: the mean image, without noise")
    style = parser.add_mutually_exclusive_group()
    style.add_argument(
        "--style", type=Path, nargs="+", default=[], metavar="IMAGE",
        help="photograph whose style all images take (or NPY of an image), for weights with a style encoder; or two",
    )  # fmt: skip
    style.add_argument(
        "--z",
        type=Path,
        nargs="+",
        default=[],
        metavar="NPY",
        help="style vector of all images, for weights that take one; or two",
    )
    parser.add_argument(
        "--blend",
        type=share,
        metavar="SHARE",
        help="share of the second of two styles, 0 to 1 (default 0.5)",
    )
    parser.add_argument(
        "--instances", type=Path, metavar="DIR",
        help="instance maps named as the label maps, for weights that see edges; without, those of a manifest, "
        "where the weights were trained so, else edges of classes",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("npy", "png", "jpg"), help="npy: float32 (3, H, W) in [-1, 1]; default png"
    )
    parser.add_argument(
        "--batch", type=positive, metavar="N",
        help="at most N label maps per forward pass (default: 1 on a GPU, on a CPU as many as have 131,072 pixels, "
        "which is the most there); does not change the images",
    )  # fmt: skip


def write_generated(folder: Path, name: str, image: np.ndarray, settings: FormatSettings) -> None:
    """Write one image, float (3, H, W) in [-1, 1], in the configured format."""
    if settings.format == "npy":
        with atomic(folder / f"{name}.npy") as staged:
            np.save(staged, image)
        return
    pixels = images.to_uint8(image, settings.rounding)
    images.write_image(folder / f"{name}.{settings.format}", pixels, settings.quality, settings.subsampling)


def run(args: argparse.Namespace) -> None:
    """Generate the images of every set; the folder appears only when all are written."""
    settings = read_checked(FormatSettings, args.settings) if args.settings else FormatSettings()
    settings = settings.model_copy(update={"format": args.format} if args.format else {})
    sets = {name: label_files(path, args.instances) for name, path in label_sources(args.labels).items()}
    every = [one for files in sets.values() for one in files]
    check_inputs_stay(args.out, "folder", [one.label for one in every])  # those that a manifest names

    from shanshui.logs import progress
    from shanshui.synthesis.synthesizer import Synthesizer

    use(Arithmetic(settings.precision, settings.deterministic))
    weights = given_or_starter(args.weights)
    if args.weights is None:
        print(f"no --weights: images by the starter model, {weights.name}", flush=True)
    synthesizer = Synthesizer.load(weights, args.size)
    maps = instance_maps(synthesizer.accepts, every, bool(args.instances))
    z, seed = style_vector(synthesizer, args.style, args.z, args.blend), args.seed if args.noise == "on" else None
    together = synthesizer.label_maps_at_once(args.batch)
    with replaced(args.out, args.force) as staged, progress(len(every), "generate", "image") as bar:
        for set_name, files in sets.items():
            folder = staged / set_name
            folder.mkdir(parents=True, exist_ok=True)
            for start in range(0, len(files), together):
                names, labels = zip(*((one.name, one.label) for one in files[start : start + together]), strict=True)
                ids = [synthesizer.read_label_map(path) for path in labels]
                pairs = zip(labels, ids, strict=True)
                numbers = [synthesizer.read_instance_map(maps[path], one) for path, one in pairs] if maps else None
                made = synthesizer.generate(ids, names, seed, z=z, instances=numbers, batch=args.batch)
                for name, image in zip(names, made, strict=True):
                    write_generated(folder, name, image, settings)
                bar.update(len(names))


STAGE = Stage(
    after="finetune",
    settings=generate_settings,
    section="generate",
    rules={"infer": "select"},
    device=True,
    removable=("infer/*/seed_*",),
    report_as="generating",
)
