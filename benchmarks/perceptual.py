"""Milliseconds that each perceptual loss adds to a training step: the loss and its gradient to the picture.

    python benchmarks/perceptual.py [--size 128x128] [--batch 4] [--rounds 5]

Weights do not matter for the time, and are not needed. The networks take turns, round by round, and the best round of
each is printed, with its ratio to vgg19.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from shanshui.backend.runtime import load_jittor
from shanshui.config.sections import PERCEPTUAL
from shanshui.training.perceptual import untrained_loss

PARITY = {"perceptual_input": "imagenet", "inception_norm": "running"}
STANDARD = "vgg19"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="128x128", metavar="WxH", help="of the pictures")
    parser.add_argument("--batch", type=int, default=4, help="pictures a step")
    parser.add_argument("--rounds", type=int, default=5, help="times each loss is measured")
    parser.add_argument("--nets", nargs="+", default=list(PERCEPTUAL), choices=list(PERCEPTUAL), help="losses")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    jt = load_jittor()
    rng = np.random.default_rng(0)
    fake, real = (jt.array(rng.uniform(-1, 1, (args.batch, 3, height, width)).astype(np.float32)) for _ in range(2))
    losses = {}
    for net in args.nets:
        network, losses[net] = untrained_loss(net, **PARITY)
        for parameter in network.parameters():
            parameter.assign(jt.randn(parameter.shape) * 0.05)
            parameter.stop_grad()

    def step(net: str) -> float:
        start = time.perf_counter()
        value = losses[net](fake, real)
        jt.sync([value, jt.grad(value, fake)], True)
        return 1000 * (time.perf_counter() - start)

    for net in args.nets:
        step(net)
        step(net)
    best = dict.fromkeys(args.nets, np.inf)
    for _ in range(args.rounds):
        for net in args.nets:
            best[net] = min(best[net], step(net))
    print(f"{args.batch} pictures of {width}x{height}, milliseconds a step, ratio to {STANDARD}")
    for net, taken in sorted(best.items(), key=lambda item: item[1]):
        ratio = f"{taken / best[STANDARD]:6.2f}" if STANDARD in best else ""
        print(f"{net:<20} {taken:8.0f} {ratio}")


if __name__ == "__main__":
    main()
