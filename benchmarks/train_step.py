"""Milliseconds of one fine-tuning step, with and without spectral norm, and of one picture; all in one run.

python benchmarks/train_step.py [--size 128x96] [--channels 16] [--batch 4] [--steps 5]
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np

from shanshui.generation import generate_batch
from shanshui.networks import build_discriminator, build_generator
from shanshui.runtime import load_jittor
from shanshui.training.optim import adam
from shanshui.training.schedule import Schedule
from shanshui.training.step import Networks, Recipe, one_hot, train_step

jt = load_jittor()
CLASSES = 29


def settings(channels: int, spectral_norm: str) -> dict[str, Any]:
    """Sections that the networks are built from."""
    model = {"base_channels": channels, "halvings": 5, "spade_hidden": 2 * channels, "discriminators": 3,
             "discriminator_channels": channels}  # fmt: skip
    parity = {
        "spectral_norm": spectral_norm,
        "full_order": "kept",
        "pool_padding": "excluded",
        "seg_noise_init": "zero",
    }
    return {"data": {"classes": [str(i) for i in range(CLASSES)]}, "model": model, "parity": parity}


def blocks(rng: np.random.Generator, batch: int, width: int, height: int) -> np.ndarray:
    """Label maps of 16x16 patches."""
    coarse = rng.integers(0, CLASSES, (batch, height // 16, width // 16)).astype(np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


def least(function: Any, steps: int) -> float:
    """Least milliseconds of a call, after one for compiling."""
    function()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="128x96")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    rng = np.random.default_rng(0)
    label_maps = blocks(rng, args.batch, width, height)
    real = jt.array(rng.uniform(-1, 1, (args.batch, 3, height, width)).astype(np.float32))
    recipe = Recipe({"feat": 10.0, "rec": 10.0, "perceptual": 0.0}, None, ("translation",), True, False, False)
    rows = {}
    for spectral_norm in ("off", "on"):
        G, E = build_generator(settings(args.channels, spectral_norm), seg_noise=True, heads=0)
        D = build_discriminator(settings(args.channels, spectral_norm))
        nets = Networks(G, E, D, adam([G, E], 1e-4, (0.0, 0.9)), adam([D], 4e-4, (0.0, 0.9)))
        segmap = one_hot(label_maps, CLASSES)
        step = Schedule(4, 3).at(4)

        def train(nets: Networks = nets, segmap: Any = segmap, step: Any = step) -> None:
            train_step(nets, recipe, step, real, segmap, rng)

        rows[f"step, spectral norm {spectral_norm}"] = least(train, args.steps)
        G.eval(), E.eval()

        def picture(G: Any = G, E: Any = E) -> None:
            generate_batch(G, E, label_maps[:1], CLASSES, ["a"], 0)

        rows[f"picture, spectral norm {spectral_norm}"] = least(picture, args.steps)
    base = rows["step, spectral norm off"]
    for name, value in rows.items():
        print(f"{name:32} {value:9.1f} ms   x{value / base:.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
