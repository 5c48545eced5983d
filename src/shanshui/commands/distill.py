"""Train a small generator, the student, on the images of a larger one, its teacher.

    python -m shanshui distill --teacher W.safetensors --share 0.25 --labels DIR --epochs 40 --out small.safetensors

The student has the teacher's architecture, at the largest width whose multiply-accumulates are at most `--share` of the
teacher's. It learns from the teacher's images alone: no photographs and no discriminator are needed, and any label maps
serve. Its file is used like any other weights. With `--resume DIR` a killed command continues where it was.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shanshui.config.sections import PERCEPTUAL
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage.outputs import add_file
from shanshui.synthesis.generation_inputs import positive

if TYPE_CHECKING:
    from shanshui.compression.distilling import DistillConfig


def weight(text: str) -> float:
    """Parse a weight of a loss, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--teacher", required=True, type=Path, help="checkpoint or average (*.safetensors)")
    parser.add_argument("--share", required=True, type=float, help="of the teacher's multiply-accumulates, 0 to 1")
    parser.add_argument("--labels", required=True, type=Path, metavar="PATH", help="folder or manifest of label maps")
    add_file(parser, "--out", ".safetensors", mark="teacher", required=True, metavar="FILE", help="the student")
    parser.add_argument("--epochs", type=positive, default=40, metavar="N", help="over the label maps [40]")
    parser.add_argument("--batch", type=positive, default=4, metavar="N", help="label maps per step [4]")
    parser.add_argument("--lr", type=weight, default=2e-4, metavar="RATE", help="initial learning rate [0.0002]")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights, order and noise [0]")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="folder of states, one after every epoch")
    parser.add_argument("--alignment", type=weight, default=0.5, metavar="W", help="weight of kernel alignment [0.5]")
    parser.add_argument(
        "--by", choices=("position", "image"), default="position", help="rows of kernel alignment [position]"
    )
    parser.add_argument("--similarity", type=weight, default=10.0, metavar="W", help="weight of 1 - SSIM [10]")
    parser.add_argument("--reconstruction", type=weight, default=10.0, metavar="W", help="weight of L1 [10]")
    parser.add_argument(
        "--perceptual", choices=("none", *PERCEPTUAL), default="none", help="network of a perceptual loss [none]"
    )
    parser.add_argument("--perceptual-weight", type=weight, metavar="W", help="weight of the perceptual loss [10]")


def config_of(args: argparse.Namespace) -> DistillConfig:
    """Take the options of training from the command line.

    Raises:
        UsageError: an option has no effect, or there is no loss.
    """
    from shanshui.compression.distilling import DistillConfig

    if args.by == "image" and not args.alignment:
        raise UsageError("--by image with --alignment 0", "one of them: it is about kernel alignment")
    if args.by == "image" and args.batch < 2:
        raise UsageError(
            "--by image with --batch 1", "a batch of 2 or more: of a single image the alignment is always 1",
            "--by position, or a larger batch",
        )  # fmt: skip
    if args.perceptual == "none" and args.perceptual_weight is not None:
        raise UsageError("--perceptual-weight without --perceptual", "both, or neither")
    perceptual = (
        0.0 if args.perceptual == "none" else 10.0 if args.perceptual_weight is None else args.perceptual_weight
    )
    if not (args.alignment or args.similarity or args.reconstruction or perceptual):
        raise UsageError("all weights are 0", "at least one loss")
    return DistillConfig(
        args.epochs, args.batch, args.lr, args.seed, args.alignment, args.by, args.similarity, args.reconstruction,
        perceptual,
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Train the student, and write its weights.

    Raises:
        ShanshuiError: an option does not fit the teacher, a file cannot be read, or training diverged.
    """
    config = config_of(args)
    from shanshui.architectures.narrowing import narrow
    from shanshui.architectures.networks import init_generator, restore_generator
    from shanshui.backend.runtime import seed_everything
    from shanshui.compression.distilling import Distillation, teach
    from shanshui.compression.examples import of_label_maps
    from shanshui.compression.student_file import check_teacher, student_meta
    from shanshui.storage import checkpoint
    from shanshui.synthesis.generation_inputs import label_files
    from shanshui.synthesis.generator_file import read_generator
    from shanshui.synthesis.synthesizer import Synthesizer
    from shanshui.training.perceptual import perceptual_loss

    files = label_files(args.labels)
    found = read_generator(args.teacher)
    synthesizer = Synthesizer.load(args.teacher)
    check_teacher(args.teacher, found, config.alignment)
    teacher = restore_generator(found.arrays, found.meta, str(args.teacher))
    if teacher.declared.instances:
        raise ShanshuiError(f"{args.teacher} uses edges of instances", "weights that label maps are enough for")
    declared = teacher.declared.in_phase(0, found.meta["seg_noise"])
    assert synthesizer.size is not None
    small = narrow(declared, args.share, synthesizer.size)
    print(
        f"student: base_channels {small.declared.base_channels}, {small.cost.parameters:,} parameters, "
        f"{small.cost.macs / 1e9:.2f} GMAC, {small.share:.1%} of the teacher's"
    )
    label_maps = np.stack([synthesizer.read_label_map(path) for _, path, _ in files])
    seed_everything(int(np.random.SeedSequence([config.seed, 0, 11]).generate_state(1)[0]))
    student = init_generator(small.declared, found.meta["seg_noise"])
    training = Distillation(teacher, student, config, perceptual_loss(args.perceptual, None, "imagenet", "running"))
    cost = {"share": args.share, "macs_of_teacher": round(small.cost.macs / small.share)}
    meta = student_meta(args.teacher, found, small, {**asdict(config), "perceptual_net": args.perceptual}, cost)
    teach(training, of_label_maps(teacher, label_maps, config.batch), meta, args.resume)
    checkpoint.save(args.out, training.weights(), **meta)
