"""Milliseconds of the drawing page: its server, images, and the page itself in Chromium while one draws.

    python benchmarks/paint.py [--size 256x192] [--steps 100] [--weights W.safetensors] [--threads 2] [--no-browser]

* server: the worker colours classes, and its share of the time (X-Seconds) is subtracted: what is left are HTTP,
  checks, queue, pipe and answer;
* image: of changing drawings, by the weights (default: the starter model), as a client of the server sees them;
* page: from the end of a stroke until the image of the drawing is on the page, by the same weights;
* frames: between two frames while strokes are drawn and every image takes two seconds.

The last column is the goal, as in docs/paint.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from paint_browser import PROGRAMS, Opened, frames_of_strokes, launched, opened  # noqa: E402
from paint_server import Running, running  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from shanshui.painting.engine import Offer  # noqa: E402
from shanshui.painting.worker_process import COMMAND  # noqa: E402
from shanshui.storage.size import Size  # noqa: E402
from shanshui.synthesis.starter import given_or_starter  # noqa: E402

SERVER, IMAGE, FRAME = 15, 1000, 33  # milliseconds, the goals at 256x192
LOADING = 900  # seconds, if kernels are compiled
STROKES = 20
SHOWN = """() => new Promise((resolve) => {
  const image = document.querySelector("#image");
  import("/page/main.js").then(({ page: { live } }) => {
    const look = () => !live.flying && !live.stale && image.dataset.number === String(live.number)
      ? resolve(performance.now() - window.released) : requestAnimationFrame(look);
    look();
  });
})"""


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


def until_shown(site: Opened) -> np.ndarray:
    """Milliseconds (strokes,) from the end of a stroke until its image is on the page."""
    listen = (
        "document.querySelector('#drawing').addEventListener('pointerup', () => window.released = performance.now())"
    )
    site.page.evaluate(listen)
    width, height = site.run("[d.width, d.height]")
    found = []
    for n, name in enumerate(("mountain", "tree", "water", "rock", "sky") * (STROKES // 5)):
        site.choose(name)
        row = height * (0.2 + 0.6 * n / STROKES)
        site.drag((width * 0.1, row), (width * 0.5, row * 0.8), (width * 0.9, row), steps=6)
        found.append(site.page.evaluate(SHOWN))
    return np.array(found)


def report(name: str, values: np.ndarray, most: float) -> None:
    """Print median, 95th percentile, maximum, and the goal."""
    print(f"{name:40}{np.median(values):9.1f}{np.percentile(values, 95):9.1f}{values.max():9.1f}{most:9g}", flush=True)


@contextmanager
def generating(weights: Path, size: Size) -> Iterator[Running]:
    """Serve with real weights."""
    width, height = size.width_first
    with tempfile.TemporaryDirectory() as folder:
        offer = Offer([str(weights)], width, height)
        with running(Path(folder), offer=offer, command=COMMAND, ready=False) as server:
            server.wait("ready", "failed", seconds=LOADING)
            assert server.engine.state.name == "ready", server.engine.state
            yield server


@contextmanager
def chromium(wanted: bool) -> Iterator[Browser | None]:
    """Start Chromium; None where there is none or it is not wanted."""
    import shutil

    if not wanted or not any(map(shutil.which, PROGRAMS)):
        print("without a browser" if not wanted else "no Chromium on the PATH: the page is not measured")
        yield None
        return
    with sync_playwright() as playwright, launched(playwright) as found:
        yield found


def measure(args: argparse.Namespace, browser: Browser | None) -> None:
    """Measure and print one line after another."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        for form in ("jpeg", "png"):
            whole, worker = measured(server, args.size, args.steps, form)
            report(f"server, {form}, worker subtracted", whole - worker, SERVER)
    with generating(args.weights, args.size) as server:
        whole, worker = measured(server, args.size, args.steps, "jpeg")
        report("image, as a client sees it", whole, IMAGE)
        report("of this the worker", worker, IMAGE)
        if browser:
            with opened(browser, server) as site:
                report("page, from a stroke's end to its image", until_shown(site), IMAGE)
    if browser:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(Path(folder), "--load", "0", "--seconds", "2") as server,
            opened(browser, server) as site,
        ):
            site.page.select_option("#sizes", "256x192")
            site.choose("rock")
            frames = np.concatenate(frames_of_strokes(site, range(10, 180, 8)))
            report("frames, while an image takes 2 s", frames, FRAME)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=Size.parse, default=Size(192, 256), help="WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int, default=100, help="drawings")
    parser.add_argument("--weights", type=Path, help="of a generator (default: the starter model)")
    parser.add_argument("--threads", type=int, default=2, help="of the generator (default 2)")
    parser.add_argument("--no-browser", action="store_true", help="measure without the page")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    args.weights = given_or_starter(args.weights)
    print(f"milliseconds at {args.size}, {args.threads} threads{'median':>19}{'95 %':>9}{'most':>9}{'goal':>9}")
    with chromium(not args.no_browser) as browser:
        measure(args, browser)


if __name__ == "__main__":
    main()
