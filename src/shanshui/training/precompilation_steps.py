"""Run every kind of training step and image once at the smallest size, to compile the kernels they need.

Jittor compiles a kernel at its first use and keeps it, whatever the size of the data. With this done in one process
beforehand, parallel jobs find their kernels ready.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from shanshui.architectures import segmenter
from shanshui.architectures.base import LossConfig
from shanshui.architectures.context import Sections
from shanshui.architectures.generator_networks import FULL, BuiltGenerator
from shanshui.architectures.networks import build_discriminator, build_generator
from shanshui.architectures.schedule import Schedule, Step, schedule
from shanshui.architectures.segmenters import Segmenter
from shanshui.backend.lazy import jt
from shanshui.backend.modules import gather
from shanshui.data.labels import Classes
from shanshui.storage.size import Size
from shanshui.synthesis.synthesizer import Synthesizer
from shanshui.training.augment import OPERATIONS
from shanshui.training.fakes import StyleLoss
from shanshui.training.moving_average import MovingAverage
from shanshui.training.optim import adam
from shanshui.training.perceptual import Scaling, Statistics, untrained_loss
from shanshui.training.segmenting import Trainer
from shanshui.training.step import Networks, StepConfig, train_step

if TYPE_CHECKING:
    from shanshui.architectures.segmenters import SegmenterMeta
    from shanshui.config.kernels import PhaseKernels, RunKernels


CLASSES = 3
HEIGHT, WIDTH = 64, 128
SETTINGS: Sections = {
    "data": {"classes": [str(i) for i in range(CLASSES)], "height": HEIGHT, "width": WIDTH},
    "model": {
        "generator": {"name": "apf", "base_channels": 4, "halvings": 5, "spade_hidden": 8},
        "discriminator": {"name": "progressive", "base_channels": 8, "count": 3},
    },
    "parity": {"spectral_norm": "on", "full_order": "kept", "pool_padding": "excluded", "seg_noise_init": "zero"},
}  # fmt: skip


def precompilation_steps() -> list[tuple[str, Callable[[], None]]]:
    """List what is compiled, with the function that does it, in the order of a run."""
    return [
        ("pretraining, flat", lambda: _train("pretrain", 1)),
        ("pretraining, fading", lambda: _train("pretrain", 2)),
        ("pretraining, between", lambda: _train("pretrain", 3)),
        ("pretraining, full size", lambda: _train("pretrain", 6)),
        ("fine-tuning", lambda: _train("finetune", 7)),
        ("generating", _generate),
        ("segmenter", _segment),
    ]


def of_run(kernels: RunKernels) -> list[tuple[str, Callable[[], None]]]:
    """List the same for one run alone."""
    phases, sizes = kernels["phases"], kernels["sizes"]
    epochs = (3 if kernels["fades"] else 2) * (sizes - 1) or 1  # of every size, the fewest with all kinds of steps
    kinds = {(step.level, step.fading): step for step in map(schedule(epochs, sizes).at, range(1, epochs + 1))}
    found: list[tuple[str, Callable[[], None]]] = []
    for (level, fading), step in kinds.items():
        words = ["pretraining", "full size" if level is None else f"size {level + 1}", *["fading"] * fading]
        found.append((", ".join(words), partial(_train_phase, kernels, phases["pretrain"], sizes - 1, step)))
    found.append(("fine-tuning", partial(_train_phase, kernels, phases["finetune"], 0, FULL)))
    for seg_noise in sorted({phase["seg_noise"] for phase in phases.values()}):
        words = ["generating", *["with noise"] * seg_noise]
        found.append((" ".join(words), partial(_generate_images, kernels, seg_noise)))
    return [*found, *([("segmenter", _segment)] if kernels["segmenter"] else [])]


def _train_phase(kernels: RunKernels, phase: PhaseKernels, heads: int, step: Step) -> None:
    generator = build_generator(kernels, phase["seg_noise"], heads)
    average = MovingAverage(generator.networks(), 0.9) if phase["average"] else None
    parity, loss = kernels["parity"], None
    if phase["perceptual"] != "none":
        scaling, statistics = cast("Scaling", parity["perceptual_input"]), cast("Statistics", parity["inception_norm"])
        network, loss = untrained_loss(phase["perceptual"], scaling, statistics)
        for parameter in network.parameters():
            parameter.stop_grad()
    step_config = StepConfig(
        LossConfig(phase["weights"], loss, phase["gan"], phase["label_mix"]), tuple(phase["augment"]),
        StyleLoss(phase["kl"], phase["kl_reduction"]), parity["loss_resize"] == "bilinear",
    )  # fmt: skip
    data = kernels["data"]
    _steps(_networks(kernels, generator, average), step_config, step, Size(data["height"], data["width"]))


def _train(phase: str, epoch: int) -> None:
    finetuning = phase == "finetune"
    generator = build_generator(SETTINGS, seg_noise=finetuning, heads=0 if finetuning else 2)
    nets = _networks(SETTINGS, generator, MovingAverage(generator.networks(), 0.9) if finetuning else None)
    step_config = StepConfig(
        LossConfig({"feat": 10.0, "rec": 10.0, "perceptual": 0.0}, None), OPERATIONS if finetuning else ()
    )
    _steps(nets, step_config, Schedule(6, 3).at(epoch), Size(HEIGHT, WIDTH))


def _networks(settings: Sections, generator: BuiltGenerator, average: MovingAverage | None) -> Networks:
    discriminator = build_discriminator(settings)
    opt_g, opt_d = adam(generator.networks().values(), 1e-4, (0.0, 0.9)), adam([discriminator.D], 4e-4, (0.0, 0.9))
    return Networks(generator, discriminator, opt_g, opt_d, average)


def _steps(nets: Networks, step_config: StepConfig, step: Step, size: Size) -> None:
    """Run two training steps on noise."""
    rng, generator = np.random.default_rng(0), nets.generator
    for _ in range(2):
        real = jt.array(rng.standard_normal((2, 3, *size)).astype(np.float32))
        label_maps = rng.integers(0, generator.declared.num_classes, (2, *size.divided(16))).repeat(16, 1).repeat(16, 2)
        conditioning = generator.condition(label_maps.astype(np.uint8), generator.patch_sizes(size, step))
        losses = train_step(nets, step_config, step, real, conditioning, rng)
        [loss.item() for loss in losses.values()]
        if nets.average:
            nets.average.update()


def _generate() -> None:
    for seg_noise in (False, True):
        _generate_images(SETTINGS, seg_noise)


def _generate_images(settings: Sections, seg_noise: bool = True) -> None:
    generator = build_generator(settings, seg_noise)
    for network in generator.networks().values():
        network.eval()
    size = Size(settings["data"]["height"], settings["data"]["width"])
    synthesizer = Synthesizer(generator, Classes.of(settings["data"]), size)
    for batch in (1, 2):
        label_maps = np.zeros((batch, *size), np.uint8)
        instances = label_maps if synthesizer.accepts.instances else None
        synthesizer.generate(label_maps, instances=instances, batch=batch)


def _segment() -> None:
    meta: SegmenterMeta = {"architecture": "unet", "classes": SETTINGS["data"]["classes"], "channels": 4,
            "width": WIDTH, "height": HEIGHT}  # fmt: skip
    trainer = Trainer(segmenter.build(meta), 1e-3)
    photos = np.zeros((2, 3, HEIGHT, WIDTH), np.float32)
    for _ in range(2):
        trainer.step(photos, np.zeros((2, HEIGHT, WIDTH), np.uint8), 1e-3)
    segmenter_in_use = Segmenter(gather(trainer.net), meta, "precompilation", "")
    for batch in (1, 2):
        segmenter_in_use.segment(np.zeros((batch, HEIGHT, WIDTH, 3), np.uint8))
