"""Every kind of training step and picture once, on noise at the smallest size: compiles the kernels they need.

Jittor compiles a kernel at its first use and keeps it, whatever the size of the data. Done in one process
beforehand, jobs that run side by side find their kernels ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shanshui.generation import generate_batch
from shanshui.models import patch_spade, segmenter
from shanshui.modules import gather
from shanshui.networks import build_discriminator, build_generator
from shanshui.patches import patch_pyramid
from shanshui.runtime import load_jittor
from shanshui.segmenters import Segmenter
from shanshui.training.augment import OPERATIONS
from shanshui.training.moving_average import MovingAverage
from shanshui.training.optim import adam
from shanshui.training.schedule import Schedule
from shanshui.training.segmenting import Trainer
from shanshui.training.step import Networks, Recipe, one_hot, train_step

jt = load_jittor()

CLASSES = 3
HEIGHT, WIDTH = 64, 128
SETTINGS: dict[str, Any] = {
    "data": {"classes": [str(i) for i in range(CLASSES)]},
    "model": {
        "base_channels": 4, "halvings": 5, "spade_hidden": 8, "discriminators": 3, "discriminator_channels": 8,
    },
    "parity": {"spectral_norm": "on", "full_order": "kept", "pool_padding": "excluded", "seg_noise_init": "zero"},
}  # fmt: skip


def rehearsals() -> list[tuple[str, Callable[[], None]]]:
    """(what is compiled, function that does it), in the order of a run."""
    return [
        ("pretraining, flat", lambda: _train("pretrain", 1)),
        ("pretraining, fading", lambda: _train("pretrain", 2)),
        ("pretraining, between", lambda: _train("pretrain", 3)),
        ("pretraining, full size", lambda: _train("pretrain", 6)),
        ("fine-tuning", lambda: _train("finetune", 7)),
        ("generating", _generate),
        ("segmenter", _segment),
    ]


def _train(phase: str, epoch: int) -> None:
    finetuning = phase == "finetune"
    G, E = build_generator(SETTINGS, seg_noise=finetuning, heads=0 if finetuning else 2)
    D = build_discriminator(SETTINGS)
    average = MovingAverage({"G": G, "E": E}, 0.9) if finetuning else None
    nets = Networks(G, E, D, adam([G, E], 1e-4, (0.0, 0.9)), adam([D], 4e-4, (0.0, 0.9)), average)
    weights = {"feat": 10.0, "rec": 10.0, "perceptual": 0.0}
    recipe = Recipe(weights, None, OPERATIONS if finetuning else (), finetuning, soft_labels=False, grow_always=False)
    rng = np.random.default_rng(0)
    for _ in range(2):
        real = jt.array(rng.standard_normal((2, 3, HEIGHT, WIDTH)).astype(np.float32))
        label_maps = rng.integers(0, CLASSES, (2, HEIGHT // 16, WIDTH // 16)).repeat(16, 1).repeat(16, 2)
        step, segmap = Schedule(6, 3).at(epoch), one_hot(label_maps.astype(np.uint8), CLASSES)
        pyramid = patch_pyramid(label_maps, G.patch_sizes(HEIGHT, WIDTH, step.level, step.alpha))
        losses = train_step(nets, recipe, step, real, segmap, rng, patch_spade.to_device(pyramid, CLASSES))
        [loss.item() for loss in losses.values()]
        if nets.average:
            nets.average.update()


def _generate() -> None:
    for seg_noise, seed in ((False, None), (True, 0)):
        G, E = build_generator(SETTINGS, seg_noise=seg_noise, heads=0)
        G.eval(), E.eval()
        for batch in (1, 2):
            label_maps = np.zeros((batch, HEIGHT, WIDTH), np.uint8)
            generate_batch(G, E, label_maps, CLASSES, [str(i) for i in range(batch)], seed)


def _segment() -> None:
    meta = {"architecture": "unet", "classes": SETTINGS["data"]["classes"], "channels": 4,
            "width": WIDTH, "height": HEIGHT}  # fmt: skip
    trainer = Trainer(segmenter.build(meta), 1e-3)
    photos = np.zeros((2, 3, HEIGHT, WIDTH), np.float32)
    for _ in range(2):
        trainer.step(photos, np.zeros((2, HEIGHT, WIDTH), np.uint8), 1e-3)
    seen = Segmenter(gather(trainer.net), meta, "rehearsal", "")
    for batch in (1, 2):
        seen.see(np.zeros((batch, HEIGHT, WIDTH, 3), np.uint8))
