"""Saved archives that are opened again in the drawing page's HTTP interface, and ready-made styles."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from paint_server import IDS, Reply, Running, running
from PIL import Image
from test_paint_api import GRASS, SKY, decoded, ids_of, image_file, upload
from test_paint_files import png_header

from shanshui.landscapes.light import choose_light
from shanshui.landscapes.random_source import RandomSource
from shanshui.landscapes.scene import draw_landscape
from shanshui.painting.ready_styles import DRAWN, SIZE, ready_styles

WIDTH, HEIGHT = 64, 32
MAP = np.full((HEIGHT, WIDTH), SKY, np.uint8)
MAP[20:] = GRASS
MAP[:4, :9] = 255
SEED = 2**53 - 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose weights take styles, and know pixels of no class: 99 in files."""
    with running(tmp_path_factory.mktemp("reopening"), "--style", "--no-class") as served:
        yield served


def style(server: Running, photograph: bytes) -> str:
    reply = upload(server, "style", photograph, "image/jpeg", query="")
    assert reply.status == 200, reply.body
    return str(reply.json["style"])


def exported(server: Running, ids: np.ndarray, query: str) -> dict[str, bytes]:
    """Files of an archive."""
    size = f"width={ids.shape[1]}&height={ids.shape[0]}"
    reply = server.ask("POST", f"/api/export?{size}&{query}", ids.tobytes(), IDS)
    assert reply.status == 200, reply.body
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def reopened(server: Running, files: dict[str, bytes] | bytes) -> Reply:
    data = files if isinstance(files, bytes) else packed(files)
    return server.ask("POST", "/api/open", data, {"Content-Type": "application/zip"})


def changed(files: dict[str, bytes], **entries: Any) -> dict[str, bytes]:
    """The archive with other entries in its record."""
    return files | {"paint.json": json.dumps(json.loads(files["paint.json"]) | entries).encode()}


