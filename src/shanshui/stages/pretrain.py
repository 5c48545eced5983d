"""Pretrain at one resolution of the progressive schedule, continuing from the previous one."""

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
    parser.add_argument("--resolution", required=True, help="WIDTHxHEIGHT of the generated images in these epochs")
    parser.add_argument("--start", type=Path, help="training state after the resolution before; none for the first")
    add_file(parser, "--state", required=True, help="training state after the last epoch (*.safetensors)")
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Train the epochs of one resolution, and write weights and training state.

    Raises:
        UsageError: the resolution is not in the schedule, or `--start` is the state after another epoch.
    """
    config = TrainingConfig.read(args.settings, "pretrain")
    if spread(config.options.processes, args.arguments):
        return
    from shanshui.training.session import Session

    before = checkpoint.read_meta(args.start)["epoch"] if args.start else 0
    session = Session(config, TrainingFiles.of(args))
    stages = {f"{config.data.size.divided(s.divisor):03d}": s for s in session.schedule.stages()}
    if args.resolution not in stages:
        raise UsageError(f"no resolution {args.resolution} in this schedule", "one of " + ", ".join(stages))
    stage = stages[args.resolution]
    if before != stage.first_epoch - 1:
        raise UsageError(
            f"--start holds the state after epoch {before}",
            f"the state after epoch {stage.first_epoch - 1}, which {args.resolution} continues from",
        )
    folder = args.look / "pretrain" / args.resolution
    session.run(stage.first_epoch, stage.last_epoch, config.pretrain_epochs, folder)
    if not session.writes:
        return
    meta = session.meta(stage.last_epoch)
    state = session.state()
    checkpoint.save(args.state, state, kind="state", fingerprint=checkpoint.fingerprint(state), **meta)
    checkpoint.save(args.weights, session.weights(), kind="generator", **meta)


STAGE = Stage(
    after="reference",
    settings=lambda c: training_settings(c, "pretrain"),
    section="pretrain",
    outputs=lambda run_paths: [f"pretrain/{size}.safetensors" for size in run_paths.resolutions()],
    device=True,
    removable=("pretrain/[!.]*.safetensors", ".state/pretrain_*/*/[!.]*.safetensors"),
    report_as="training",
)
