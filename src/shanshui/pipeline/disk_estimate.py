"""Estimate what a run writes from its configuration: kinds, numbers and sizes of files.

Weights and prepared pairs are counted exactly. Images are estimated from their size, rather too large than too small;
resume states are counted as two per phase, though a short phase leaves one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shanshui.architectures import network_counts
from shanshui.config.schema import Config
from shanshui.data.layouts import LAYOUTS
from shanshui.metrics.registry import kinds_of, need_segmenter
from shanshui.pipeline.retention import STATES
from shanshui.pipeline.run_paths import RunPaths
from shanshui.weights.builtin import BUILTIN

MB = 10**6
NUMBER = 4  # bytes of a float32
STATES_KEPT = 2  # of a phase, beside one another
ONE_MORE = 1  # state that is written before an older one goes, or those of other settings
PHOTO = {"jpg": 0.7, "png": 1.8}  # bytes per pixel: JPEG of quality 95 without colour subsampling, PNG
GRID = 1.0  # bytes per pixel of a sample grid: label maps, generated images and photographs in one PNG
GRID_IMAGES = 18
REPORT_BYTES = 10 * MB  # report, tables, plots, logs
DEEPLAB = 320  # features an image of the built-in segmenter
REFERENCE = 2000  # photographs whose features are stored one by one, at most


@dataclass(frozen=True)
class Part:
    """Files of one kind: their largest number, the bytes of each, and how many stay in the end.

    `rule` writes them. `folders` are patterns of their places in the run's folder; what exists there need not be
    written again.
    """

    name: str
    rule: str
    count: int
    each: float
    stay: int
    folders: tuple[str, ...]

    @property
    def most(self) -> float:
        """Bytes while the run is running."""
        return self.count * self.each

    @property
    def final(self) -> float:
        """Bytes when it is done."""
        return self.stay * self.each


@dataclass(frozen=True)
class ImageCounts:
    """Number of images per set: training pairs without the hold-out, held-out pairs, test label maps."""

    train: int
    holdout: int
    test: int


def count_images(config: Config) -> ImageCounts:
    """Count the images in the data folders, or take the numbers of the embedded dataset."""
    if config.landscapes:
        pairs, test = config.landscapes.train, config.landscapes.test
    else:
        data, layout = config.data, LAYOUTS[config.data.layout]
        pairs = len(layout.find(Path(data.train_labels), "train_labels"))
        test = len(layout.find(Path(data.test_labels), "test_labels"))
    holdout = min(config.data.holdout, pairs)
    return ImageCounts(pairs - holdout, holdout, test)


def averages(config: Config) -> int:
    """Return the largest number of averaged weights: every subset of the best, and a soup per further checkpoint."""
    top, soups = config.select.top, len(RunPaths(config).soups())
    return 2**top - 1 - top + max(0, soups + 1 - top)


def estimate(config: Config, counts: ImageCounts) -> list[Part]:
    """Estimate what a run writes, in data-flow order."""
    return [
        *_data(config, counts),
        *_training(config),
        *_choosing(config, counts),
        Part("report, tables, logs", "report", 1, REPORT_BYTES, 1, ("logs", "validate", "benchmarks")),
    ]


def _data(config: Config, counts: ImageCounts) -> list[Part]:
    """Estimate the training pairs: drawn and prepared."""
    data, drawn = config.data, config.landscapes
    pixels = data.load_width * data.load_height
    each = (6 if config.model.edges == "instance" else 4) * pixels
    parts = [Part("prepared pairs", "prepare", counts.train, each, counts.train, ("prepare",))]
    if drawn:
        every = counts.train + counts.holdout + counts.test
        parts.insert(
            0,
            Part("drawn pairs", "landscapes", every, PHOTO["jpg"] * drawn.width * drawn.height, every, ("landscapes",)),
        )
    return parts


def _training(config: Config) -> list[Part]:
    """Estimate weights and training states of both phases and of the segmenter; states include Adam's two moments."""
    best = config.retention == "best"
    networks = config.networks()
    growing = networks.generator.in_phase(networks.discriminator.output_sizes - 1, seg_noise=False).parameters()
    tuned = networks.generator.in_phase(0, config.finetune.seg_noise).parameters()
    discriminators, sizes = networks.discriminator.parameters(), len(RunPaths(config).resolutions())
    epochs = config.score.last - config.score.first + 1
    moving = bool(config.finetune.ema)
    state, tuning = 3 * (growing + discriminators), 3 * (tuned + discriminators) + moving * tuned
    stay = min(epochs, _most_kept(config)) if best else epochs
    grid = GRID * GRID_IMAGES * config.data.width * config.data.height
    parts = [
        Part(
            "weights of pretraining", "pretrain", sizes, growing * NUMBER, 1 if best else sizes,
            ("pretrain/*[0-9].safetensors",),
        ),
        Part(
            "states of pretraining", "pretrain", sizes, state * NUMBER, 1 if best else sizes,
            ("pretrain/*.state.safetensors",),
        ),
        Part(
            "resume states of it", "pretrain", STATES_KEPT * sizes + ONE_MORE, state * NUMBER,
            0 if best else STATES_KEPT * sizes,
            (f"{STATES}/pretrain_*",),
        ),
        Part(
            "resume states of fine-tuning", "finetune", STATES_KEPT + ONE_MORE, tuning * NUMBER, STATES_KEPT,
            (f"{STATES}/finetune",),
        ),
        Part("fine-tuned weights", "finetune", epochs, tuned * NUMBER, stay, ("finetune/epoch_*.safetensors",)),
    ]  # fmt: skip
    if moving:
        files = ("finetune/ema_*.safetensors",)
        parts.append(Part("moving average of the last", "finetune", 1, tuned * NUMBER, 1, files))
    if need_segmenter(config.score.metrics) and not config.segmenter.weights:
        saved = 1 + 3 * STATES_KEPT
        of_segmenter = network_counts.segmenter(config.segmenter.channels, len(config.data.classes))
        folders = ("segmenter", f"{STATES}/segmenter")
        parts.append(Part("segmenter", "segmenter", saved, of_segmenter * NUMBER, saved, folders))
    if config.data.holdout:
        parts.append(Part("sample grids", "finetune", config.score.last, grid, config.score.last, ("samples",)))
    return parts


