"""The same step and images in PyTorch eager on this GPU, and the card's ceilings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import measuring
import torch
from subjects import CLASSES
from torch_reference import Trainer

from shanshui.data.labels import one_hot

if TYPE_CHECKING:
    from subjects import Subject

PRECISIONS = ("fp32", "tf32", "bf16")


def build(subject: Subject) -> Trainer:
    """Make PyTorch's networks on the GPU."""
    torch.manual_seed(0)
    G, D = (subject.settings()["model"][part] for part in ("generator", "discriminator"))
    trainer = Trainer(
        CLASSES, G["base_channels"], G["halvings"], G["spade_hidden"], D["count"], D["base_channels"],
    )  # fmt: skip
    for network in (trainer.G, trainer.E, trainer.D):
        network.cuda()
    return trainer


def measure(args: argparse.Namespace, batch: int, precision: str) -> None:
    """Report milliseconds a step, images a second and peak memory."""
    subject = measuring.subject(batch, args.channels, args.size)
    real = torch.from_numpy(subject.photos()).cuda()
    segmap = torch.from_numpy(one_hot(subject.label_maps(), CLASSES)).cuda()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.cuda.reset_peak_memory_stats()
    try:
        trainer = build(subject)
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            ms = measuring.median_ms(lambda: trainer.step(real, segmap), torch.cuda.synchronize, 2.5)
            with torch.no_grad():
                trainer.G.eval(), trainer.E.eval()
                images = measuring.median_ms(lambda: trainer.G(trainer.E(segmap), segmap), torch.cuda.synchronize, 1.5)
        measuring.report(
            "torch", precision=precision, batch=batch, size=args.size, step_ms=ms, images_per_s=1000 * batch / images,
            peak_gib=torch.cuda.max_memory_allocated() / 2**30,
        )  # fmt: skip
    except torch.OutOfMemoryError:
        measuring.report("torch", precision=precision, batch=batch, size=args.size, step_ms="out of memory")


def measure_ceilings() -> None:
    """Report bytes moved and products of matrices a second."""
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    ms = measuring.median_ms(lambda: target.copy_(source), torch.cuda.synchronize, 1)
    measuring.report("ceiling", copy_gb_per_s=2 * 4 * 2**28 / ms / 1e6)
    for name, kind in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        torch.backends.cuda.matmul.allow_tf32 = name != "fp32"
        a = torch.randn(8192, 8192, device="cuda", dtype=kind)
        ms = measuring.median_ms(lambda a=a: a @ a, torch.cuda.synchronize, 1)
        measuring.report("ceiling", product=name, tflops=2 * 8192**3 / ms / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    for batch in args.batches:
        for precision in args.precisions:
            measure(args, batch, precision)
            torch.cuda.empty_cache()
    measure_ceilings()


if __name__ == "__main__":
    main()
