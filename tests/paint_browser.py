"""A real Chromium for tests of the drawing page: contexts of a server's page, and what is read from them."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paint_server import Running
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
NUMBER = {name: number for number, name in enumerate(CLASSES)}


def chromium() -> str:
    """The browser's program. Without one the tests are skipped, but fail in continuous integration."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        missing = "no Chromium on the PATH: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def launched(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))


@dataclass
class Opened:
    """The page of a server, open in a browser context of its own."""

    page: Page
    server: Running
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, script: str, argument: object = None) -> Any:
        """The value of a JavaScript expression; `d` is the drawing, `p` what main.js exports as `page`."""
        body = f"async a => {{ const p = (await import('/page/main.js')).page, d = p.drawing; return {script}; }}"
        return self.page.evaluate(body, argument)

    def ids(self) -> np.ndarray:
        """The class ids that are drawn, uint8 (H, W)."""
        flat, width = self.run("[Array.from(d.ids), d.width]")
        return np.array(flat, np.uint8).reshape(-1, width)

    def clear(self) -> None:
        """Begin with sky, a brush of eight pixels and mountains, without history, zoom or protected classes."""
        map_ = "{width: 128, height: 96, ids: new Uint8Array(128 * 96).fill(a)}"
        self.run(f"(d.take({map_}, {{fresh: true}}), d.choose(0))", NUMBER["sky"])
        self.run("(d.set({tool: 'brush', size: 8, gap: 4}), p.view.fit())")

    def plain(self, name: str = "sky") -> None:
        """Fill the drawing with one class."""
        self.run("d.take({width: d.width, height: d.height, ids: new Uint8Array(d.ids.length).fill(a)})", NUMBER[name])

    def choose(self, name: str) -> None:
        """Choose a class on the palette."""
        self.page.click(f'#classes [data-id="{NUMBER[name]}"]')

    def tool(self, name: str) -> None:
        self.page.click(f'[data-tool="{name}"]')

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Where the middle of a pixel of the label map is in the window, without zoom."""
        box = self.page.locator("#drawing").bounding_box()
        assert box
        width, height = self.run("[d.width, d.height]")
        return box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box["height"] / height

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.position(x, y), **options)

    def drag(self, *points: tuple[float, float], steps: int = 6) -> None:
        """Press the mouse at the first point, move it over the others, and release it."""
        mouse = self.page.mouse
        mouse.move(*self.position(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.position(*point), steps=steps)
        mouse.up()

    def settled(self) -> int:
        """Wait for the image of what is drawn now; its number."""
        shown = "document.querySelector('#image').dataset.number === String(p.live.number)"
        self.until(f"p.live && !p.live.flying && !p.live.stale && {shown}")
        return int(self.run("p.live.number"))

    def image(self) -> np.ndarray:
        """The image on the page, uint8 (H, W, 3)."""
        width, height, data = self.page.evaluate(
            """() => {
              const image = document.querySelector("#image"), canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const context = canvas.getContext("2d");
              context.drawImage(image, 0, 0);
              const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
              let bytes = "";
              for (let i = 0; i < data.length; i++) if (i % 4 < 3) bytes += String.fromCharCode(data[i]);
              return [canvas.width, canvas.height, btoa(bytes)];
            }"""
        )
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 3)

    def until(self, expression: str) -> None:
        """Wait until an expression as for `run` is true."""
        end = time.monotonic() + 60
        while not self.run(expression):
            assert time.monotonic() < end, f"not true: {expression}"
            self.page.wait_for_timeout(20)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@contextmanager
def opened(
    browser: Browser, server: Running, path: str = "/", ready: bool = True, refused: bool = False, **options: Any
) -> Iterator[Opened]:
    """Open the page. At the end every request went to the server, and nothing failed unless `refused`."""
    context = browser.new_context(**(DESKTOP | options))
    try:
        with watched(context, server, refused) as site:
            site.page.goto(server.address + path)
            if ready:
                site.page.wait_for_selector("body[data-loaded]")
                site.settled()
            yield site
    finally:
        context.close()


@contextmanager
def watched(context: BrowserContext, server: Running, refused: bool) -> Iterator[Opened]:
    page = context.new_page()
    site = Opened(page, server)
    context.on("request", lambda request: site.requests.append(request.url))
    page.on("pageerror", lambda error: site.errors.append(str(error)))
    page.on("console", lambda message: site.errors.append(message.text) if message.type == "error" else None)
    yield site
    elsewhere = [url for url in site.requests if not url.startswith((server.address + "/", "blob:", "data:"))]
    assert elsewhere == []
    expected = ("Failed to load resource", "net::ERR_") if refused else ()
    assert [error for error in site.errors if not any(text in error for text in expected)] == []


@contextmanager
def traced(page: Page) -> Iterator[list[float]]:
    """Milliseconds of processor time of every task of the page's main thread, whatever else the machine does."""
    session, events, over = page.context.new_cdp_session(page), list[dict[str, Any]](), list[bool]()
    tasks: list[float] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda _: over.append(True))
    session.send("Tracing.start", {"categories": "toplevel", "transferMode": "ReportEvents"})
    yield tasks
    session.send("Tracing.end")
    while not over:
        page.wait_for_timeout(20)
    threads = {(each["pid"], each["tid"]) for each in events if each.get("args", {}).get("name") == "CrRendererMain"}
    tasks += [
        each["tdur"] / 1000
        for each in events
        if "RunTask" in each["name"] and "tdur" in each and (each["pid"], each["tid"]) in threads
    ]


def frames_of_strokes(site: Opened, rows: Iterable[int]) -> list[np.ndarray]:
    """Draw a stroke across the drawing at each row; for each the milliseconds between the frames shown meanwhile."""
    tick = "(t) => { window.times.push(t); requestAnimationFrame(window.tick); }"
    site.run(f"(window.times = [], window.tick = {tick}, requestAnimationFrame(window.tick))")
    last, found = site.run("d.width") - 10, []
    for row in rows:
        site.page.evaluate("window.times = []")
        site.drag((10, row), (last, row + 6), steps=12)
        found.append(np.diff(site.page.evaluate("window.times")))
    return found


def photograph(folder: Path, name: str, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (64, 48), colour).save(folder / name)
    return folder / name


def same_colours(image: np.ndarray, ids: np.ndarray) -> bool:
    """Whether a JPEG is the colours of the classes, but for its own errors at edges."""
    colours = class_palette(list(CLASSES))[ids].astype(int)
    return float(np.median(np.abs(image - colours), axis=(0, 1)).max()) < 4
