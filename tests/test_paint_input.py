"""The drawing page for pens, fingers, keyboards and screen readers, in two languages, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from paint_browser import NUMBER, PHONE, Opened, chromium, opened
from paint_checks import controls_without_name, low_contrast, small_targets, visible_texts
from paint_server import Running
from playwright.sync_api import Browser

from shanshui.painting.pages import FOLDER

pytestmark = pytest.mark.browser


# --- pointers -------------------------------------------------------------------------------------------------


def test_stroke_lands_under_the_pointer_on_a_fine_screen(browser: Browser, page_server: Running) -> None:
    with opened(browser, page_server, device_scale_factor=2) as site:
        site.run("d.set({size: 1})")
        x, y = site.position(70, 30)
        for zoom in (1, 3):
            site.plain("sky")
            if zoom > 1:
                site.page.mouse.move(x, y)
                site.page.mouse.wheel(0, -2000)  # keeps what is under the pointer
                site.until(f"p.view.zoom > {zoom}")
            site.page.mouse.click(x, y)
            assert np.argwhere(site.ids() != NUMBER["sky"]).tolist() == [[30, 70]]
        assert site.run("p.view.below.width") == pytest.approx(
            2 * site.page.locator("#drawing").bounding_box()["width"], abs=2
        )


def test_fingers_draw_and_two_of_them_zoom(browser: Browser, page_server: Running) -> None:
    with opened(browser, page_server, **PHONE) as site:
        site.plain("sky")
        site.choose("rock")
        touch = site.page.context.new_cdp_session(site.page)

        def send(kind: str, *points: tuple[float, float]) -> None:
            places = [dict(zip("xy", site.position(*point), strict=True), id=n) for n, point in enumerate(points)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        send("touchStart", (20, 40))
        for x in range(24, 100, 8):
            send("touchMove", (x, 40))
        send("touchEnd")
        drawn = site.ids()
        assert (drawn[40, 20:92] == NUMBER["rock"]).all()
        assert site.page.evaluate("scrollY") == 0
        send("touchStart", (60, 48))
        send("touchStart", (60, 48), (70, 48))
        for reach in range(4, 30, 4):
            send("touchMove", (60 - reach, 48), (70 + reach, 48))
        send("touchEnd")
        assert site.run("p.view.zoom") > 2
        assert np.array_equal(site.ids(), drawn)
        assert site.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert small_targets(site.page, 44) == []
        for pane, hidden in (("drawing", "#image"), ("image", "#drawing"), ("both", "#nothing")):
            site.page.click(f'[data-show="{pane}"]')
            assert site.page.is_hidden(hidden)


def test_pen_is_thinner_with_less_pressure_and_its_button_picks(site: Opened) -> None:
    site.plain("sky")
    site.choose("rock")
    site.run("d.set({size: 20})")
    pen = site.page.context.new_cdp_session(site.page)

    def send(kind: str, x: float, y: float, force: float, button: str = "left") -> None:
        px, py = site.position(x, y)
        held = {"buttons": 1 if button == "left" else 2, "button": button, "clickCount": 1, "pointerType": "pen"}
        pen.send("Input.dispatchMouseEvent", {"type": kind, "x": px, "y": py, "force": force, **held})

    for x, force in ((40, 0.01), (90, 1.0)):
        send("mousePressed", x, 48, force)
        send("mouseReleased", x, 48, force)
    rocks = site.ids() == NUMBER["rock"]
    assert np.nonzero(rocks[:, 40])[0].size == 10
    assert np.nonzero(rocks[:, 90])[0].size == 20
    for kind in ("mousePressed", "mouseReleased"):
        send(kind, 5, 5, 0.5, "right")
    assert site.run("d.current") == NUMBER["sky"]


def test_drawing_by_keyboard(site: Opened) -> None:
    keys = site.page.keyboard
    site.plain("sky")
    site.choose("rock")
    site.run("d.set({size: 1})")
    site.page.focus("#drawing")
    keys.press("ArrowRight")  # shows the cursor in the middle
    for _ in range(2):
        keys.press("Shift+ArrowLeft")
    keys.press("ArrowUp")
    keys.down("Space")
    for _ in range(5):
        keys.press("ArrowRight")
    keys.up("Space")
    assert np.argwhere(site.ids() == NUMBER["rock"]).tolist() == [[47, x] for x in range(44, 50)]
    site.until("document.querySelector('#state').textContent.startsWith('rock')")
    keys.press("ArrowDown")
    keys.press("Enter")  # fills
    assert (site.ids() == NUMBER["rock"]).all()
    keys.press("Control+z")
    keys.press("r")
    keys.press("Space")
    for _ in range(3):
        keys.press("ArrowDown")
    keys.press("Space")
    assert (site.ids() == NUMBER["rock"]).sum() == 6 + 4
    site.page.focus("#now")
    keys.press("?")
    site.page.uncheck("#letters")
    keys.press("Escape")
    keys.press("b")
    assert site.run("d.tool") == "rectangle"


def test_keys(site: Opened) -> None:
    keys = site.page.keyboard
    site.page.focus("#random")
    tools = ("brush", "eraser", "line", "rectangle", "ellipse", "fill", "replace", "pick")
    for key, tool in zip("belrogxi", tools, strict=True):
        keys.press(key)
        assert site.run("d.tool") == tool
    keys.press("]")
    assert site.run("d.size") == 10
    for _ in range(3):
        keys.press("[")
    assert site.run("d.size") == 5
    for _ in range(20):
        keys.press("]")
    assert site.run("d.size") == 200
    for number in (1, 9, 4):
        keys.press(str(number))
        assert site.run("d.current === d.recent[a - 1]", number)
    keys.press("p")
    assert site.run("d.locked[d.current]") == 1
    keys.press("p")
    keys.press("+")
    assert site.run("p.view.zoom") == 1.5
    keys.press("0")
    assert site.run("p.view.zoom") == 1
    keys.press("/")
    assert site.page.evaluate("document.activeElement.id") == "search"


# --- language and access --------------------------------------------------------------------------------------


def test_texts_are_in_both_languages_with_the_same_places(site: Opened) -> None:
    texts = site.page.evaluate("async () => (await import('/page/texts.js')).default")
    assert [key for key, both in texts.items() if len(both) != 2 or not all(both)] == []
    places = re.compile(r"\{\w+\}")
    assert [key for key, (en, zh) in texts.items() if sorted(places.findall(en)) != sorted(places.findall(zh))] == []
    code = "".join(file.read_text() for file in FOLDER.glob("*") if file.name != "texts.js")
    used = {key for key in texts if re.search(rf"[\"`']{key}[\"`']", code)}
    built = tuple(re.findall(r"`(\w+_)\$\{", code))
    assert [key for key in texts if key not in used and not key.startswith(built)] == []


def test_chinese_replaces_every_text(browser: Browser, page_server: Running) -> None:
    with opened(browser, page_server, locale="en-GB") as site:
        site.page.wait_for_selector("#starts .picture >> nth=8")
        site.page.wait_for_selector("#styles .picture >> nth=5")
        site.page.click("#compare")
        site.page.click("#describe")
        site.page.click("#help")
        english = visible_texts(site.page)
        site.page.keyboard.press("Escape")
        site.page.click("#language")
        site.page.click("#help")
        chinese = visible_texts(site.page)
        assert len(english) == len(chinese) > 100
        free = re.compile(r"[\d\s.,%×/?+\-…\[\]]*|shanshui.*|山水|stand-in.*|python.*|kbd:.*|English|中文")
        assert [text for text in english if text in chinese and not free.fullmatch(text)] == []
        assert [text for text in chinese if not re.search(r"[一-鿿]", text) and not free.fullmatch(text)] == []
        assert site.page.get_attribute("html", "lang") == "zh-CN"
        site.page.reload()
        site.page.wait_for_selector("body[data-loaded]")
        assert site.text("#palette-title") == "调色板"  # remembered
    with opened(browser, page_server, path="/?lang=zh", locale="en-GB") as site:
        assert site.text("#new") == "新建"
        site.page.fill("#search", "瀑")
        site.page.keyboard.press("Enter")
        assert site.run("d.current") == NUMBER["waterfall"]


def test_names_contrast_and_order_of_focus(site: Opened) -> None:
    page = site.page
    page.wait_for_selector("#starts .picture >> nth=3")
    page.wait_for_selector("#styles .picture >> nth=5")
    page.click("#compare")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert low_contrast(page) == []
        page.click("#help")
        assert low_contrast(page) == []
        page.keyboard.press("Escape")
    assert controls_without_name(page) == []
    assert small_targets(page, 24) == []
    order = []
    page.focus("body")
    for _ in range(60):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = ["search", "chip", "drawing", "undo", "random", "now", "live", "seed", "dice", "compare", "no-style"]
    places = [order.index(name) for name in wanted if name in order]
    assert len(places) == len(wanted) - ("undo" not in order)  # disabled while there is nothing to undo
    assert places == sorted(places)
    assert order.count("chip") == 1  # arrow keys move within the palette
    page.set_viewport_size({"width": 320, "height": 256})  # 1280 x 1024 at 400 %
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_missing_browser_fails_in_continuous_integration_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for automatic, outcome in (("true", pytest.fail.Exception), ("", pytest.skip.Exception)):
        monkeypatch.setenv("CI", automatic)
        with pytest.raises(outcome, match="no Chromium"):
            chromium()
