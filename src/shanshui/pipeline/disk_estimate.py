"""Estimate what a run writes from its configuration: kinds, numbers and sizes of files.

Weights are counted on the built networks (`network_counts`), prepared pairs exactly; where the networks could not be
counted, the sizes of weights and states are unknown. Images are estimated from their size, rather too large than too
small; resume states are counted as two per phase, though a short phase leaves one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shanshui.architectures.network_cost import NetworkCounts
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
GRID_IMAGES, SAMPLE_IMAGES = 18, 6  # in a grid; of them the generated ones, which are JPEG files too
REPORT_BYTES = 10 * MB  # report, tables, plots, logs
DEEPLAB = 320  # features an image of the built-in segmenter
REFERENCE = 2000  # photographs whose features are stored one by one, at most


@dataclass(frozen=True)
class Part:
    """Files of one kind: their largest number, the bytes of each (None: not known), and how many stay in the end.

    `rule` writes them. `folders` are patterns of their places in the run's folder; what exists there need not be
    written again.
    """

    name: str
    rule: str
    count: int
    each: float | None
    stay: int
    folders: tuple[str, ...]

    @property
    def most(self) -> float:
        """Bytes while the run is running; 0 where they are not known."""
        return self.count * (self.each or 0)

    @property
    def final(self) -> float:
        """Bytes when it is done; 0 where they are not known."""
        return self.stay * (self.each or 0)


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


@dataclass(frozen=True)
class WeightBytes:
    """Bytes of the files that hold weights, None where the networks were not counted.

    Attributes:
        pretrained: weights of pretraining.
        pretraining: state of it, with the discriminator and Adam's two moments.
        finetuned: weights of fine-tuning.
        finetuning: state of it, with those and the moving average.
        segmenter: weights of the segmenter.
    """

    pretrained: float | None = None
    pretraining: float | None = None
    finetuned: float | None = None
    finetuning: float | None = None
    segmenter: float | None = None

    @classmethod
    def of(cls, counts: NetworkCounts | None, moving_average: bool) -> WeightBytes:
        """Compute the bytes from the numbers of float32 values."""
        if counts is None:
            return cls()
        pretraining, finetuning = (
            3 * (values + counts.discriminator) for values in (counts.pretrained, counts.finetuned)
        )
        return cls(
            NUMBER * counts.pretrained, NUMBER * pretraining, NUMBER * counts.finetuned,
            NUMBER * (finetuning + moving_average * counts.finetuned), NUMBER * counts.segmenter,
        )  # fmt: skip


def estimate(config: Config, images: ImageCounts, counts: NetworkCounts | None) -> list[Part]:
    """Estimate what a run writes, in data-flow order; without `counts` the sizes of weights are not known."""
    weights = WeightBytes.of(counts, bool(config.finetune.ema))
    return [
        *_data(config, images),
        *_training(config, weights),
        *_choosing(config, images, weights.finetuned),
        *_students(config, weights),
        Part("report, tables, logs", "report", 1, REPORT_BYTES, 1, ("logs", "validate", "benchmarks")),
    ]


def _data(config: Config, images: ImageCounts) -> list[Part]:
    """Estimate the training pairs: drawn and prepared."""
    data, drawn = config.data, config.landscapes
    pixels = data.load_width * data.load_height
    each = (6 if config.model.edges == "instance" else 4) * pixels
    parts = [Part("prepared pairs", "prepare", images.train, each, images.train, ("prepare",))]
    if drawn:
        every = images.train + images.holdout + images.test
        parts.insert(
            0,
            Part("drawn pairs", "landscapes", every, PHOTO["jpg"] * drawn.width * drawn.height, every, ("landscapes",)),
        )
    return parts


def _training(config: Config, weights: WeightBytes) -> list[Part]:
    """Estimate weights and training states of both phases and of the segmenter."""
    best = config.retention == "best"
    sizes = len(RunPaths(config).resolutions())
    epochs = config.score.last - config.score.first + 1
    stay = min(epochs, _most_kept(config)) if best else epochs
    samples = (GRID * GRID_IMAGES + PHOTO["jpg"] * SAMPLE_IMAGES) * config.data.size.pixels
    parts = [
        Part(
            "weights of pretraining", "pretrain", sizes, weights.pretrained, 1 if best else sizes,
            ("pretrain/*[0-9].safetensors",),
        ),
        Part(
            "states of pretraining", "pretrain", sizes, weights.pretraining, 1 if best else sizes,
            ("pretrain/*.state.safetensors",),
        ),
        Part(
            "resume states of it", "pretrain", STATES_KEPT * sizes + ONE_MORE, weights.pretraining,
            0 if best else STATES_KEPT * sizes,
            (f"{STATES}/pretrain_*",),
        ),
        Part(
            "resume states of fine-tuning", "finetune", STATES_KEPT + ONE_MORE, weights.finetuning, STATES_KEPT,
            (f"{STATES}/finetune",),
        ),
        Part("fine-tuned weights", "finetune", epochs, weights.finetuned, stay, ("finetune/epoch_*.safetensors",)),
    ]  # fmt: skip
    if config.finetune.ema:
        files = ("finetune/ema_*.safetensors",)
        parts.append(Part("moving average of the last", "finetune", 1, weights.finetuned, 1, files))
    if need_segmenter(config.score.metrics) and not config.segmenter.weights:
        saved = 1 + 3 * STATES_KEPT
        folders = ("segmenter", f"{STATES}/segmenter")
        parts.append(Part("segmenter", "segmenter", saved, weights.segmenter, saved, folders))
    if config.data.holdout:
        parts.append(Part("sample images", "finetune", config.score.last, samples, config.score.last, ("samples",)))
    return parts


def _most_kept(config: Config) -> int:
    """Return the number of checkpoints that `retention: best` keeps at most: the best and the last."""
    return config.select.tried() + 1


def _choosing(config: Config, images: ImageCounts, weights: float | None) -> list[Part]:
    """Estimate averages, images and features."""
    best = config.retention == "best"
    size = config.data.width * config.data.height
    image_bytes = PHOTO[config.generate.format] * size
    shown = {"train": images.train, "holdout": images.holdout, "test": images.test}
    whole = sum(shown[name] for name in RunPaths(config).sets())
    seeds, merged = len(config.infer.seeds), averages(config)
    scored = len(config.score.epochs()) + merged + bool(config.finetune.ema) + seeds
    submission = 3 * images.test * image_bytes  # fused, zipped, and the contact sheet below one of them
    return [
        Part("averages of weights", "merge", merged, weights, min(1, merged) if best else merged, ("merge",)),
        Part("images being scored", "generate", 1, whole * image_bytes, 0, ("images",)),
        Part("images of noise seeds", "infer", seeds, whole * image_bytes, 1 if best else seeds, ("infer",)),
        Part("features and scores", "score", scored, whole * _features(config) * NUMBER, scored, ("features", "score")),
        Part("statistics of photographs", "reference", 1, _reference(config), 1, ("reference",)),
        Part("submission", "fuse", 1, submission, 1, ("fuse", "submission.zip", "contact_sheet.png")),
    ]


def _students(config: Config, weights: WeightBytes) -> list[Part]:
    """Estimate students with their controls, each at most as large as its teacher, and what they resume from."""
    if not config.compress.shares:
        return []
    count = len(config.compress.shares) * (2 if config.compress.control else 1)
    states = STATES_KEPT + ONE_MORE
    stay = 0 if config.retention == "best" else STATES_KEPT * count
    places = tuple(f"{STATES}/{kind}_*" for kind in ("small", "alone"))
    return [
        Part("students", "compress", count, weights.finetuned, count, ("compress",)),
        Part("resume states of them", "compress", states * count, weights.finetuning, stay, places),
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