def report_of(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    found: dict[str, Any] = json.loads(reply.headers["x-report"])
    return found


def generated(server: Running, ids: np.ndarray, report: dict[str, Any]) -> np.ndarray:
    """The image by what a report says."""
    names = dict(zip(("style", "style2"), report["styles"], strict=False))
    size = (ids.shape[1], ids.shape[0])
    return decoded(server.paint(ids.tobytes(), size, seed=report["seed"], blend=report["blend"], format="png", **names))


@pytest.fixture(scope="module")
def saved(server: Running) -> dict[str, bytes]:
    """An archive with two ready-made styles."""
    first, second = (style(server, ready_styles()[name]) for name in ("night", "dusk"))
    return exported(server, MAP, f"seed={SEED}&style={first}&style2={second}&blend=0.25")


def test_archive_gives_back_what_was_saved(server: Running, saved: dict[str, bytes]) -> None:
    reply = reopened(server, saved)
    np.testing.assert_array_equal(ids_of(reply).reshape(HEIGHT, WIDTH), MAP)
    names = json.loads(saved["paint.json"])["style"]["photographs"]
    assert report_of(reply) == {
        "width": WIDTH, "height": HEIGHT, "resized": False, "how": "archive", "seed": SEED, "same_weights": True,
        "blend": 0.25, "styles": names, "photographs": names,
    }  # fmt: skip
    image = decoded(Reply(200, {}, saved["paint.png"]))
    np.testing.assert_array_equal(generated(server, MAP, report_of(reply)), image)


def test_styles_are_in_the_archive_itself(server: Running, saved: dict[str, bytes]) -> None:
    """A server that has never seen the photographs generates and exports the same."""
    server.ask("POST", "/api/weights?number=0", b"", IDS)  # loads them again, and forgets the styles
    server.wait("ready")
    photographs = json.loads(saved["paint.json"])["style"]["photographs"]
    assert server.paint(bytes(64 * 32), (64, 32), style=photographs[0]).json["error"] == "no_style"
    report = report_of(reopened(server, saved))
    assert not set(report["styles"]) & set(photographs)
    assert report["photographs"] == photographs
    image = decoded(Reply(200, {}, saved["paint.png"]))
    np.testing.assert_array_equal(generated(server, MAP, report), image)
    first, second = report["styles"]
    again = exported(server, MAP, f"seed={SEED}&style={first}&style2={second}&blend=0.25")
    assert json.loads(again["paint.json"])["style"] == json.loads(saved["paint.json"])["style"]
    assert report_of(reopened(server, saved))["styles"] == report["styles"]


def test_archive_cannot_replace_the_style_of_a_photograph(server: Running, saved: dict[str, bytes]) -> None:
    name = style(server, ready_styles()["day"])
    before = decoded(server.paint(MAP.tobytes(), (WIDTH, HEIGHT), style=name, format="png"))
    other = {"photographs": [name], "vectors": [[1.0, -1.0, 1.0]], "blend": 0.5}
    report = report_of(reopened(server, changed(saved, style=other)))
    assert report["styles"] != [name]
    assert np.abs(generated(server, MAP, report).astype(int) - before).max() > 20
    again = server.paint(MAP.tobytes(), (WIDTH, HEIGHT), style=name, blend="0.4", format="png")  # not from memory
    assert again.headers["x-cached"] == "0"
    np.testing.assert_array_equal(decoded(again), before)


def test_styles_of_other_weights_are_left_out(server: Running, saved: dict[str, bytes]) -> None:
    report = report_of(reopened(server, changed(saved, weights_sha256="0" * 64)))
    assert (report["same_weights"], report["styles"], report["seed"]) == (False, [], SEED)


def test_sizes_that_the_weights_cannot_make_become_theirs(server: Running, saved: dict[str, bytes]) -> None:
    report = report_of(
        reply := reopened(server, saved | {"paint_label.png": image_file(np.full((40, 50), SKY, np.uint8))})
    )
    assert (report["width"], report["height"], report["resized"]) == (128, 96, True)
    assert set(ids_of(reply)) == {SKY}
    assert len(reply.body) == 128 * 96


def test_classes_are_found_by_name(server: Running, saved: dict[str, bytes]) -> None:
    names = ["grass", "sky", "other"]
    files = np.zeros((HEIGHT, WIDTH), np.uint8)
    files[:, 30:] = 1
    other = changed(saved, classes=names, label_offset=0, ignore_label=None) | {"paint_label.png": image_file(files)}
    found = ids_of(reopened(server, other)).reshape(HEIGHT, WIDTH)
    assert (set(found[:, :30].ravel()), set(found[:, 30:].ravel())) == ({GRASS}, {SKY})
    unknown = reopened(server, changed(other, classes=["lava", "sky"]))
    assert (unknown.status, unknown.json["error"], unknown.json["value"]) == (422, "bad_id", 0)
    assert "lava" in unknown.json["found"]


def test_archives_that_were_packed_again_are_read(server: Running, saved: dict[str, bytes]) -> None:
    moved = {f"paint_7/{name}": content for name, content in saved.items()} | {"paint_7/notes.txt": b"mine"}
    for data in (packed(moved), packed(saved, zipfile.ZIP_DEFLATED)):
        np.testing.assert_array_equal(ids_of(reopened(server, data)).reshape(HEIGHT, WIDTH), MAP)


STYLE = {"photographs": ["0" * 12], "vectors": [[0.0, 0.0, 0.0]], "blend": 0.5}
RECORDS: dict[str, dict[str, Any]] = {
    "negative seed": {"seed": -1}, "large seed": {"seed": 2**53 + 1}, "seed as text": {"seed": "x"},
    "no classes": {"classes": []}, "many classes": {"classes": ["x"] * 256}, "no style entry": {"style": {}},
    "path": {"style": STYLE | {"photographs": ["../../x"]}}, "share": {"style": STYLE | {"blend": 2}},
    "not finite": {"style": STYLE | {"vectors": [[float("nan"), 0.0, 0.0]]}},
    "short vector": {"style": STYLE | {"vectors": [[0.0]]}},
    "three styles": {"style": STYLE | {"photographs": ["0" * 12] * 3, "vectors": [[0.0] * 3] * 3}},
    "vectors missing": {"style": STYLE | {"photographs": ["0" * 12] * 2}},
    "offset": {"label_offset": 10**30}, "no class": {"ignore_label": -(10**30)}, "other values": {"label_offset": 20},
}  # fmt: skip
FILES: dict[str, dict[str, bytes | None]] = {
    "no record": {"paint.json": None}, "no label map": {"paint_label.png": None}, "two": {"x/paint.json": b"{}"},
    "text": {"paint.json": b"text"}, "list": {"paint.json": b"[]"}, "empty": {"paint.json": b""},
    "deep": {"paint.json": b"[" * 200_000}, "no image": {"paint_label.png": b"no image"},
    "many": {f"{n}.txt": b"" for n in range(101)},
}  # fmt: skip


@pytest.mark.parametrize("case", [*RECORDS, *FILES])
def test_archives_that_are_none_are_refused(server: Running, saved: dict[str, bytes], case: str) -> None:
    if case in RECORDS:
        files = changed(saved, **RECORDS[case])
    else:
        files = {name: content for name, content in (saved | FILES[case]).items() if content is not None}
    reply = reopened(server, files)
    assert (reply.status, reply.json["error"]) == (422, "bad_image"), reply.body
    assert "/proc" not in reply.body.decode()


def test_damaged_zips_are_refused(server: Running, saved: dict[str, bytes]) -> None:
    whole, pid = packed(saved), server.engine.pid
    encrypted = bytearray(whole)
    encrypted[6] |= 1
    encrypted[whole.index(b"PK\1\2") + 8] |= 1
    for data in (b"", b"text", whole[: len(whole) // 2], bytes(encrypted), b"PK\5\6" + bytes(18)):
        reply = reopened(server, data)
        assert (reply.status, reply.json["error"]) == (422, "bad_image"), reply.body
    assert server.engine.pid == pid


def test_large_contents_are_refused_before_they_are_read(server: Running, saved: dict[str, bytes]) -> None:
    """A record and a label map of 40 MB each in a zip of 80 kB, 400 megapixels, and a zip that is too large."""
    for name in ("paint.json", "paint_label.png"):
        data = packed(saved | {name: bytes(40 << 20)}, zipfile.ZIP_DEFLATED)
        assert len(data) < 200_000
        assert reopened(server, data).json["error"] == "too_large"
    assert reopened(server, saved | {"paint_label.png": png_header(20000, 20000)}).json["error"] == "too_large"
    reply = reopened(server, bytes((16 << 20) + 1))
    assert (reply.status, reply.json["error"]) == (413, "too_large")


# --- ready-made styles --------------------------------------------------------------------------------


def test_ready_made_styles_differ(server: Running) -> None:
    listed = server.get("/api/styles").json
    assert [(each["number"], each["name"]) for each in listed] == list(enumerate(DRAWN))
    means = []
    for each in listed:
        photograph = server.get(f"/api/styles/{each['number']}")
        assert style(server, photograph.body) == each["style"]
        assert photograph.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(photograph.body)).size == SIZE.width_first
        image = server.paint(MAP.tobytes(), (WIDTH, HEIGHT), style=each["style"], format="png")
        means.append(decoded(image)[25].mean(0))
    distances = np.linalg.norm(np.array(means)[:, None] - np.array(means), axis=-1)
    assert (distances + np.eye(len(means)) * 99 > 3).all()


@pytest.mark.parametrize("number", ["6", "-1", "x", "..", "%2e%2e", "day", "0/0"])
def test_styles_that_do_not_exist(server: Running, number: str) -> None:
    reply = server.get(f"/api/styles/{number}")
    assert (reply.status, reply.json["error"]) == (404, "not_found")


def test_archive_holds_the_photographs_of_ready_made_styles(saved: dict[str, bytes]) -> None:
    first, second = json.loads(saved["paint.json"])["style"]["photographs"]
    assert saved[f"photograph-{first}"] == ready_styles()["night"]
    assert saved[f"photograph-{second}"] == ready_styles()["dusk"]
    assert f"--style photograph-{first} photograph-{second}" in json.loads(saved["paint.json"])["command"]


def test_photographs_are_drawn_by_the_embedded_landscapes() -> None:
    """Each in the light it is named after; the files are those that the package draws, but for JPEG's errors."""
    assert {name: choose_light(RandomSource(seed, 1)).name for name, (seed, _) in DRAWN.items()} == {
        name: name for name in DRAWN
    }
    drawn, _ = draw_landscape(DRAWN["dusk"][0], SIZE, DRAWN["dusk"][1])
    packaged = np.asarray(Image.open(io.BytesIO(ready_styles()["dusk"])))
    assert np.abs(packaged.astype(int) - drawn).mean() < 4
