"""Images on the drawing page in a real browser: the latest, seeds, styles, sizes, weights, and states as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paint_browser import Opened, frames_of_strokes, opened, photograph, same_colours, traced
from paint_server import Running, running
from paint_stand_in import KILL
from playwright.sync_api import Browser, Request

from shanshui.painting.context import Options
from shanshui.painting.engine import Offer
from shanshui.painting.limits import Limits

pytestmark = pytest.mark.browser
FRAME = 33.4  # milliseconds: 30 frames per second
UNUSABLE = (  # while weights are loaded
    "#new", "#export", "#hint", "#drawing", "#random", "#search", '[data-tool="fill"]', "#now", "#compare",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def loading(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page of a server that takes ten seconds to load its weights; other tests run meanwhile."""
    hold = tmp_path_factory.mktemp("loading") / "hold"
    with (
        running(hold.parent, "--hold", str(hold), "--load", "3.4", ready=False) as served,
        opened(browser, served, ready=False, refused=True) as found,
    ):
        note = "() => window.said.push([performance.now(), document.querySelector('#empty').textContent])"
        watch = f"new MutationObserver({note}).observe(document.querySelector('#empty'), {{childList: true}})"
        found.page.evaluate(f"() => {{ window.said = []; {watch}; }}")
        found.until("document.querySelector('#empty').textContent.startsWith('Compiling, 2 of 4')")
        assert [each for each in UNUSABLE if found.page.is_visible(each)] == []
        found.page.click("#language")
        assert "正在编译" in found.text("#empty")
        found.page.click("#language")
        hold.touch()
        yield found


# --- the latest image -----------------------------------------------------------------------------------------


def test_drawing_stays_smooth_while_an_image_takes_two_seconds(browser: Browser, tmp_path: Path) -> None:
    """By the frames that are shown, and by the page's own CPU time, which other programs do not disturb.

    Other programs may hold up frames: of ten strokes, three must have 90 % of their frames within 33 ms.
    """
    with (
        running(tmp_path, "--load", "0", "--seconds", "2") as slow,
        opened(browser, slow, ready=False) as site,
        traced(site.page) as tasks,
    ):
        active, most = set[Request](), [0]

        def begun(request: Request) -> None:
            if "/api/paint?" in request.url:
                active.add(request)
                most.append(len(active))

        site.page.on("request", begun)
        site.page.on("requestfinished", lambda request: active.discard(request))
        site.page.wait_for_selector("body[data-loaded]")
        site.choose("rock")
        frames = frames_of_strokes(site, range(10, 90, 8))
        assert sum(map(len, frames)) > 20
        assert sorted(np.percentile(each, 90) for each in frames)[2] < FRAME, frames
        site.page.wait_for_selector("#progress", state="visible")  # 0.4 s after a request has begun
        site.settled()
        assert max(most) == 1
        assert same_colours(site.image(), site.ids())
        assert site.page.is_hidden("#newer")
    assert len(tasks) > 100
    assert max(tasks) < FRAME


def test_live_can_be_switched_off(site: Opened) -> None:
    site.page.uncheck("#live")
    number = site.settled()
    site.drag((20, 20), (90, 60))
    site.page.wait_for_timeout(300)
    assert site.run("p.live.number") == number
    assert site.page.is_visible("#newer")
    site.page.click("#now")
    assert site.settled() == number + 1


def test_seeds(site: Opened) -> None:
    before = site.image()
    site.page.keyboard.press("d")
    site.settled()
    seed = int(site.page.input_value("#seed"))
    site.page.click("#compare")
    site.until("[...document.querySelectorAll('#four img')].filter((i) => i.src).length === 4")
    shown = [int(text) for text in site.page.locator("#four .card").evaluate_all("all => all.map(c => c.dataset.seed)")]
    assert shown == [seed, seed + 1, seed + 2, seed + 3]
    site.page.click("#four .card >> nth=3")
    site.settled()
    assert int(site.page.input_value("#seed")) == seed + 3
    assert f"seed {seed + 3}" in site.text("#made")
    assert (seed + 3) % 10 == 0 or not np.array_equal(before, site.image()), "the stand-in repeats after ten seeds"
    site.drag((20, 20), (90, 60))
    assert "old" in (site.page.get_attribute("#four", "class") or "")


def test_styles_and_their_blend(site: Opened, tmp_path: Path) -> None:
    plain = site.image().astype(int)
    for name, colour in (("red.png", (250, 0, 0)), ("blue.png", (0, 0, 250))):
        site.page.set_input_files("#style-file", photograph(tmp_path, name, colour))
        site.page.wait_for_selector(f"#styles [data-style] >> nth={'rb'.index(name[0])}")
    site.settled()
    site.page.locator("#blend").fill("100")
    site.settled()
    blue = site.image().astype(int)
    site.page.locator("#blend").fill("0")
    site.settled()
    red = site.image().astype(int)
    assert (red[..., 0] - blue[..., 0]).mean() > 50
    assert (blue[..., 2] - red[..., 2]).mean() > 50
    site.page.click("#no-style")
    site.settled()
    assert np.abs(site.image() - plain).max() == 0


