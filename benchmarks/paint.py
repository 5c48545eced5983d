"""Milliseconds of the drawing page's server without a generator, and of images with one.

    python benchmarks/paint.py [--size 256x192] [--steps 100] [--weights W.safetensors] [--threads 2]

Without weights the worker colours classes, and its share of the time (X-Seconds) is subtracted: what is left are HTTP,
checks, queue, pipe and answer. With weights, images of changing drawings are timed as the page sees them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from paint_server import Running, running  # noqa: E402

from shanshui.painting.engine import Offer  # noqa: E402
from shanshui.painting.worker_process import COMMAND  # noqa: E402
from shanshui.storage.size import Size  # noqa: E402


def drawings(size: Size, steps: int, classes: int) -> list[bytes]:
    """Class ids of a horizon under which a disc moves: another drawing in every step."""
    y, x = np.mgrid[: size.height, : size.width]
    ids = np.where(y < size.height // 2, 1 % classes, 12 % classes).astype(np.uint8)
    found = []
    for step in range(steps):
        disc = (x - step * size.width / steps) ** 2 + (y - size.height / 2) ** 2 < (size.height / 6) ** 2
        found.append(np.where(disc, 0, ids).astype(np.uint8).tobytes())
    return found


def measured(server: Running, size: Size, steps: int, form: str) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds (steps,) of whole requests and of the worker."""
    whole, worker = [], []
    classes = len(server.get("/api/model").json["classes"])
    for number, ids in enumerate(drawings(size, steps, classes)):
        start = time.perf_counter()
        reply = server.paint(ids, size.width_first, client="bench", number=number, format=form)
        whole.append(1000 * (time.perf_counter() - start))
        assert (reply.status, reply.headers["x-cached"]) == (200, "0"), reply.body
        worker.append(1000 * float(reply.headers["x-seconds"]))
    return np.array(whole), np.array(worker)


def report(name: str, values: np.ndarray) -> None:
    """Print median, 95th percentile and maximum."""
    print(f"{name:34}{np.median(values):9.1f}{np.percentile(values, 95):9.1f}{values.max():9.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=Size.parse, default=Size(192, 256), help="WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int, default=100, help="drawings")
    parser.add_argument("--weights", type=Path, help="of a generator")
    parser.add_argument("--threads", type=int, help="of the generator")
    args = parser.parse_args()
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = str(args.threads)
    width, height = args.size.width_first
    print(f"milliseconds at {args.size}{'median':>14}{'95 %':>9}{'most':>9}")
    with tempfile.TemporaryDirectory() as folder:
        with running(Path(folder)) as server:
            for form in ("jpeg", "png"):
                whole, worker = measured(server, args.size, args.steps, form)
                report(f"server, {form}, worker subtracted", whole - worker)
        if args.weights:
            offer = Offer([str(args.weights)], width, height)
            with running(Path(folder), offer=offer, command=COMMAND, ready=False) as server:
                server.wait("ready", "failed", seconds=600)
                whole, worker = measured(server, args.size, args.steps, "jpeg")
                report("image, as the page sees it", whole)
                report("of this the worker", worker)


if __name__ == "__main__":
    main()
