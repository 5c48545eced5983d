"""Fine-tune with augmentation at full size up to one epoch, from the newest state or the end of pretraining."""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.backend.parallel import spread
from shanshui.config.settings import training_settings
from shanshui.config.stages import Stage
from shanshui.config.training_settings import TrainingConfig
from shanshui.errors import UsageError
from shanshui.storage import checkpoint
from shanshui.storage.outputs import add_file
from shanshui.training.arguments import TrainingFiles, add_training_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--epoch", required=True, type=int, help="epoch to train up to, counted over both phases")
    parser.add_argument("--start", required=True, type=Path, help="training state at the end of pretraining")
    add_file(parser, "--average", help="write the moving average of G and E there")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Fine-tune; write G and E after `--epoch` and, with `--average`, their moving average.

    Raises:
        ShanshuiError: training diverged, or inputs do not fit the settings.
    """
    config = TrainingConfig.read(args.settings, "finetune")
    if spread(config.options.processes, args.arguments):
        return
    from shanshui.training.session import Session

    if args.average and not config.options.ema:
        raise UsageError("--average, and ema is 0", "no --average, or settings with a moving average")
    session = Session(config, TrainingFiles.of(args))
    first = config.pretrain_epochs + 1
    end = first - 1 + (config.options.epochs or 0)
    session.run(first, args.epoch, end, args.look / "finetune")
    if not session.writes:
        return
    if args.average and session.nets.average:
        checkpoint.save(
            args.average, session.nets.average.weights(), kind="generator", **session.meta(args.epoch),
            moving_average=session.nets.average.decay,
        )  # fmt: skip
    checkpoint.save(args.weights, session.weights(), kind="generator", **session.meta(args.epoch))


STAGE = Stage(
    after="pretrain",
    settings=lambda c: training_settings(c, "finetune"),
    section="finetune",
    outputs=lambda run_paths: run_paths.finetuned_weights(),
    device=True,
    removable=("finetune/[!.]*.safetensors",),
    report_as="training",
)
