"""Train the segmentation network used for mask accuracy, mIoU and seg_frechet.

    python -m shanshui segmenter --settings S.json --photos photos.npy --label-maps label_maps.npy
        --holdout holdout.csv --resume FOLDER --weights segmenter.safetensors

It learns from the training pairs alone. Its accuracy on the real photographs of the held-out pairs is kept in
the file: generated images can hardly score higher. A killed call resumes from its last complete epoch.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shanshui.config.sections import Positive, Section
from shanshui.config.settings import LABELS
from shanshui.config.stages import Stage
from shanshui.config.typed_settings import LabelSettings, read_checked
from shanshui.storage.outputs import add_file
from shanshui.storage.size import Size

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterMeta
    from shanshui.data.loader import TrainingPairs
    from shanshui.storage.checkpoint import Arrays, Meta


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--settings", required=True, type=Path, metavar="JSON", help="settings of this stage")
    parser.add_argument("--photos", required=True, type=Path, metavar="NPY", help="photos.npy of `prepare`")
    parser.add_argument("--label-maps", required=True, type=Path, metavar="NPY", help="label_maps.npy of `prepare`")
    parser.add_argument("--digests", type=Path, metavar="JSON",
                        help="digests.json of `prepare`; without, the memory maps are read")  # fmt: skip
    parser.add_argument("--holdout", required=True, type=Path, metavar="CSV",
                        help="manifest of the pairs on which it is tested; may have no rows")  # fmt: skip
    parser.add_argument("--resume", required=True, type=Path, metavar="FOLDER", help="states; survives a failed job")
    add_file(parser, "--weights", required=True, metavar="FILE", help="segmenter to write (*.safetensors)")


class NetworkSettings(Section):
    """Section `segmenter` of the settings file."""

    width: Positive
    height: Positive
    channels: Positive
    epochs: Positive
    batch: Positive
    lr: float

    @property
    def size(self) -> Size:
        """Size to which images are resized."""
        return Size(self.height, self.width)


class PairSettings(LabelSettings):
    """Section `data` of the settings file."""

    flip: bool


class SegmenterSettings(Section):
    """Settings file of this stage."""

    seed: int
    segmenter: NetworkSettings
    data: PairSettings


def metadata(settings: SegmenterSettings) -> Meta:
    """Return the metadata of the segmenter's file, without its accuracy."""
    network = settings.segmenter
    return {
        "kind": "segmenter",
        "architecture": "unet",
        "classes": settings.data.classes,
        **network.model_dump(include={"width", "height", "channels"}),
        "seed": settings.seed,
        "training": {**network.model_dump(include={"epochs", "batch", "lr"}), "flip": settings.data.flip},
    }


def trained(settings: SegmenterSettings, pairs: TrainingPairs, args: argparse.Namespace) -> Arrays:
    """Train from the newest state of an earlier call, or from the start; return the weights after the last epoch."""
    from shanshui.architectures.segmenter import build
    from shanshui.backend.modules import gather
    from shanshui.backend.runtime import seed_everything
    from shanshui.data.prepared import prepared_digests
    from shanshui.storage.files import digest
    from shanshui.training.resume import resume_folder
    from shanshui.training.segmenting import SegmenterPlan, Trainer, epoch_seed, train

    of = settings.segmenter
    plan = SegmenterPlan(of.size, of.epochs, of.batch, of.lr, settings.data.flip, settings.seed)
    seed_everything(int(epoch_seed(plan.seed, 0).generate_state(1)[0]))
    trainer = Trainer(build(cast("SegmenterMeta", metadata(settings))), plan.lr)
    key = digest([settings.model_dump(), *prepared_digests([args.photos, args.label_maps], args.digests)])
    with resume_folder(args.resume, key) as states:
        found = states.latest(upto=plan.epochs)
        if found:
            trainer.restore(found[1])
        first = found[0] + 1 if found else 1
        train(trainer, plan, pairs, first, lambda epoch: states.save(epoch, trainer.state(), {"epoch": epoch}))
    return gather(trainer.net)


def accuracy(arrays: Arrays, settings: SegmenterSettings, args: argparse.Namespace) -> dict[str, float] | None:
    """Compute `mask_accuracy` and `miou` on the `n` real photographs of the held-out pairs.

    Returns:
        None if there are no pairs, or none with classes.
    """
    import numpy as np
    from tqdm import tqdm

    from shanshui.architectures.segmenters import Segmenter
    from shanshui.evaluation.segmenter_features import SegmenterFeatures
    from shanshui.metrics.estimate import NotMeasured
    from shanshui.metrics.segmentation import mask_accuracy, miou
    from shanshui.storage.files import read_csv
    from shanshui.storage.images import read_photo

    rows = read_csv(args.holdout)
    if not rows:
        return None
    segmenter = Segmenter(arrays, cast("SegmenterMeta", metadata(settings)), str(args.weights), "")
    look = SegmenterFeatures(segmenter, settings.data.model_dump(include={"label_offset", "ignore_label"}))
    counts = np.concatenate([
        look(look.sized(read_photo(row["image"]))[None], look.label_map(row["label"])[None])["classes"]
        for row in tqdm(rows, desc="held-out photographs", unit="img")
    ])  # fmt: skip
    try:
        return {"n": len(rows), "mask_accuracy": mask_accuracy(counts).value, "miou": miou(counts).value}
    except NotMeasured:
        return None


def run(args: argparse.Namespace) -> None:
    """Train the segmenter, test it on held-out photographs, and write it."""
    from shanshui.data.loader import read_training_pairs
    from shanshui.storage import checkpoint

    settings = read_checked(SegmenterSettings, args.settings)
    pairs = read_training_pairs(args.photos, args.label_maps)
    arrays = trained(settings, pairs, args)
    real = accuracy(arrays, settings, args)
    checkpoint.save(args.weights, arrays, **metadata(settings), real=real)
    if real:
        print(
            f"segmenter: mask accuracy {real['mask_accuracy']:.4f}, mIoU {real['miou']:.4f} on {real['n']} real "
            "held-out photographs"
        )
    else:
        print(f"segmenter: not tested, {args.holdout} has no pairs with classes")


STAGE = Stage(
    after="prepare",
    settings=lambda c: {
        "seed": c.seed,
        "segmenter": c.segmenter.model_dump(exclude={"weights"}),
        "data": c.data.model_dump(include=LABELS | {"flip"}),
    },
    section="segmenter",
    outputs=lambda run_paths: (
        ["segmenter/segmenter.safetensors"]
        if run_paths.segmenter(run_paths.config.run) and not run_paths.config.segmenter.weights
        else []
    ),
    device=True,
    report_as="training",
)
