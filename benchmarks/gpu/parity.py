"""One training step on this device against PyTorch's from the same weights: losses, and every gradient.

    parity.py FOLDER ours --side ours         leaves weights and gradients in FOLDER
    parity.py FOLDER torch --side torch       in full single precision, on the GPU or the CPU
    parity.py FOLDER ours --side compare      `ours` with `torch`

Ours runs in single precision under NVIDIA_TF32_OVERRIDE=0, and without it to see what TF32 costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import measuring
import numpy as np


def keep_gradients(nets: Any, letters: str, optimiser: Any, grads: dict[str, np.ndarray]) -> None:
    """Let an optimiser copy its gradients into `grads` before it forgets them."""
    from shanshui.backend.runtime import load_jittor

    jt = load_jittor()
    parts = nets.parts()
    names = {id(var): f"{letter}.{name}" for letter in letters for name, var in parts[letter].named_parameters()}
    forget = optimiser.post_step

    def post_step() -> None:
        for group in optimiser.param_groups:
            pairs = [(names[id(p)], g) for p, g in zip(group["params"], group["grads"], strict=True)]
            jt.sync([g for _, g in pairs])  # one after another they would be computed otherwise
            grads.update({name: g.numpy() for name, g in pairs})
        forget()

    optimiser.post_step = post_step


def ours(args: argparse.Namespace) -> None:
    """Train one step here and save losses and gradients."""
    nets, step = measuring.training_step(measuring.subject(args.batch, args.channels, args.size), args.folder)
    grads: dict[str, np.ndarray] = {}
    keep_gradients(nets, "GE", nets.opt_g, grads)
    keep_gradients(nets, "D", nets.opt_d, grads)
    nets.opt_g.lr = 0.0  # else rounding moves weights without a gradient by a full rate, and D sees other images
    losses = step()
    np.savez(args.folder / f"{args.name}.npz", **{f"loss.{n}": np.array(v) for n, v in losses.items()}, **grads)
    measuring.report("parity", side=args.name, **losses)


def theirs(args: argparse.Namespace) -> None:
    """Train the same step in PyTorch."""
    import torch
    from subjects import CLASSES, torch_networks

    from shanshui.data.labels import one_hot

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    subject = measuring.subject(args.batch, args.channels, args.size)
    trainer = torch_networks(subject, args.folder)
    trainer.opt_g.param_groups[0]["lr"] = 0.0
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for network in (trainer.G, trainer.E, trainer.D):
        network.to(device)
    real = torch.from_numpy(subject.photos()).to(device)
    segmap = torch.from_numpy(one_hot(subject.label_maps(), CLASSES)).to(device)
    losses = trainer.step(real, segmap)
    grads = {
        f"{letter}.{name}": parameter.grad.cpu().numpy()
        for letter in "GED"
        for name, parameter in getattr(trainer, letter).named_parameters()
        if parameter.grad is not None
    }
    np.savez(args.folder / f"{args.name}.npz", **{f"loss.{n}": np.array(v) for n, v in losses.items()}, **grads)
    measuring.report("parity", side=args.name, device=device, **losses)


def compare(args: argparse.Namespace) -> None:
    """Report how far losses and gradients of the side `name` are from those of `against`."""
    found, wanted = (dict(np.load(args.folder / f"{name}.npz")) for name in (args.name, args.against))
    both = sorted(found.keys() & wanted.keys())
    losses = {n: measuring.relative_difference(found[n], wanted[n]) for n in both if n.startswith("loss.")}
    largest = {
        letter: max(float(np.linalg.norm(wanted[n])) for n in both if n.startswith(f"{letter}.")) for letter in "GED"
    }
    rows = []
    for name in (n for n in both if not n.startswith("loss.")):
        norm = float(np.linalg.norm(wanted[name]))
        if norm > 1e-5 * largest[name[0]]:  # before a norm a bias has no gradient but rounding
            rows.append((measuring.relative_difference(found[name], wanted[name]), name, norm))
    rows.sort(reverse=True)
    measuring.report(
        "parity", compared=f"{args.name} with {args.against}", losses=max(losses.values()), gradients=len(rows),
        worst=rows[0][0], worst_of=rows[0][1], median=float(np.median([row[0] for row in rows])),
    )  # fmt: skip
    for difference, name, norm in rows[:12]:
        print(f"    {difference:.1e}  {name}  (norm {norm:.2e})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--side", choices=("ours", "torch", "compare"), required=True)
    parser.add_argument("--against", default="torch")
    parser.add_argument("--size", default="256x192")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    {"ours": ours, "torch": theirs, "compare": compare}[args.side](args)


if __name__ == "__main__":
    main()
