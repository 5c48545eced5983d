"""Train the segmenter: random crops of the pairs, cross entropy, cosine learning rate.

An epoch is a function of the state before it and of (seed, epoch). Colours, scale and position are varied, so that the
network also accepts images that are not photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.data.loader import TrainingPairs, prefetched
from shanshui.errors import ShanshuiError
from shanshui.logs import progress
from shanshui.nn.cross_entropy import cross_entropy
from shanshui.storage.checkpoint import Arrays, Checkpoint, prefixed
from shanshui.storage.images import to_float
from shanshui.storage.size import Size
from shanshui.training.optim import adam

if TYPE_CHECKING:
    from shanshui.architectures.segmenter import UNet


STREAM = 3  # of the run's seed; pretraining and fine-tuning have 1 and 2
BETAS = (0.9, 0.999)
SMALLEST_WINDOW = 0.7  # of an image's sides
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.25, 0.4  # largest changes, of images in [-1, 1]


@dataclass(frozen=True)
class SegmenterPlan:
    """Size to which pairs are resized, and hyperparameters of the training."""

    size: Size
    epochs: int
    batch: int
    lr: float
    flip: bool
    seed: int


class Trainer:
    """A network with its optimiser: the state that training resumes from."""

    def __init__(self, net: UNet, lr: float) -> None:
        self.net = net
        self.optimizer = adam([net], lr, BETAS)

    def state(self) -> Arrays:
        """Return the weights and Adam's moments."""
        return prefixed("net", gather(self.net)) | prefixed("adam", gather_optimizer(self.optimizer))

    def restore(self, state: Checkpoint) -> None:
        """Restore a state returned by `state`."""
        restore(self.net, state.part("net"), "training state (net)")
        restore_optimizer(self.optimizer, state.part("adam"), "training state (adam)")

    def step(self, photos: np.ndarray, label_maps: np.ndarray, lr: float) -> float:
        """Train on float32 (N, 3, h, w) in [-1, 1] and class ids (N, h, w); return the loss before the update."""
        self.optimizer.lr = lr
        logits, _ = self.net.segment(jt.array(photos))
        loss = cross_entropy(logits, jt.array(label_maps.astype(np.int32)))
        self.optimizer.step(loss)
        return float(loss.item())


def epoch_seed(seed: int, epoch: int) -> np.random.SeedSequence:
    """Derive an epoch's seed from the run's; epoch 0 is that of the initial weights."""
    return np.random.SeedSequence([seed, STREAM, epoch])


def train(
    trainer: Trainer, plan: SegmenterPlan, pairs: TrainingPairs, first_epoch: int, after_epoch: Callable[[int], None]
) -> None:
    """Train epochs `first_epoch` to `plan.epochs`, counted from 1, calling `after_epoch` at the end of each.

    Raises:
        ShanshuiError: the loss is not finite.
    """
    steps = -(-len(pairs) // plan.batch)
    with progress(steps * (plan.epochs + 1 - first_epoch), "segmenter") as bar:
        for epoch in range(first_epoch, plan.epochs + 1):
            done = (epoch - 1) * steps
            for i, (photos, label_maps) in enumerate(prefetched(batches(pairs, plan, epoch))):
                loss = trainer.step(photos, label_maps, cosine(plan.lr, (done + i) / (steps * plan.epochs)))
                if not np.isfinite(loss):
                    raise ShanshuiError(
                        f"training diverged: the segmenter's loss is {loss} in epoch {epoch}", "a finite loss",
                        "lower segmenter.lr",
                    )  # fmt: skip
                bar.set_postfix_str(f"epoch {epoch} loss {loss:.2f}", refresh=False)
                bar.update()
            after_epoch(epoch)


def cosine(lr: float, done: float) -> float:
    """Return the learning rate of cosine decay after the share `done` of the training: from `lr` to 0."""
    return lr * 0.5 * (1 + float(np.cos(np.pi * done)))


# --- what chance does to the pairs ------------------------------------------------------------------------


def batches(pairs: TrainingPairs, plan: SegmenterPlan, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs once, in batches of nearly equal size: float32 (n, 3, h, w) in [-1, 1], uint8 ids (n, h, w)."""
    rng = np.random.Generator(np.random.Philox(epoch_seed(plan.seed, epoch)))
    order = rng.permutation(len(pairs))
    for indices in np.array_split(order, -(-len(pairs) // plan.batch)):
        cut = [vary(pairs.photos[i], pairs.label_maps[i], plan.size, plan.flip, rng) for i in indices]
        yield np.stack([photo for photo, _ in cut]), np.stack([label_map for _, label_map in cut])


def vary(
    photo: np.ndarray, label_map: np.ndarray, size: Size, flip: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a random window of a pair, resize it to `size`, change its colours and, if `flip`, mirror half of the pairs.

    Photographs are antialiased, label maps resized by nearest neighbour. Everything is drawn whether used or not.
    """
    height, width = Size.of(label_map)
    scale = rng.uniform(SMALLEST_WINDOW, 1)
    left, top = rng.random(2) * (1 - scale) * (width, height)
    mirrored, changes = rng.random() < 0.5 and flip, rng.uniform(-1, 1, 3)
    box = (left, top, left + scale * width, top + scale * height)
    sized = Image.fromarray(photo).resize(size.width_first, Image.Resampling.BILINEAR, box)
    ids = np.asarray(Image.fromarray(label_map).resize(size.width_first, Image.Resampling.NEAREST, box))
    image = recolour(to_float(np.asarray(sized)), *changes)
    return (image[:, :, ::-1], ids[:, ::-1]) if mirrored else (image, ids)


def recolour(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Change the colours of float32 (3, h, w) in [-1, 1] by -1 to 1 times the largest changes; clip to [-1, 1]."""
    grey = image.mean(axis=0, keepdims=True)
    image = grey + (image - grey) * np.float32(1 + SATURATION * saturation)
    middle = image.mean()
    image = middle + (image - middle) * np.float32(1 + CONTRAST * contrast) + np.float32(BRIGHTNESS * brightness)
    return np.clip(image, -1, 1, dtype=np.float32)
