"""Command-line arguments that pretraining and fine-tuning share."""

from __future__ import annotations

import argparse
from pathlib import Path

from shanshui.storage.outputs import add_file


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Paths that both phases need."""
    parser.add_argument("--settings", required=True, type=Path, help="settings of this stage (JSON)")
    parser.add_argument("--photos", required=True, type=Path, help="photos.npy of `prepare`")
    parser.add_argument("--label-maps", required=True, type=Path, help="label_maps.npy of `prepare`")
    parser.add_argument("--instances", type=Path, help="instances.npy of `prepare`, where edges are made of them")
    parser.add_argument("--digests", type=Path, help="digests.json of `prepare`; without, the memory maps are read")
    parser.add_argument(
        "--perceptual", type=Path, help="weights of the perceptual network, where the settings name one"
    )
    parser.add_argument("--samples", required=True, type=Path, help="manifest whose pairs the sample grids show")
    parser.add_argument("--resume", required=True, type=Path, help="folder for resume states; survives a failed job")
    parser.add_argument("--look", required=True, type=Path, help="run folder for sample grids, stats.jsonl and events")
    parser.add_argument("--snapshot-minutes", type=int, default=10, help="least time between two resume states")
    parser.add_argument("--log-every", type=int, default=10, help="steps between two reads of the losses")
    add_file(parser, "--weights", required=True, help="G and E after the last epoch (*.safetensors)")
