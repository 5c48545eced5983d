"""Losses of twenty training steps on the GPU against the CPU, in single precision.

    losses.py FOLDER                          both sides, each in a process of its own, then the comparison

Two comparisons. `same state`: before each step the GPU takes over weights and optimiser of the CPU's run, so the
difference is of one step. `free`: the GPU goes its own way from the same start; Adam without a first moment makes
full-sized steps of rounding, so this grows with the steps whatever the device.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import measuring
import numpy as np

STEPS = 20


def train(args: argparse.Namespace) -> None:
    """Train on this process's device; the CPU leaves its states, the GPU takes them where `--side same`."""
    from shanshui.backend.modules import gather, gather_optimizer, restore, restore_optimizer

    nets, step = measuring.training_step(measuring.subject(args.batch, args.channels, args.size), args.folder)
    optimisers = {"opt_g": nets.opt_g, "opt_d": nets.opt_d}
    rows = []
    for number in range(STEPS):
        if args.side == "cpu":
            for name, network in nets.parts().items():
                np.savez(args.folder / f"{number}.{name}.npz", **gather(network))
            for name, optimiser in optimisers.items():
                np.savez(args.folder / f"{number}.{name}.npz", **gather_optimizer(optimiser))
        if args.side == "same":
            for name, network in nets.parts().items():
                restore(network, dict(np.load(args.folder / f"{number}.{name}.npz")), name)
            for name, optimiser in optimisers.items():
                restore_optimizer(optimiser, dict(np.load(args.folder / f"{number}.{name}.npz")), name)
        rows.append(step())
    (args.folder / f"{args.side}.json").write_text(json.dumps(rows), encoding="utf-8")


def compare(args: argparse.Namespace) -> None:
    """Run all sides and report the largest relative difference of any loss by step."""
    for side in ("cpu", "same", "free"):
        environment = {**os.environ, "NVIDIA_TF32_OVERRIDE": "0"}
        environment |= {"SHANSHUI_DEVICE": "cpu"} if side == "cpu" else {}
        subprocess.run([sys.executable, *sys.argv, "--side", side], env=environment, check=True)
    rows = {s: json.loads((args.folder / f"{s}.json").read_text(encoding="utf-8")) for s in ("cpu", "same", "free")}
    for side in ("same", "free"):
        pairs = zip(rows[side], rows["cpu"], strict=True)
        apart = [max(abs(a[n] - b[n]) / max(abs(b[n]), 1e-3) for n in b) for a, b in pairs]
        measuring.report("losses", side=side, largest=max(apart), by_step=[float(f"{d:.2g}") for d in apart])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", choices=("cpu", "same", "free"), help=argparse.SUPPRESS)
    parser.add_argument("--size", default="128x128")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.side:
        train(args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
