"""The drawing page in a real browser, with a worker that colours classes."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paint_browser import NUMBER, PHONE, Opened, launched, opened, photograph
from paint_checks import controls_without_name, low_contrast, small_targets, visible_texts
from paint_server import Running, running
from paint_stand_in import KILL
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from scipy import ndimage

from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette
from shanshui.painting.engine import Offer
from shanshui.painting.limits import Limits
from shanshui.painting.pages import FOLDER
from shanshui.painting.server import Options

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = 96, 128
MOST_BYTES = 120_000
COLOURS = class_palette(list(CLASSES))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = launched(playwright)
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), "--style") as served:
        yield served


@pytest.fixture
def site(browser: Browser, server: Running) -> Iterator[Opened]:
    with opened(browser, server) as found:
        yield found


def same_colours(image: np.ndarray, ids: np.ndarray) -> bool:
    """Whether a JPEG is the colours of the classes, but for its own errors at edges."""
    return float(np.median(np.abs(image.astype(int) - COLOURS[ids]), axis=(0, 1)).max()) < 4


# --- drawing --------------------------------------------------------------------------------------------------


def test_stroke_is_one_piece_of_one_class_and_changes_the_image(site: Opened) -> None:
    site.plain("sky")
    number, before, source = site.settled(), site.image(), site.page.get_attribute("#image", "src")
    site.choose("mountain")
    blank = site.ids()
    site.drag((20, 70), (60, 20), (110, 60), steps=6)
    drawn = site.ids()
    assert set(np.unique(drawn)) == {NUMBER["sky"], NUMBER["mountain"]}
    assert ndimage.label(drawn != blank, structure=np.ones((3, 3)))[1] == 1
    assert (drawn[70, 20], drawn[20, 60], drawn[60, 110]) == (NUMBER["mountain"],) * 3
    assert site.settled() > number
    assert site.page.get_attribute("#image", "src") != source
    after = site.image()
    assert same_colours(after, drawn)
    assert not np.array_equal(after, before)
    site.page.keyboard.press("Control+z")
    assert np.array_equal(site.ids(), blank)
    site.page.keyboard.press("Control+Shift+z")
    assert np.array_equal(site.ids(), drawn)
    site.page.click("#undo")
    assert np.array_equal(site.ids(), blank)


def test_brush_has_its_size_in_pixels(site: Opened) -> None:
    for size in (1, 2, 7, 40):
        site.plain("sky")
        site.run("d.set({tool: 'brush', size: a})", size)
        site.choose("rock")
        site.click(64, 48)
        rows, columns = np.nonzero(site.ids() == NUMBER["rock"])
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (size, size)


def test_fast_strokes_of_one_pixel_have_no_gaps(site: Opened) -> None:
    site.plain("sky")
    site.run("d.set({size: 1})")
    site.drag((3, 5), (120, 31), (40, 90), steps=2)
    assert ndimage.label(site.ids() != NUMBER["sky"], structure=np.ones((3, 3)))[1] == 1


def test_shapes(site: Opened) -> None:
    site.plain("sky")
    site.choose("building")
    site.tool("rectangle")
    site.drag((10, 20), (40, 50))
    expected = np.full((HEIGHT, WIDTH), NUMBER["sky"], np.uint8)
    expected[20:51, 10:41] = NUMBER["building"]
    assert np.array_equal(site.ids(), expected)
    site.page.click("#undo")
    site.tool("ellipse")
    site.drag((40, 50), (10, 20))
    area = site.ids() == NUMBER["building"]
    rows, columns = np.nonzero(area)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 50, 10, 40)
    assert area.sum() == pytest.approx(np.pi * 15.5**2, rel=0.03)
    site.page.click("#undo")
    site.tool("line")
    site.run("d.set({size: 3})")
    site.page.keyboard.down("Shift")
    site.drag((10, 50), (100, 53))
    site.page.keyboard.up("Shift")
    rows, columns = np.nonzero(site.ids() == NUMBER["building"])
    assert (rows.min(), rows.max()) == (49, 51)  # at a multiple of 45 degrees
    assert columns.max() >= 99


def test_fill_closes_gaps_if_asked(site: Opened) -> None:
    site.plain("sky")
    site.choose("wall")
    site.run("d.set({size: 2})")
    site.drag((30, 20), (90, 20), (90, 70), (30, 70), (30, 48), steps=3)  # open at the left from 21 to 47
    site.drag((30, 21), (30, 43), steps=3)  # and now only 4 pixels
    walls = site.ids()
    site.choose("lake")
    site.tool("fill")
    site.run("d.set({gap: 0})")
    site.click(60, 45)
    leaked = site.ids()
    assert leaked[5, 5] == NUMBER["lake"]
    site.page.keyboard.press("Control+z")
    site.run("d.set({gap: 6})")
    site.click(60, 45)
    filled = site.ids()
    assert filled[5, 5] == filled[45, 27] == NUMBER["sky"]
    inside = (walls == NUMBER["sky"])[23:69, 33:89]
    assert (filled[23:69, 33:89] == NUMBER["lake"])[inside].all()
    assert np.array_equal(filled == NUMBER["wall"], walls == NUMBER["wall"])


def test_replace_pick_protect_and_eraser(site: Opened) -> None:
    site.plain("sky")
    site.choose("tree")
    site.drag((30, 30), (40, 30))
    site.drag((90, 70), (100, 70))
    trees = site.ids() == NUMBER["tree"]
    site.choose("grass")
    site.tool("replace")
    site.click(35, 30)
    assert np.array_equal(site.ids() == NUMBER["grass"], trees)
    site.click(5, 5, button="right")  # picks, as the button of a pen does
    assert site.run("d.current") == NUMBER["sky"]
    site.tool("pick")
    site.click(95, 70)
    assert site.run("d.current") == NUMBER["grass"]
    site.page.click("#protect")
    assert site.page.get_attribute(f'[data-id="{NUMBER["grass"]}"]', "aria-label") == "grass, protected"
    site.choose("sea")
    site.drag((20, 30), (120, 30))
    assert (site.ids() == NUMBER["grass"])[trees].all()
    assert (site.ids() == NUMBER["sea"]).any()
    site.page.click("#unprotect")
    site.run("d.set({size: 200})")
    site.tool("eraser")
    site.drag((64, 48), (65, 48))
    top, *_, bottom = site.ids()[:, 64]
    assert (top, bottom) == (NUMBER["sky"], NUMBER["land"])


def test_other_tools_sizes_and_classes_keep_the_drawing(site: Opened) -> None:
    site.plain("sky")
    site.drag((20, 20), (90, 60))
    drawn = site.ids()
    for name in ("line", "rectangle", "ellipse", "fill", "replace", "pick", "eraser", "brush"):
        site.tool(name)
    site.page.fill("#search", "Wa")
    site.page.keyboard.press("Enter")
    site.page.focus("#size")
    for key in ("ArrowRight", "[", "]", "1", "2", "+", "0"):
        site.page.keyboard.press(key)
    site.page.set_viewport_size({"width": 1000, "height": 700})
    site.page.set_viewport_size({"width": 1280, "height": 800})
    assert np.array_equal(site.ids(), drawn)


def test_hundred_steps_are_undone(site: Opened) -> None:
    site.plain("sky")
    site.choose("rock")
    first = site.ids()
    change = "for (let n = 0; n < 100; n++) d.once((map) => { map.ids[a + n] = 4; return {x0: n, y0: 0, x1: n + 1, y1: 1}; })"
    site.run(f"(() => {{ {change} }})()", 0)
    last = site.ids()
    site.run("(() => { for (let n = 0; n < 100; n++) d.undo(); })()")
    assert np.array_equal(site.ids(), first)
    site.run("(() => { for (let n = 0; n < 100; n++) d.redo(); })()")
    assert np.array_equal(site.ids(), last)
    assert (first != last).sum() == 100


# --- files and memory -----------------------------------------------------------------------------------------


def test_import_of_label_maps(site: Opened, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ids = np.kron(rng.integers(0, len(CLASSES), (12, 16)), np.ones((8, 8))).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "ids.png")
    Image.fromarray(COLOURS[ids]).save(tmp_path / "colours.png")
    site.page.set_input_files("#file", tmp_path / "ids.png")
    site.until("document.querySelector('#state').textContent.includes('class ids')")
    assert np.array_equal(site.ids(), ids)
    site.plain("sky")
    site.page.set_input_files("#file", tmp_path / "colours.png")
    site.until("document.querySelector('#state').textContent.includes('colours of the palette')")
    assert np.array_equal(site.ids(), ids)


def test_refused_file_leaves_the_drawing_and_says_why(browser: Browser, server: Running, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (7, 8, 9)).save(tmp_path / "other.png")
    with opened(browser, server, refused=True) as site:
        before = site.ids()
        site.page.set_input_files("#file", tmp_path / "other.png")
        site.page.wait_for_selector("#failure:visible")
        assert "colours that belong to no class" in site.text("#failure-text")
        assert "#070809 ≈ other" in site.text("#failure-detail")
        assert np.array_equal(site.ids(), before)
        site.page.click("#again")
        site.page.wait_for_selector("#failure", state="hidden")


def test_saved_archive_holds_what_is_shown(site: Opened) -> None:
    site.drag((20, 20), (90, 60))
    site.page.fill("#seed", "7")
    site.page.keyboard.press("Tab")
    site.settled()
    with site.page.expect_download() as waiting:
        site.page.keyboard.press("Control+s")
    assert waiting.value.suggested_filename == "paint_7.zip"
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert sorted(archive.namelist()) == ["paint.json", "paint.png", "paint_colour.png", "paint_label.png"]
        label = np.asarray(Image.open(io.BytesIO(archive.read("paint_label.png"))))
        assert np.array_equal(label, site.ids())
        assert json.loads(archive.read("paint.json"))["seed"] == 7


def test_new_asks_and_clears_and_reloading_offers_to_continue(site: Opened) -> None:
    page = site.page
    site.drag((20, 20), (90, 60))
    drawn = site.ids()
    page.wait_for_timeout(2300)  # saved after 2 s
    page.reload()
    page.wait_for_selector("#notice:visible")
    page.click("#notice-yes")
    assert np.array_equal(site.ids(), drawn)
    page.click("#new")
    page.click("#ask [value=no]")
    assert np.array_equal(site.ids(), drawn)
    page.click("#new")
    page.click("#ask-yes")
    assert set(np.unique(site.ids())) == {NUMBER["sky"], NUMBER["land"]}
    assert page.is_disabled("#undo")
    site.settled()
    page.reload()
    page.wait_for_selector("body[data-loaded]")
    site.settled()
    assert page.is_hidden("#notice")


def test_examples_random_compositions_and_photographs(site: Opened, tmp_path: Path) -> None:
    page = site.page
    page.wait_for_selector("#starts .picture >> nth=3")
    page.click("#starts .picture >> nth=2")
    page.wait_for_timeout(50)
    example = site.ids()
    assert len(np.unique(example)) > 3
    page.click("#random")
    first = site.ids()
    page.click("#random")
    assert not np.array_equal(first, site.ids())
    site.run("d.undo()")
    assert np.array_equal(first, site.ids())


# --- images ---------------------------------------------------------------------------------------------------


def test_drawing_stays_smooth_while_an_image_takes_two_seconds(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, "--seconds", "2") as slow, opened(browser, slow) as site:
        active: list[int] = [0]
        site.page.on("request", lambda request: active.append(active[-1] + ("/api/paint?" in request.url)))
        site.page.on("requestfinished", lambda request: active.append(active[-1] - ("/api/paint?" in request.url)))
        site.run("(() => { window.frames_ = []; const tick = (t) => { window.frames_.push(t); requestAnimationFrame(tick); };"
                 " requestAnimationFrame(tick); })()")  # fmt: skip
        site.choose("rock")
        for row in range(10, 90, 8):
            site.drag((10, row), (118, row + 6), steps=12)
        between = np.diff(site.page.evaluate("window.frames_"))
        assert len(between) > 20
        assert np.percentile(between, 90) < 33.4
        assert site.page.is_visible("#newer")
        assert site.page.is_visible("#progress")
        site.settled()
        assert max(active) == 1
        assert same_colours(site.image(), site.ids())
        assert site.page.is_hidden("#newer")


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
    assert seed % 10 == 0 or not np.array_equal(before, site.image())
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


def test_other_sizes(site: Opened) -> None:
    before = site.ids()
    site.page.select_option("#sizes", "256x192")
    site.settled()
    assert np.array_equal(site.ids(), before.repeat(2, 0).repeat(2, 1))
    assert site.image().shape == (192, 256, 3)
    site.page.click("#undo")
    assert np.array_equal(site.ids(), before)
    assert site.page.input_value("#sizes") == "128x96"


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


def test_states_are_said_while_loading_and_after_a_crash(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, "--seconds", "0.6", ready=False) as served, opened(browser, served, ready=False, refused=True) as site:
        site.until("/Compiling|Starting/.test(document.querySelector('#state').textContent)")
        site.page.wait_for_selector("body[data-loaded]")
        site.settled()
        site.until(r"/^Image 1 ready, \d\.\d\d seconds$/.test(document.querySelector('#state').textContent)")
        site.page.fill("#seed", str(KILL))
        site.page.keyboard.press("Tab")
        site.page.wait_for_selector("#failure:visible")
        assert "stopped while making this image" in site.text("#failure-text")
        site.page.fill("#seed", "1")
        site.page.keyboard.press("Tab")
        site.page.wait_for_selector("#failure", state="hidden")
        site.settled()


def test_lost_connection_is_said(browser: Browser, server: Running) -> None:
    with opened(browser, server, refused=True) as site:
        site.page.route("**/api/**", lambda route: route.abort())
        site.drag((20, 20), (90, 60))
        site.page.wait_for_selector("#failure:visible")
        assert "python -m shanshui paint" in site.text("#failure-text")
        site.page.unroute("**/api/**")
        site.page.click("#again")
        site.settled()


# --- pointers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [1, 3])
def test_stroke_lands_under_the_pointer_on_a_fine_screen(browser: Browser, server: Running, zoom: int) -> None:
    with opened(browser, server, device_scale_factor=2) as site:
        site.plain("sky")
        site.run("d.set({size: 1})")
        x, y = site.position(70, 30)
        if zoom > 1:
            site.page.mouse.move(x, y)
            site.page.mouse.wheel(0, -2000)  # keeps what is under the pointer
            site.until(f"p.view.zoom > {zoom}")
        site.page.mouse.click(x, y)
        assert np.argwhere(site.ids() != NUMBER["sky"]).tolist() == [[30, 70]]
        assert site.run("p.view.below.width") == pytest.approx(2 * site.page.locator("#drawing").bounding_box()["width"], abs=2)


def test_fingers_draw_and_two_of_them_zoom(browser: Browser, server: Running) -> None:
    with opened(browser, server, **PHONE) as site:
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


# --- language and access --------------------------------------------------------------------------------------


def test_dictionaries_have_the_same_keys_and_places(site: Opened) -> None:
    en, zh = site.page.evaluate("async () => { const d = (await import('/page/i18n.js')).dictionaries; return [d.en, d.zh]; }")
    assert list(en) == list(zh)
    places = re.compile(r"\{\w+\}")
    assert [key for key in en if sorted(places.findall(en[key])) != sorted(places.findall(zh[key]))] == []
    code = "".join(file.read_text() for file in FOLDER.glob("*") if file.name not in ("en.js", "zh.js"))
    used = {key for key in en if re.search(rf"[\"`']{key}[\"`']", code)}
    built = tuple(re.findall(r"`(\w+_)\$\{", code))
    assert [key for key in en if key not in used and not key.startswith(built)] == []


def test_chinese_replaces_every_text(browser: Browser, server: Running) -> None:
    with opened(browser, server, locale="en-GB") as site:
        site.page.wait_for_selector("#starts .picture >> nth=8")
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
    with opened(browser, server, path="/?lang=zh", locale="en-GB") as site:
        assert site.text("#new") == "新建"
        site.page.fill("#search", "瀑")
        site.page.keyboard.press("Enter")
        assert site.run("d.current") == NUMBER["waterfall"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_contrast_and_order_of_focus(browser: Browser, server: Running, scheme: str) -> None:
    with opened(browser, server, color_scheme=scheme) as site:
        page = site.page
        page.wait_for_selector("#starts .picture >> nth=3")
        page.click("#compare")
        assert controls_without_name(page) == []
        assert low_contrast(page) == []
        assert small_targets(page, 24) == []
        page.click("#help")
        assert low_contrast(page) == []
        page.keyboard.press("Escape")
        order = []
        page.focus("body")
        for _ in range(60):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        wanted = ["search", "chip", "drawing", "undo", "random", "now", "live", "seed", "dice", "compare"]
        places = [order.index(name) for name in wanted if name in order]
        assert len(places) == len(wanted) - ("undo" not in order)  # disabled while there is nothing to undo
        assert places == sorted(places)
        assert order.count("chip") == 1  # arrow keys move within the palette


def test_a_small_window_needs_no_scrolling_to_the_side(browser: Browser, server: Running) -> None:
    with opened(browser, server, viewport={"width": 320, "height": 256}) as site:  # 1280 x 1024 at 400 %
        assert site.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_names_of_classes_are_no_markup(browser: Browser, offering: Running) -> None:
    with opened(browser, offering) as site:
        assert site.text('[data-id="0"]') == "<img src=x onerror=alert(1)>"
        assert site.page.locator("#classes img").count() == 0


# --- the files ------------------------------------------------------------------------------------------------


def test_weight_and_syntax_of_the_page(site: Opened) -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".html", ".js", ".css"}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    loaded = {url.rpartition("/page/")[2] for url in site.requests if "/page/" in url}
    assert loaded == {file.name for file in files} - {"index.html"}
    if node := shutil.which("node"):
        for file in FOLDER.glob("*.js"):
            subprocess.run([node, "--check", "--input-type=module"], input=file.read_bytes(), check=True)


def test_opening_the_page_keeps_within_the_limits_of_the_server(browser: Browser, offering: Running) -> None:
    with opened(browser, offering) as site:
        site.page.reload()
        site.page.wait_for_selector("body[data-loaded]")
        site.settled()
