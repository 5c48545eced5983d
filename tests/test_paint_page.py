"""Drawing on the page in a real browser: tools, history, files; with a worker that colours classes."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from paint_alone import leave_the_network, network_of
from paint_browser import NUMBER, Opened, opened, same_colours
from paint_server import Running
from PIL import Image
from playwright.sync_api import Browser, Route
from scipy import ndimage

from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette
from shanshui.painting.pages import FOLDER

pytestmark = pytest.mark.browser
HEIGHT, WIDTH = 96, 128
MOST_BYTES = 120_000
LARGEST_SEED = 2**53 - 1
COLOURS = class_palette(list(CLASSES))


@pytest.fixture(scope="module")
def earlier() -> set[psutil.Process]:
    """Processes that the tests of other files have left running."""
    return set(psutil.Process().children(recursive=True))


@pytest.fixture(scope="module", autouse=True)
def alone(earlier: set[psutil.Process]) -> Iterator[str]:
    """Without network but loopback: server, worker and browser; else why the kernel refuses that."""
    with leave_the_network() as refused:
        yield refused


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


def test_brush_has_its_size_in_pixels(canvas: Opened) -> None:
    for size in (1, 2, 7, 40):
        canvas.plain("sky")
        canvas.run("d.set({tool: 'brush', size: a})", size)
        canvas.choose("rock")
        canvas.click(64, 48)
        rows, columns = np.nonzero(canvas.ids() == NUMBER["rock"])
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (size, size)


def test_fast_strokes_of_one_pixel_have_no_gaps(canvas: Opened) -> None:
    canvas.run("d.set({size: 1})")
    canvas.drag((3, 5), (120, 31), (40, 90), steps=2)
    assert ndimage.label(canvas.ids() != NUMBER["sky"], structure=np.ones((3, 3)))[1] == 1


def test_shapes(canvas: Opened) -> None:
    canvas.choose("building")
    canvas.tool("rectangle")
    canvas.drag((10, 20), (40, 50))
    expected = np.full((HEIGHT, WIDTH), NUMBER["sky"], np.uint8)
    expected[20:51, 10:41] = NUMBER["building"]
    assert np.array_equal(canvas.ids(), expected)
    canvas.page.click("#undo")
    canvas.tool("ellipse")
    canvas.drag((40, 50), (10, 20))
    area = canvas.ids() == NUMBER["building"]
    rows, columns = np.nonzero(area)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 50, 10, 40)
    assert area.sum() == pytest.approx(np.pi * 15.5**2, rel=0.03)
    canvas.page.click("#undo")
    canvas.tool("line")
    canvas.run("d.set({size: 3})")
    canvas.page.keyboard.down("Shift")
    canvas.drag((10, 50), (100, 53))
    canvas.page.keyboard.up("Shift")
    rows, columns = np.nonzero(canvas.ids() == NUMBER["building"])
    assert (rows.min(), rows.max()) == (49, 51)  # at a multiple of 45 degrees
    assert columns.max() >= 99


def test_fill_closes_gaps_if_asked(canvas: Opened) -> None:
    canvas.choose("wall")
    canvas.run("d.set({size: 2})")
    canvas.drag((30, 20), (90, 20), (90, 70), (30, 70), (30, 48), steps=3)  # open at the left from 21 to 47
    canvas.drag((30, 21), (30, 43), steps=3)  # and now only 4 pixels
    walls = canvas.ids()
    canvas.choose("lake")
    canvas.tool("fill")
    canvas.run("d.set({gap: 0})")
    canvas.click(60, 45)
    leaked = canvas.ids()
    assert leaked[5, 5] == NUMBER["lake"]
    canvas.page.keyboard.press("Control+z")
    canvas.run("d.set({gap: 6})")
    canvas.click(60, 45)
    filled = canvas.ids()
    assert filled[5, 5] == filled[45, 27] == NUMBER["sky"]
    inside = (walls == NUMBER["sky"])[23:69, 33:89]
    assert (filled[23:69, 33:89] == NUMBER["lake"])[inside].all()
    assert np.array_equal(filled == NUMBER["wall"], walls == NUMBER["wall"])


def test_replace_pick_protect_and_eraser(canvas: Opened) -> None:
    canvas.choose("tree")
    canvas.drag((30, 30), (40, 30))
    canvas.drag((90, 70), (100, 70))
    trees = canvas.ids() == NUMBER["tree"]
    canvas.choose("grass")
    canvas.tool("replace")
    canvas.click(35, 30)
    assert np.array_equal(canvas.ids() == NUMBER["grass"], trees)
    canvas.click(5, 5, button="right")  # picks, as the button of a pen does
    assert canvas.run("d.current") == NUMBER["sky"]
    canvas.tool("pick")
    canvas.click(95, 70)
    assert canvas.run("d.current") == NUMBER["grass"]
    canvas.page.click("#protect")
    assert canvas.page.get_attribute(f'[data-id="{NUMBER["grass"]}"]', "aria-label") == "grass, protected"
    canvas.choose("sea")
    canvas.drag((20, 30), (120, 30))
    assert (canvas.ids() == NUMBER["grass"])[trees].all()
    assert (canvas.ids() == NUMBER["sea"]).any()
    canvas.page.click("#unprotect")
    canvas.run("d.set({size: 200})")
    canvas.tool("eraser")
    canvas.drag((64, 48), (65, 48))
    top, *_, bottom = canvas.ids()[:, 64]
    assert (top, bottom) == (NUMBER["sky"], NUMBER["land"])


def test_other_tools_sizes_and_classes_keep_the_drawing(canvas: Opened) -> None:
    canvas.drag((20, 20), (90, 60))
    drawn = canvas.ids()
    for name in ("line", "rectangle", "ellipse", "fill", "replace", "pick", "eraser", "brush"):
        canvas.tool(name)
    canvas.page.fill("#search", "Wa")
    canvas.page.keyboard.press("Enter")
    canvas.page.focus("#size")
    for key in ("ArrowRight", "[", "]", "1", "2", "+", "0"):
        canvas.page.keyboard.press(key)
    canvas.page.set_viewport_size({"width": 1000, "height": 700})
    canvas.page.set_viewport_size({"width": 1280, "height": 800})
    assert np.array_equal(canvas.ids(), drawn)


def test_hundred_steps_are_undone(canvas: Opened) -> None:
    canvas.choose("rock")
    first = canvas.ids()
    change = "d.once((map) => { map.ids[n] = 4; return {x0: n, y0: 0, x1: n + 1, y1: 1}; })"
    canvas.run(f"(() => {{ for (let n = 0; n < 100; n++) {change} }})()")
    last = canvas.ids()
    canvas.run("(() => { for (let n = 0; n < 100; n++) d.undo(); })()")
    assert np.array_equal(canvas.ids(), first)
    canvas.run("(() => { for (let n = 0; n < 100; n++) d.redo(); })()")
    assert np.array_equal(canvas.ids(), last)
    assert (first != last).sum() == 100


def test_fill_does_not_pass_between_pixels_that_touch_at_corners(canvas: Opened) -> None:
    canvas.run("d.set({size: 1})")
    canvas.choose("wall")
    canvas.drag((95, 95), (0, 0), steps=1)
    canvas.choose("lake")
    canvas.tool("fill")
    canvas.run("d.set({gap: 0})")
    canvas.click(90, 5)
    filled = canvas.ids()
    assert (np.diag(filled) == NUMBER["wall"]).all()
    assert (filled[5, 90], filled[90, 5]) == (NUMBER["lake"], NUMBER["sky"])
    assert (filled == NUMBER["lake"]).sum() == 95 * 96 // 2 + 96 * 32


# --- files and memory -----------------------------------------------------------------------------------------


def test_import_of_label_maps(site: Opened, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ids = np.kron(rng.integers(0, len(CLASSES), (12, 16)), np.ones((8, 8))).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "ids.png")
    Image.fromarray(COLOURS[ids]).save(tmp_path / "colours.png")
    site.page.uncheck("#live")  # so that no image is announced after the file
    site.page.set_input_files("#file", tmp_path / "ids.png")
    site.until("document.querySelector('#state').textContent.includes('class ids')")
    assert np.array_equal(site.ids(), ids)
    site.plain("sky")
    site.page.set_input_files("#file", tmp_path / "colours.png")
    site.until("document.querySelector('#state').textContent.includes('colours of the palette')")
    assert np.array_equal(site.ids(), ids)


def test_refused_file_leaves_the_drawing_and_says_why(browser: Browser, page_server: Running, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (7, 8, 9)).save(tmp_path / "other.png")
    with opened(browser, page_server, refused=True) as site:
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


def saved_with_other_weights(path: Path) -> Path:
    other = path.with_name("other.zip")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as after:
        for name in ("paint_label.png", "paint.json"):
            content = before.read(name)
            after.writestr(name, content.replace(b'"weights_sha256": "', b'"weights_sha256": "other'))
    return other


def test_saved_archive_gives_back_drawing_size_seed_and_styles(site: Opened, tmp_path: Path) -> None:
    page = site.page
    for number in (0, 5):
        page.click(f"#styles .picture >> nth={number}")
        site.until("document.querySelector('#styles [aria-pressed=true].picture')")
    page.locator("#blend").fill("25")
    page.fill("#seed", str(LARGEST_SEED))
    page.keyboard.press("Tab")
    page.select_option("#sizes", "256x192")
    site.drag((20, 20), (90, 60))
    site.settled()
    drawn, image, looks = site.ids(), site.image(), site.run("p.live.look()")
    with page.expect_download() as waiting:
        page.click("#export")
    waiting.value.save_as(tmp_path / "saved.zip")
    held: list[Route] = []
    page.route("**/api/styles/5", lambda route: held.append(route))
    page.reload()
    page.wait_for_selector("body[data-loaded]")
    page.set_input_files("#file", tmp_path / "saved.zip")
    site.until("d.width === 256")
    site.settled()
    page.locator("#styles .picture >> nth=5").wait_for()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()  # the last of the ready-made styles comes after the archive was opened
    page.get_by_text("Night", exact=True).wait_for()
    page.unroute("**/api/styles/5")
    assert np.array_equal(site.ids(), drawn)
    assert site.run("p.live.look()") == looks
    assert (page.input_value("#sizes"), page.input_value("#seed"), looks["blend"]) == (
        "256x192",
        str(LARGEST_SEED),
        0.25,
    )
    assert np.array_equal(site.image(), image)
    pressed = page.locator("#styles .picture[aria-pressed=true]").all_inner_texts()
    assert pressed == ["Day", "Night"]

    page.click("#no-style")
    page.fill("#seed", "1")
    page.click("#undo")
    before = site.ids()
    other = saved_with_other_weights(tmp_path / "saved.zip")
    for answer, seed, ids in (("[value=no]", 1, before), ("#ask-yes", LARGEST_SEED, drawn)):
        page.set_input_files("#file", other)
        page.click(f"#ask {answer}")
        site.until(f"Number(document.querySelector('#seed').value) === {seed}")
        assert np.array_equal(site.ids(), ids)
    assert site.run("p.live.look().style") == ""


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


def test_photograph_becomes_a_drawing(site: Opened, tmp_path: Path) -> None:
    """The stand-in's segmenter takes a pixel for the class of the nearest colour."""
    before, wanted = site.ids(), np.full((HEIGHT, WIDTH), NUMBER["sky"], np.uint8)
    wanted[40:] = NUMBER["sea"]
    wanted[20:60, 30:70] = NUMBER["mountain"]
    Image.fromarray(COLOURS[wanted].repeat(3, 0).repeat(3, 1)).save(tmp_path / "photo.jpg", quality=95)
    site.page.uncheck("#live")  # so that no image is announced after it
    site.page.set_input_files("#photograph", tmp_path / "photo.jpg")
    site.until("document.querySelector('#state').textContent === 'Photograph segmented'")
    assert (site.ids() == wanted).mean() > 0.98
    site.page.click("#undo")
    assert np.array_equal(site.ids(), before)


# --- the files ------------------------------------------------------------------------------------------------


def test_weight_of_the_page_and_that_all_of_it_is_loaded(site: Opened) -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".html", ".js", ".css"}
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    loaded = {url.rpartition("/page/")[2] for url in site.requests if "/page/" in url}
    assert loaded == {file.name for file in files} - {"index.html"}


def test_page_needs_no_network_but_loopback(site: Opened, alone: str, earlier: set[psutil.Process]) -> None:
    """All tests of this file run so, where the kernel allows."""
    if alone:
        pytest.skip(alone)
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    with socket.socket() as outwards:
        assert outwards.connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH
    here = network_of("thread-self")
    assert here != network_of(str(os.getppid()))
    started = set(psutil.Process().children(recursive=True)) - earlier
    assert "chromium" in {each.name() for each in started}
    assert {network_of(str(each.pid)) for each in started if each.status() != psutil.STATUS_ZOMBIE} == {here}
    before = site.settled()
    site.drag((20, 20), (90, 60))
    assert site.settled() > before
