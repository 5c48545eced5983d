"""Screenshots of the drawing page for README and docs, written when SHANSHUI_SCREENSHOTS names weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from paint_browser import DESKTOP, PHONE, Opened, opened
from paint_server import running
from playwright.sync_api import Browser

from shanshui.painting.context import Options
from shanshui.painting.engine import Offer
from shanshui.painting.worker_process import COMMAND

WEIGHTS = os.environ.get("SHANSHUI_SCREENSHOTS", "")
LOADING = 900  # seconds, if kernels are compiled
WIDE = {"viewport": {"width": 1360, "height": 850}, "device_scale_factor": 1}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not WEIGHTS, reason="SHANSHUI_SCREENSHOTS names no weights"),
]


def draw_landscape(site: Opened) -> None:
    """An example, with a higher mountain and a little island."""
    width, height = site.run("[d.width, d.height]")

    def at(x: float, y: float) -> tuple[float, float]:
        return x * width, y * height

    site.run("d.set({size: d.width / 12})")
    site.choose("mountain")
    site.drag(at(0.50, 0.40), at(0.62, 0.24), at(0.69, 0.20), at(0.76, 0.28), at(0.92, 0.42))
    site.drag(at(0.60, 0.38), at(0.70, 0.30), at(0.82, 0.40))
    site.run("d.set({size: d.width / 28})")
    site.choose("rock")
    site.drag(at(0.55, 0.68), at(0.68, 0.68))
    site.choose("tree")
    site.drag(at(0.60, 0.63), at(0.64, 0.63))
    site.settled()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desktop", {**WIDE, "color_scheme": "light", "locale": "en-GB"}),
        ("phone", {**DESKTOP, **PHONE, "locale": "en-GB"}),
        ("chinese", {**WIDE, "color_scheme": "dark", "locale": "zh-CN"}),
    ],
)
def test_screenshots(browser: Browser, tmp_path: Path, root: Path, name: str, options: dict[str, object]) -> None:
    weights = Path(WEIGHTS).resolve()
    offer = Offer([str(weights)])
    with running(
        tmp_path, command=COMMAND, offer=offer, options=Options(weights=(weights.stem,)), ready=False
    ) as served:
        served.wait("ready", seconds=LOADING)
        with opened(browser, served, **options) as site:
            site.page.wait_for_selector("#starts .picture >> nth=4", timeout=120_000)
            draw_landscape(site)
            if name != "phone":
                site.page.click("#compare")
                site.until("[...document.querySelectorAll('#four img')].filter((i) => i.src).length === 4")
            site.page.mouse.move(2, 2)
            site.page.wait_for_timeout(500)
            site.page.screenshot(path=root / "docs" / "img" / f"paint_{name}.jpg", type="jpeg", quality=88)
