"""Training steps for tests/test_parallel.py: `record FILE` by one process, then `repeat FILE OUT` by MPI ranks.

Repeating restores the recorded state before every step. Free to run, the two would part in any case: a step turns
differences of rounding into others a thousand times as large within a few steps (docs/parallel.md).
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from small_models import fitting

from shanshui.__main__ import leave
from shanshui.architectures.base import LossConfig
from shanshui.architectures.networks import build_discriminator, build_generator
from shanshui.architectures.schedule import Schedule
from shanshui.backend import ranks
from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer
from shanshui.backend.runtime import load_jittor, seed_everything
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.storage.files import write_json
from shanshui.storage.size import Size
from shanshui.training.augment import OPERATIONS
from shanshui.training.optim import adam
from shanshui.training.precompilation_steps import CLASSES, HEIGHT, SETTINGS, WIDTH
from shanshui.training.step import Networks, StepConfig, train_step

jt = load_jittor()

BATCH = 4
STEPS = {"pretrain": 6, "finetune": 6, "style": 3, "classes": 2}
EPOCH = {"pretrain": 2}  # of a schedule of 6: fading; else full
SMALL = {
    "generator": {"base_channels": 4, "spade_hidden": 8},
    "discriminator": {"count": 2, "base_channels": 8},
}
OTHERS: dict[str, dict[str, Any]] = {
    "style": {
        "generator": {"name": "spade", "z_dim": 8, "style_encoder": {"base_channels": 2}},
        "discriminator": {"name": "multiscale"},
    },
    "classes": {"generator": {"name": "oasis", "z_dim": 4}, "discriminator": {"name": "oasis"}},
}
Recorded = list[tuple[dict[str, Any], dict[str, float], dict[str, Any]]]  # state, losses and gradients of each step


def settings(phase: str) -> dict[str, Any]:
    if phase not in OTHERS:
        return SETTINGS
    data = {"width": WIDTH, "height": HEIGHT, "load_width": WIDTH, "classes": ["a", "b", "c"]}
    return stage_settings(validate(fitting({"data": data, "model": merge(SMALL, OTHERS[phase])})), "pretrain")


def networks(phase: str) -> Networks:
    finetuning = phase == "finetune"
    seed_everything(1)
    generator = build_generator(settings(phase), seg_noise=finetuning, heads=2 if phase == "pretrain" else 0)
    discriminator = build_discriminator(settings(phase))
    return Networks(generator, discriminator, adam(generator.networks().values(), 1e-4), adam([discriminator.D], 4e-4))


def step(nets: Networks, phase: str, number: int) -> tuple[dict[str, float], dict[str, Any]]:
    """One step on this rank's part of the batch: its losses, and the gradients of both optimisers."""
    rng = np.random.default_rng(number)
    label_maps = rng.integers(0, CLASSES, (BATCH, HEIGHT // 16, WIDTH // 16)).repeat(16, 1).repeat(16, 2)
    real = (label_maps[:, None] * 0.6 - 0.6 + rng.uniform(-0.2, 0.2, (BATCH, 3, HEIGHT, WIDTH))).astype(np.float32)
    own = ranks.shard(BATCH // ranks.world_size())
    label_maps, real = label_maps[own].astype(np.uint8), real[own]
    at = Schedule(6, 3).at(EPOCH.get(phase, 7))
    loss_config = LossConfig({"feat": 10.0, "rec": 10.0}, None, label_mix=10.0)
    step_config = StepConfig(loss_config, () if phase == "pretrain" else OPERATIONS)
    conditioning = nets.generator.condition(label_maps, nets.generator.patch_sizes(Size(HEIGHT, WIDTH), at))
    seed_everything(number)
    terms = train_step(nets, step_config, at, jt.array(real), conditioning, rng)
    losses = ranks.all_reduce_mean({name: float(term.item()) for name, term in terms.items()})
    found = {name: gather_optimizer(optimizer) for name, optimizer in (("G", nets.opt_g), ("D", nets.opt_d))}
    gradients = {  # Adam's first moment where beta1 is 0
        name: np.concatenate([moment.ravel() for key, moment in arrays.items() if key.startswith("m.")])
        for name, arrays in found.items()
    }
    return losses, gradients


def state(nets: Networks) -> dict[str, Any]:
    modules = {name: gather(network) for name, network in nets.parts().items()}
    return modules | {name: gather_optimizer(getattr(nets, name)) for name in ("opt_g", "opt_d")}


def record(phase: str) -> Recorded:
    nets = networks(phase)
    return [(state(nets), *step(nets, phase, number)) for number in range(STEPS[phase])]


def repeat(phase: str, recorded: Recorded) -> list[dict[str, float]]:
    """For every step the largest difference of a loss, against the loss, and of the gradients, against their norm."""
    nets = networks(phase)
    apart = []
    for number, (before, losses, gradients) in enumerate(recorded):
        for name, network in nets.parts().items():
            restore(network, before[name], "recorded")
        for name in ("opt_g", "opt_d"):
            restore_optimizer(getattr(nets, name), before[name], "recorded")
        again, found = step(nets, phase, number)
        far = {
            f"gradient of {n}": float(np.linalg.norm(found[n] - g) / np.linalg.norm(g)) for n, g in gradients.items()
        }
        apart.append(far | {name: abs(again[name] - loss) / max(1.0, abs(loss)) for name, loss in losses.items()})
    return apart


def main(action: str, file: Path, out: Path | None = None) -> None:
    if action == "record":
        file.write_bytes(pickle.dumps({phase: record(phase) for phase in STEPS}))
        return
    recorded = pickle.loads(file.read_bytes())
    apart = {phase: repeat(phase, recorded[phase]) for phase in STEPS}
    if ranks.rank() == 0 and out:
        write_json(out, apart)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
    leave(0)
