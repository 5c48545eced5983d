"""What the benchmarks measure: three forms of the same networks on the same label maps, each in its own process.

    patches   ours, SPADE layers on distinct label patches
    dense     ours, SPADE layers convolving the whole label map
    torch     an independent plain form in PyTorch (torch_reference.py); left out where torch is missing

Each form computes the same picture from the same weights before it is timed; the table says how close they come.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shanshui.storage.size import Size

CLASSES = 29
FORMS = ("patches", "dense", "torch")


@dataclass(frozen=True)
class Subject:
    """One size of the networks and of the pictures."""

    width: int
    height: int
    batch: int
    channels: int
    labels: str | None

    @property
    def halvings(self) -> int:
        return 6 if self.width % 64 == 0 and self.height % 64 == 0 else 5

    def label_maps(self) -> np.ndarray:
        """uint8 (batch, height, width): the first of a folder, or drawn landscapes."""
        if self.labels:
            from shanshui.storage.images import read_label_map, resize_label_map

            files = sorted(Path(self.labels).glob("*.png"))[: self.batch]
            return np.stack([resize_label_map(read_label_map(f), Size(self.height, self.width)) for f in files])
        from shanshui.landscapes.scene import draw_landscape

        return np.stack([draw_landscape(seed, Size(self.height, self.width))[1] for seed in range(self.batch)])

    def shares(self) -> str:
        """Distinct 3x3 and 5x5 label patches per pixel at full size."""
        from shanshui.data.patches import find_patches

        patches = find_patches(self.label_maps())
        share = [len(found) / patches.index.size for found in (patches.labels, patches.neighbours)]
        return f"{share[0]:.1%} of the 3x3 and {share[1]:.1%} of the 5x5 label patches are distinct"

    def settings(self) -> dict[str, Any]:
        """Sections from which our networks are built; spectral norm is off, as the winner ran."""
        sizes = {"base_channels": self.channels, "halvings": self.halvings, "spade_hidden": 128}
        progressive = {"name": "progressive", "count": 4, "base_channels": 64}
        model = {"generator": {"name": "apf", **sizes}, "discriminator": progressive}
        parity = {"spectral_norm": "off", "full_order": "kept", "pool_padding": "excluded", "seg_noise_init": "zero"}
        return {"data": {"classes": [str(i) for i in range(CLASSES)]}, "model": model, "parity": parity}

    def photos(self) -> np.ndarray:
        """Stand-ins for photographs, float32 (batch, 3, height, width)."""
        shape = self.batch, 3, self.height, self.width
        return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def command_line(description: str | None) -> argparse.Namespace:
    """Arguments of both benchmarks."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x192", help="WIDTHxHEIGHT (default 256x192)")
    parser.add_argument("--channels", type=int, default=32, help="base channels; 64 in the leaderboard recipe")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--labels", metavar="DIR", help="label maps (*.png) to use instead of drawn ones")
    parser.add_argument("--steps", type=int, default=3, help="timed repetitions, of which the fastest counts")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[f for f in FORMS if f != "torch" or has_torch()])
    parser.add_argument("--child", nargs=2, metavar=("FORM", "DIR"), help=argparse.SUPPRESS)
    return parser.parse_args()


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def main(
    description: str | None, what: str,
    ours: Callable[[Subject, Path, int, bool], None], theirs: Callable[[Subject, Path, int], None],
) -> None:  # fmt: skip
    """Compare the forms of `what`, or be one of them.

    Args:
        ours: (subject, folder of weights, steps, with patches), our form.
        theirs: (subject, folder of weights, steps), PyTorch's.
    """
    args = command_line(description)
    if not args.child:
        return _compare(args, what)
    width, height = map(int, args.size.split("x"))
    subject = Subject(width, height, args.batch, args.channels, args.labels)
    form, folder = args.child
    if form == "torch":
        return theirs(subject, Path(folder), args.steps)
    return ours(subject, Path(folder), args.steps, form == "patches")


def _compare(args: argparse.Namespace, what: str) -> None:
    """Run every form in a process of its own and print a table of times, memory and differences."""
    with tempfile.TemporaryDirectory() as folder:
        found = {form: _child(form, folder) for form in args.forms}
    first = next(iter(found.values()))
    print(f"{what}: {args.size}, {args.channels} channels, batch {args.batch}; {first['shares']}")
    print(f"{'form':9} {'ms':>9} {'x as long':>9} {'GiB':>6}  difference from {args.forms[0]}")
    for form, row in found.items():
        most = max(abs(a) for a in first["check"])
        apart = max(abs(a - b) for a, b in zip(row["check"], first["check"], strict=True)) / most
        print(f"{form:9} {row['ms']:9.1f} {row['ms'] / first['ms']:9.2f} {row['gib']:6.2f}  {apart:.1e}", flush=True)


def _child(form: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, *sys.argv, "--child", form, folder]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return row


def answer(call: Callable[[], None], check: list[float], steps: int, shares: str) -> None:
    """Time `call` and print what the parent wants to know."""
    call()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"ms": min(times), "gib": peak, "check": check, "shares": shares}), flush=True)
    os._exit(0)


def our_networks(subject: Subject, folder: Path) -> Any:
    """Networks of ours, with the weights the first form leaves in `folder`: large, so that pictures differ."""
    from shanshui.architectures.networks import build_discriminator, build_generator
    from shanshui.backend.modules import gather, restore
    from shanshui.backend.runtime import seed_everything
    from shanshui.nn.init import init_weights
    from shanshui.training.optim import adam
    from shanshui.training.step import Networks

    seed_everything(0)
    generator, discriminator = build_generator(subject.settings()), build_discriminator(subject.settings())
    nets = Networks(generator, discriminator, adam(generator.networks().values(), 1e-4), adam([discriminator.D], 4e-4))
    for name, network in nets.parts().items():
        file = folder / f"{name}.npz"
        if not file.exists():
            init_weights(network, gain=1.0)
            np.savez(file, **gather(network))
        restore(network, dict(np.load(file)), str(file))
    return nets


def torch_networks(subject: Subject, folder: Path) -> Any:
    """The same networks in PyTorch."""
    import torch
    from torch_reference import Trainer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    G, D = (subject.settings()["model"][part] for part in ("generator", "discriminator"))
    trainer = Trainer(
        CLASSES, G["base_channels"], G["halvings"], G["spade_hidden"], D["count"], D["base_channels"],
    )  # fmt: skip
    for name in ("G", "E", "D"):
        trainer.load(getattr(trainer, name), dict(np.load(folder / f"{name}.npz")))
    return trainer
