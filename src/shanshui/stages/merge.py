"""Average the weights of several checkpoints into one.

python -m shanshui merge epoch_003.safetensors epoch_005.safetensors --out 003+005.safetensors
python -m shanshui merge ... --estimate-on label_maps.npy --settings settings.json --out 003+005.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from shanshui.config.sections import Positive, Section
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import read_checked
from shanshui.errors import UsageError
from shanshui.evaluation.merging import average, estimate_statistics
from shanshui.nn.singular_vectors import refresh_singular_vectors
from shanshui.storage import checkpoint
from shanshui.storage.checkpoint import Arrays, Meta
from shanshui.storage.files import sha256
from shanshui.storage.outputs import add_file
from shanshui.storage.size import Size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("weights", nargs="+", type=Path, help="two or more checkpoints (*.safetensors)")
    parser.add_argument(
        "--estimate-on", type=Path, metavar="NPY",
        help="training label maps, uint8 (N, H, W), on which batch norm's statistics are re-estimated",
    )  # fmt: skip
    parser.add_argument("--settings", type=Path, help="seed, batch and label_maps (JSON), for --estimate-on")
    add_file(parser, "--out", mark="averaged", required=True, help="averaged checkpoint")


class MergeSettings(Section):
    """Settings file of this stage, where batch norm statistics are estimated."""

    seed: int
    batch: Positive
    batch_norm: Literal["estimated"] = "estimated"
    label_maps: Positive


def estimate(arrays: Arrays, meta: Meta, file: Path, settings: MergeSettings) -> Arrays:
    """Return the arrays with G's running statistics estimated on label maps spread evenly over `file`.

    Raises:
        UsageError: there are fewer label maps than a batch.
    """
    from shanshui.architectures.networks import restore_generator
    from shanshui.backend.modules import gather

    label_maps = np.load(file, mmap_mode="r")
    batch, count = settings.batch, min(settings.label_maps, len(label_maps))
    if count < batch:
        raise UsageError(f"{file} holds {len(label_maps)} label maps", f"at least one batch of {batch}")
    shown = np.linspace(0, len(label_maps) - 1, count // batch * batch).round().astype(int)
    data = meta["data"]
    generator = restore_generator(arrays, meta, "the average")
    size = Size(data["height"], data["width"])
    estimate_statistics(generator, label_maps[shown], size, settings.seed, batch)
    return arrays | checkpoint.prefixed("G", gather(generator.G))


def run(args: argparse.Namespace) -> None:
    """Average the checkpoints and write the result, with a list of them in its metadata."""
    if len(args.weights) < 2:
        raise UsageError("one checkpoint given", "two or more to average")
    if bool(args.estimate_on) != bool(args.settings):
        raise UsageError("one of --estimate-on and --settings is missing", "both or neither")
    parts = [checkpoint.load(path) for path in args.weights]
    mean = average([part.arrays for part in parts], [str(path) for path in args.weights])
    mean = refresh_singular_vectors(mean)
    meta = {k: v for k, v in parts[0].meta.items() if k not in ("epoch", "shanshui", "python")}
    averaged = [
        {"file": path.name, "sha256": sha256(path), "epoch": part.meta.get("epoch")}
        for path, part in zip(args.weights, parts, strict=True)
    ]
    if args.estimate_on:
        mean = estimate(mean, meta, args.estimate_on, read_checked(MergeSettings, args.settings))
    statistics = "estimated" if args.estimate_on else "averaged"
    checkpoint.save(args.out, mean, **meta, averaged=averaged, batch_norm=statistics)


STAGE = Stage(
    after="score",
    settings=lambda c: (
        {"seed": c.seed, "batch": c.finetune.batch, **c.merge.model_dump()} if c.merge.batch_norm == "estimated" else {}
    ),
    section="merge",
    removable=("merge/[!.]*.safetensors",),
    report_as="other",
)
