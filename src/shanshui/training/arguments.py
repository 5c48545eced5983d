"""Command-line arguments that pretraining and fine-tuning share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from shanshui.storage.outputs import add_file


@dataclass(frozen=True)
class TrainingFiles:
    """Files and folders of a training phase, and how often it saves and looks.

    Attributes:
        photos: photographs at load size, `photos.npy` of `prepare`.
        label_maps: their label maps, `label_maps.npy`.
        instances: their instance maps, `instances.npy`; None where nothing is made of them.
        digests: `digests.json` of `prepare`; None: the arrays are read to compute them.
        perceptual: weights of the perceptual network; None: the file in its usual place.
        samples: manifest of the pairs that sample grids show.
        start: training state to begin from, where no later one is kept; None begins with fresh weights.
        resume: folder of the states from which a killed job continues.
        look: run folder for sample grids, stats.jsonl and events.
        snapshot_minutes: least time between two saved states.
        log_every: steps between two reads of the losses.
    """

    photos: Path
    label_maps: Path
    instances: Path | None
    digests: Path | None
    perceptual: Path | None
    samples: Path
    start: Path | None
    resume: Path
    look: Path
    snapshot_minutes: int
    log_every: int

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """Take them from the arguments of a training stage."""
        return cls(**{field.name: getattr(args, field.name) for field in fields(cls)})


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments that both phases share."""
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