def _most_kept(config: Config) -> int:
    """Return the number of checkpoints that `retention: best` keeps at most: the best and the last."""
    return config.select.tried() + 1


def _choosing(config: Config, counts: ImageCounts) -> list[Part]:
    """Estimate averages, images and features."""
    best = config.retention == "best"
    size = config.data.width * config.data.height
    image_bytes = PHOTO[config.generate.format] * size
    shown = {"train": counts.train, "holdout": counts.holdout, "test": counts.test}
    whole = sum(shown[name] for name in RunPaths(config).sets())
    seeds, merged = len(config.infer.seeds), averages(config)
    weights = config.networks().generator.in_phase(0, config.finetune.seg_noise).parameters()
    scored = len(config.score.epochs()) + merged + bool(config.finetune.ema) + seeds
    submission = 3 * counts.test * image_bytes  # fused, zipped, and the contact sheet below one of them
    return [
        Part("averages of weights", "merge", merged, weights * NUMBER, min(1, merged) if best else merged, ("merge",)),
        Part("images being scored", "generate", 1, whole * image_bytes, 0, ("images",)),
        Part("images of noise seeds", "infer", seeds, whole * image_bytes, 1 if best else seeds, ("infer",)),
        Part("features and scores", "score", scored, whole * _features(config) * NUMBER, scored, ("features", "score")),
        Part("statistics of photographs", "reference", 1, _reference(config), 1, ("reference",)),
        Part("submission", "fuse", 1, submission, 1, ("fuse", "submission.zip", "contact_sheet.png")),
    ]


def _features(config: Config) -> int:
    """Return the number of values per image that the wanted metrics store."""
    classes = len(config.data.classes)
    found = 8 + sum(record.numbers for record in kinds_of(config.score.metrics))
    if need_segmenter(config.score.metrics):
        builtin = config.segmenter.weights == BUILTIN
        found += 4 * classes + DEEPLAB if builtin else 3 * classes + 8 * config.segmenter.channels
    return found


def _reference(config: Config) -> int:
    """Return the bytes of means and covariances (float64) and of the features of 2000 photographs."""
    numbers = [record.numbers for record in kinds_of(config.score.metrics)]
    return sum(n**2 * 8 + REFERENCE * n * NUMBER for n in numbers) + 2 * MB