def test_examples_and_random_compositions(site: Opened) -> None:
    page, names = site.page, [each["name"] for each in site.server.get("/api/examples").json]
    page.wait_for_selector(f"#starts .picture >> nth={len(names) - 1}")
    before = site.ids()
    for number in (len(names) - 1, 2):
        page.click(f"#starts .picture >> nth={number}")
        wanted = site.server.get(f"/api/examples/{number}?width=128&height=96").body
        site.until(f"d.ids.join() === {json.dumps(','.join(map(str, wanted)))}")
        assert same_colours(site.image(), site.ids()) or site.settled()
        assert same_colours(site.image(), site.ids())
    page.click("#random")
    first = site.ids()
    page.click("#random")
    assert not np.array_equal(first, site.ids())
    site.run("d.undo()")
    assert np.array_equal(first, site.ids())
    site.run("(d.undo(), d.undo(), d.undo())")
    assert np.array_equal(before, site.ids())


def test_other_sizes(site: Opened) -> None:
    before = site.ids()
    site.page.select_option("#sizes", "256x192")
    site.settled()
    assert np.array_equal(site.ids(), before.repeat(2, 0).repeat(2, 1))
    assert site.image().shape == (192, 256, 3)
    site.page.click("#undo")
    assert np.array_equal(site.ids(), before)
    assert site.page.input_value("#sizes") == "128x96"


# --- states ---------------------------------------------------------------------------------------------------


def test_crash_is_said_and_the_next_image_comes(browser: Browser, page_server: Running) -> None:
    with opened(browser, page_server, refused=True) as site:
        site.page.fill("#seed", str(KILL))
        site.page.keyboard.press("Tab")
        site.page.wait_for_selector("#failure:visible")
        assert "stopped while making this image" in site.text("#failure-text")
        site.page.fill("#seed", "1")
        site.page.keyboard.press("Tab")
        site.page.wait_for_selector("#failure", state="hidden")
        site.settled()


def test_lost_connection_and_errors_of_the_server_are_said(browser: Browser, page_server: Running) -> None:
    with opened(browser, page_server, refused=True) as site:
        site.page.route("**/api/**", lambda route: route.abort())
        site.drag((20, 20), (90, 60))
        site.page.wait_for_selector("#failure:visible")
        assert "python -m shanshui paint" in site.text("#failure-text")
        site.page.unroute("**/api/**")
        error = {"error": "server_error", "found": "an error of the server", "wanted": "", "advice": ""}
        site.page.route("**/api/**", lambda route: route.fulfill(status=500, json=error))
        site.page.click("#again")
        site.page.wait_for_selector("#failure:visible")
        assert site.text("#failure-text") == "That did not work."
        assert site.text("#failure-detail") == "an error of the server"
        site.page.unroute("**/api/**")
        site.page.click("#again")
        site.settled()


@pytest.fixture(scope="module")
def offering(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the limits of a real one, two weights, and names of classes that are markup."""
    folder = tmp_path_factory.mktemp("offering")
    files = [folder / name for name in ("teacher.safetensors", "student.safetensors")]
    for file in files:
        file.write_bytes(b"stand-in")
    options, offer = Options(weights=("teacher", "student")), Offer([str(file) for file in files])
    with running(folder, "--hostile", limits=Limits(), offer=offer, options=options) as served:
        yield served


def test_other_weights_keep_the_drawing(browser: Browser, offering: Running) -> None:
    with opened(browser, offering, refused=True) as site:
        site.drag((20, 20), (90, 60))
        drawn = site.ids()
        with site.page.expect_navigation():
            site.page.select_option("#weights", "1")
        site.page.wait_for_selector("body[data-loaded]")
        site.until("d && d.history.past.length > 0")
        assert site.run("p.model.loaded") == 1
        assert np.array_equal(site.ids(), drawn)


def test_names_of_classes_are_no_markup(browser: Browser, offering: Running) -> None:
    with opened(browser, offering) as site:
        assert site.text('[data-id="0"]') == "<img src=x onerror=alert(1)>"
        assert site.page.locator("#classes img").count() == 0


def test_opening_the_page_keeps_within_the_limits_of_the_server(browser: Browser, offering: Running) -> None:
    with opened(browser, offering) as site:
        site.page.reload()
        site.page.wait_for_selector("body[data-loaded]")
        site.settled()


def test_what_is_waited_for_is_said_while_weights_take_ten_seconds(loading: Opened) -> None:
    """The page was opened when the first test of this file began."""
    loading.page.wait_for_selector("body[data-loaded]")
    assert [each for each in UNUSABLE if not loading.page.is_visible(each)] == []
    loading.settled()
    assert loading.page.is_hidden("#empty")
    loading.until(r"/^Image 1 ready, \d\.\d\d seconds$/.test(document.querySelector('#state').textContent)")
    said = loading.page.evaluate("window.said")
    texts = [text for _, text in said]
    assert all(texts)
    for step in (3, 4):
        assert f"Compiling, {step} of 4. The first start takes minutes." in texts
    assert said[-1][0] > 10_000
    asked = sum("/api/model" in url for url in loading.requests)
    assert asked < said[-1][0] / 1000 + 3  # once a second
