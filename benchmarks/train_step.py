"""Milliseconds of one training step at full size, G and E then D, in three forms; ratios of one run.

    python benchmarks/train_step.py [--size 512x384] [--channels 32] [--batch 1] [--labels DIR]

The forms begin with the same weights and the same batch: their losses in the first step must agree.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from subjects import CLASSES, Subject, answer, main, our_networks, torch_networks

from shanshui.storage.size import Size


def ours(subject: Subject, folder: Path, steps: int, with_patches: bool) -> None:
    """Our step; finding the patches is part of it, as it is of training."""
    from shanshui.architectures.base import LossConfig
    from shanshui.architectures.generator_networks import FULL
    from shanshui.backend.runtime import load_jittor
    from shanshui.training.step import StepConfig, train_step

    jt = load_jittor()
    nets = our_networks(subject, folder)
    step_config = StepConfig(LossConfig({"feat": 10.0, "rec": 10.0, "perceptual": 0.0}, None))
    label_maps, rng = subject.label_maps(), np.random.default_rng(0)
    real = jt.array(subject.photos())

    def step() -> dict[str, float]:
        sizes = nets.generator.patch_sizes(Size.of_maps(label_maps)) if with_patches else []
        losses = train_step(nets, step_config, FULL, real, nets.generator.condition(label_maps, sizes), rng)
        return {name: float(loss.item()) for name, loss in losses.items()}

    answer(step, list(step().values()), steps, subject.shares())


def theirs(subject: Subject, folder: Path, steps: int) -> None:
    """The step in PyTorch."""
    import torch

    from shanshui.data.labels import one_hot

    trainer = torch_networks(subject, folder)
    real, segmap = torch.from_numpy(subject.photos()), torch.from_numpy(one_hot(subject.label_maps(), CLASSES))
    answer(lambda: trainer.step(real, segmap), list(trainer.step(real, segmap).values()), steps, subject.shares())


if __name__ == "__main__":
    main(__doc__, "training step", ours, theirs)
