"""Training steps, generated images and Inception features a second on this GPU, one precision a process.

With SHANSHUI_GPU_PATCHES=on SPADE is computed on distinct label patches.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import measuring
import numpy as np

from shanshui.backend.arithmetic import Precision
from shanshui.storage.size import Size

PATCHES = os.environ.get("SHANSHUI_GPU_PATCHES") == "on"


def load(precision: Precision) -> Any:
    """Load Jittor with the wanted precision; on a CPU there is but one."""
    from shanshui.backend.arithmetic import Arithmetic, use
    from shanshui.backend.runtime import load_jittor

    jt = load_jittor(parallel_compile=True)
    if jt.flags.use_cuda:
        use(Arithmetic(precision))
    return jt


def measure_training(args: argparse.Namespace, batch: int, jt: Any) -> None:
    """Report milliseconds a step, seconds of the first one, memory, and images a second."""
    from shanshui.architectures.noise_source import seeded_noise

    subject = measuring.subject(batch, args.channels, args.size)
    with tempfile.TemporaryDirectory() as folder:
        nets, step = measuring.training_step(subject, Path(folder))
    start = time.perf_counter()
    losses = step()
    first = time.perf_counter() - start
    ms = measuring.median_ms(step, lambda: None, 4)
    measuring.report(
        "ours", precision=args.precision, patches=PATCHES, batch=batch, size=args.size, step_ms=ms, first_step_s=first,
        used_mib=measuring.used_mib(), finite=bool(np.isfinite(list(losses.values())).all()),
    )  # fmt: skip
    nets.generator.G.eval(), nets.generator.E.eval()
    label_maps = subject.label_maps()
    conditioning = nets.generator.condition(label_maps, nets.generator.patch_sizes(Size.of_maps(label_maps)))

    def images() -> np.ndarray:
        with jt.no_grad():
            return nets.generator.generate(conditioning, seeded_noise(None)([])).numpy()

    ms = measuring.median_ms(images, lambda: None, 2)
    measuring.report("ours", precision=args.precision, batch=batch, images_per_s=1000 * batch / ms)


def measure_features(precision: str) -> None:
    """Report images a second of the Inception network, from memory."""
    from inception import make_weights

    from shanshui.evaluation.inception_features import SIDE, InceptionFeatures

    with tempfile.TemporaryDirectory() as folder:
        make_weights(Path(folder) / "weights.safetensors")
        network = InceptionFeatures(Path(folder) / "weights.safetensors")
    for batch in (16, 64):
        images = np.random.default_rng(0).uniform(-1, 1, (batch, 3, SIDE, SIDE)).astype(np.float32)
        ms = measuring.median_ms(lambda images=images: network(images), lambda: None, 2)
        measuring.report("features", precision=precision, batch=batch, images_per_s=1000 * batch / ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=get_args(Precision), default="tf32")
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 5, 10])
    parser.add_argument("--features", action="store_true", help="Inception features, too")
    args = parser.parse_args()
    start = time.perf_counter()
    jt = load(args.precision)
    measuring.report("import", seconds=time.perf_counter() - start, cuda=int(jt.flags.use_cuda))
    for batch in args.batches:
        measure_training(args, batch, jt)
        jt.gc()
    if args.features:
        measure_features(args.precision)


if __name__ == "__main__":
    main()
