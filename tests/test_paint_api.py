"""The HTTP interface of the drawing page: every route, and what it refuses of well-formed requests."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paint_server import IDS, Reply, Running, running
from PIL import Image

from shanshui.data.labels import Classes
from shanshui.data.landscape_classes import CLASSES
from shanshui.data.palette import class_palette
from shanshui.painting.pages import PageFile

WIDTH, HEIGHT = 128, 96
PIXELS = WIDTH * HEIGHT
SKY, GRASS, OTHER = (CLASSES.index(name) for name in ("sky", "grass", "other"))
DRAWING = bytes([SKY]) * (PIXELS // 2) + bytes([GRASS]) * (PIXELS // 2)
PALETTE = class_palette(list(CLASSES))
HERE = f"width={WIDTH}&height={HEIGHT}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("plain")) as served:
        yield served


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose weights take styles, and know pixels of no class."""
    with running(tmp_path_factory.mktemp("styled"), "--style", "--no-class") as served:
        yield served


def image_file(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def decoded(reply: Reply) -> np.ndarray:
    assert reply.status == 200, reply.body
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGB"))


class BrokenFiles(dict[str, PageFile]):
    """Files of a page that cannot be had."""

    def get(self, name: str, default: Any = None) -> Any:
        raise RuntimeError("a secret of the server")


def upload(server: Running, route: str, body: bytes, kind: str = "image/png", query: str = HERE) -> Reply:
    return server.ask("POST", f"/api/{route}?{query}", body, {"Content-Type": kind})


def ids_of(reply: Reply) -> np.ndarray:
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/octet-stream"
    return np.frombuffer(reply.body, np.uint8)


# --- the page and its state ---------------------------------------------------------------------------


def test_page_is_served_with_a_tag(server: Running) -> None:
    page = server.get("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-cache"
    assert server.get("/page/index.html").body == page.body
    again = server.get("/", If_None_Match=page.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    head = server.ask("HEAD", "/")
    assert (head.status, head.body) == (200, b"")


def test_model_is_described(server: Running, styled: Running) -> None:
    model = server.get("/api/model").json
    assert (model["name"], model["generator"], model["size"]) == ("stand-in", "colouring", [WIDTH, HEIGHT])
    assert [WIDTH, HEIGHT] in model["sizes"]
    assert all(side % model["multiple"] == 0 for size in model["sizes"] for side in size)
    assert [each["name"] for each in model["classes"]] == list(CLASSES)
    assert model["classes"][SKY] == {"id": SKY, "name": "sky", "zh": "天空", "group": "sky", "colour": "#7ebeec"}
    assert {each["group"] for each in model["classes"]} == {
        "sky", "land", "plants", "water", "built", "things", "other",
    }  # fmt: skip
    assert len({each["zh"] for each in model["classes"]}) == len(CLASSES)
    assert (model["no_class"], model["takes_style"], model["takes_seed"]) == (None, False, True)
    assert (model["live"], model["seed"], model["loaded"]) == (True, 0, 0)
    assert model["weights"] == [{"number": 0, "name": "stand-in"}]
    assert (styled.get("/api/model").json["no_class"], styled.get("/api/model").json["takes_style"]) == (255, True)


def test_events_begin_with_the_state(server: Running) -> None:
    first = next(server.events("someone"))
    assert (first["state"], first["queue"], first["place"], first["error"]) == ("ready", 0, None, None)
    assert (first["weights"], first["restarts"]) == (0, 0)


def test_error_of_the_server_is_answered_without_its_cause(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, files=BrokenFiles()) as broken:
        for path in ("/", "/page/main.js"):
            reply = broken.get(path)
            assert reply.status == 500
            assert reply.json == {
                "error": "server_error",
                "found": "an error of the server",
                "wanted": "",
                "advice": "",
            }
            assert reply.headers["x-content-type-options"] == "nosniff"
        assert broken.paint(DRAWING).status == 200
    printed = capfd.readouterr().err
    assert "'/page/main.js': RuntimeError: a secret of the server" in printed
    assert "Traceback" not in printed


# --- drawings -----------------------------------------------------------------------------------------


def test_image_of_a_drawing(server: Running) -> None:
    reply = server.paint(DRAWING, format="png", client="a", number=7)
    assert (reply.headers["content-type"], reply.headers["x-number"]) == ("image/png", "7")
    assert float(reply.headers["x-seconds"]) >= 0
    found = decoded(reply)
    assert found.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(found[0, 0], PALETTE[SKY])
    np.testing.assert_array_equal(found[-1, -1], PALETTE[GRASS])
    photo = server.paint(DRAWING, client="a")
    assert photo.headers["content-type"] == "image/jpeg"
    assert np.abs(decoded(photo).astype(int) - found).max() < 20


def test_equal_drawings_come_from_memory_until_newer_ones_replace_them(server: Running) -> None:
    def cached(seed: int, **query: object) -> str:
        return server.paint(DRAWING, seed=seed, **query).headers["x-cached"]

    assert [cached(200), cached(200), cached(201), cached(200, format="png")] == ["0", "1", "0", "0"]
    first = server.paint(DRAWING, seed=200)
    assert first.headers["x-cached"] == "1"
    assert [cached(300 + i) for i in range(16)] == ["0"] * 16
    assert cached(200) == "0"


def test_other_sizes(server: Running) -> None:
    assert decoded(server.paint(bytes(64 * 32), (64, 32))).shape == (32, 64, 3)
    assert decoded(server.paint(bytes(1024 * 32), (1024, 32))).shape == (32, 1024, 3)


def test_ids_as_runs(server: Running) -> None:
    runs = struct.pack(">HBHB", PIXELS // 2, SKY, PIXELS // 2, GRASS)
    sent = server.ask("POST", f"/api/paint?{HERE}&format=png", runs, {"Content-Type": "application/x-runs"})
    np.testing.assert_array_equal(decoded(sent), decoded(server.paint(DRAWING, format="png")))


@pytest.mark.parametrize(
    "runs",
    [b"", b"\0\1", struct.pack(">HB", PIXELS - 1, 0), struct.pack(">HB", PIXELS + 1, 0),
     struct.pack(">HBHB", PIXELS, 0, 0, 1), struct.pack(">HB", PIXELS, 0) + b"\0"],
)  # fmt: skip
def test_runs_that_do_not_sum_up_are_refused(server: Running, runs: bytes) -> None:
    reply = server.ask("POST", f"/api/paint?{HERE}", runs, {"Content-Type": "application/x-runs"})
    assert (reply.status, reply.json["error"]) == (400, "bad_length")


@pytest.mark.parametrize(("body", "found"), [(DRAWING[:-1], "12287"), (DRAWING + b"\1", "12289"), (b"", "0 ")])
def test_ids_of_another_number_are_refused(server: Running, body: bytes, found: str) -> None:
    reply = server.paint(body)
    assert reply.json["error"] == ("too_large" if len(body) > PIXELS else "bad_length")
    assert reply.status == (413 if len(body) > PIXELS else 400)
    assert found in reply.json["found"]


@pytest.mark.parametrize("value", [29, 254, 255])
def test_ids_that_are_no_class_are_refused_with_their_place(server: Running, value: int) -> None:
    ids = np.full((HEIGHT, WIDTH), SKY, np.uint8)
    ids[40, 17:20] = value
    reply = server.paint(ids.tobytes())
    assert (reply.status, reply.json["error"]) == (422, "bad_id")
    assert [reply.json[name] for name in ("value", "count", "x", "y")] == [value, 3, 17, 40]


def test_no_class_is_for_weights_that_know_it(styled: Running) -> None:
    ids = bytes([255]) * PIXELS
    assert not decoded(styled.paint(ids, format="png")).any()
    assert styled.paint(bytes([254]) * PIXELS).json["error"] == "bad_id"


SIZES = ["0", "-32", "1000000000", "100", "31", "1056", "x", "", "32.0", "1e2", "%00", "٣٢", "9" * 30]


@pytest.mark.parametrize("side", SIZES)
@pytest.mark.parametrize("name", ["width", "height"])
def test_sizes_that_cannot_be_made_are_refused(server: Running, name: str, side: str) -> None:
    from urllib.parse import quote

    query = {"width": "128", "height": "96", name: side if side.startswith("%") else quote(side)}
    reply = server.ask("POST", "/api/paint?" + "&".join(f"{k}={v}" for k, v in query.items()), DRAWING, IDS)
    assert (reply.status, reply.json["error"]) == (400, "bad_size")


@pytest.mark.parametrize(
    "query",
    ["seed=-1", f"seed={2**63}", "seed=x", "seed=", "seed=1.5", "seed=1&seed=2", "format=gif", "blend=2", "blend=-0.1",
     "blend=nan", "client=a/b", f"client={'a' * 65}", "number=-1", "number=x", "style=../x", "style2=0123456789ab",
     "style=0123456789AB", "unknown=1", "width=128"],
)  # fmt: skip
def test_other_parameters_are_refused(server: Running, query: str) -> None:
    reply = server.ask("POST", f"/api/paint?{HERE}&{query}", DRAWING, IDS)
    assert (reply.status, reply.json["error"]) == (400, "bad_query"), reply.body
    assert set(reply.json) == {"error", "found", "wanted", "advice"}


def test_largest_seed_is_taken(server: Running) -> None:
    assert server.paint(DRAWING, seed=2**63 - 1).status == 200


def test_export_holds_four_files(server: Running) -> None:
    reply = server.ask("POST", f"/api/export?{HERE}&seed=5&client=a", DRAWING, IDS)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/zip")
    assert "paint.zip" in reply.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert list(files) == ["paint_label.png", "paint_colour.png", "paint.png", "paint.json"]
    label, colour, image = (Image.open(io.BytesIO(files[name])) for name in list(files)[:3])
    assert (label.mode, label.tobytes()) == ("L", DRAWING)
    np.testing.assert_array_equal(np.asarray(colour)[0, 0], PALETTE[SKY])
    np.testing.assert_array_equal(np.asarray(image), decoded(server.paint(DRAWING, seed=5, format="png")))
    record = json.loads(files["paint.json"])
    assert (record["width"], record["height"], record["seed"], record["name"]) == (WIDTH, HEIGHT, 5, "paint")
    assert record["classes"] == list(CLASSES)
    assert record["weights"] == "stand-in.safetensors"
    assert "--seed 5" in record["command"]
    assert "--size" not in record["command"]
    again = upload(server, "import", files["paint_label.png"])
    assert ids_of(again).tobytes() == DRAWING
    assert ids_of(upload(server, "import", files["paint_colour.png"])).tobytes() == DRAWING


def test_export_writes_ids_as_files_of_the_weights_do(styled: Running) -> None:
    """No class is 99 in files of this stand-in."""
    ids = DRAWING[:-1] + b"\xff"
    reply = styled.ask("POST", f"/api/export?{HERE}", ids, IDS)
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        label = np.asarray(Image.open(io.BytesIO(archive.read("paint_label.png"))))
    assert label[-1, -1] == 99
    assert Classes(CLASSES, 0, 99).ids(label).tobytes() == ids
    assert ids_of(upload(styled, "import", image_file(label))).tobytes() == ids


# --- styles -------------------------------------------------------------------------------------------

RED, BLUE = (image_file(np.full((40, 60, 3), colour, np.uint8)) for colour in ((250, 0, 0), (0, 0, 250)))


def test_styles_change_the_image_and_blend(styled: Running) -> None:
    red, blue = (upload(styled, "style", photo, query="").json for photo in (RED, BLUE))
    assert len(red["style"]) == 12
    assert red["style"] != blue["style"]
    kind, _, content = red["thumbnail"].partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (60, 40)
    plain, lit, half = (
        decoded(styled.paint(DRAWING, format="png", **query)).astype(int)
        for query in (
            {},
            {"style": red["style"]},
            {"style": red["style"], "style2": blue["style"], "blend": 0.5},
        )
    )
    assert (lit[..., 0] > plain[..., 0]).all()
    assert (half[..., 0] < lit[..., 0]).all()
    assert (half[..., 2] > lit[..., 2]).all()
    exported = styled.ask("POST", f"/api/export?{HERE}&style={red['style']}", DRAWING, IDS)
    with zipfile.ZipFile(io.BytesIO(exported.body)) as archive:
        record = json.loads(archive.read("paint.json"))
    assert record["style"]["photographs"] == [red["style"]]
    assert len(record["style"]["vectors"][0]) == 3


def test_styles_that_are_not_kept_are_refused(server: Running, styled: Running) -> None:
    for reply in (styled.paint(DRAWING, style="0" * 12), server.paint(DRAWING, style="0" * 12),
                  upload(server, "style", RED, query="")):  # fmt: skip
        assert (reply.status, reply.json["error"]) == (409, "no_style")
    assert server.get("/api/styles").json == []


def test_thirty_two_styles_are_kept(styled: Running) -> None:
    names = [
        upload(styled, "style", image_file(np.full((8, 8, 3), value, np.uint8)), query="").json["style"]
        for value in range(33)
    ]
    assert styled.paint(DRAWING, style=names[0]).json["error"] == "no_style"
    assert styled.paint(DRAWING, style=names[1]).status == 200


# --- examples -----------------------------------------------------------------------------------------


def test_examples_are_scenes_of_the_embedded_dataset(server: Running) -> None:
    listed = server.get("/api/examples").json
    assert [each["number"] for each in listed] == list(range(len(listed)))
    assert {"lake", "beach", "alps"} <= {each["name"] for each in listed}
    for each in listed:
        ids = ids_of(server.get(f"/api/examples/{each['number']}"))
        assert (len(ids), ids.max() < len(CLASSES), len(set(ids)) > 3) == (PIXELS, True, True)
    assert len(ids_of(server.get("/api/examples/0?width=64&height=64"))) == 64 * 64


@pytest.mark.parametrize("number", ["9", "99", "-1", "x", "0.0", "٣", "..", "%2e%2e", "1000000", "0/0"])
def test_examples_that_do_not_exist(server: Running, number: str) -> None:
    from urllib.parse import quote

    reply = server.get(f"/api/examples/{quote(number, safe='/%.')}")
    assert (reply.status, reply.json["error"]) == (404, "not_found")


def test_given_label_maps_are_the_examples(tmp_path: Path) -> None:
    from shanshui.painting.engine import Offer

    (tmp_path / "maps").mkdir()
    for name, value in (("one", SKY), ("two", GRASS), ("wrong", 77)):
        Image.fromarray(np.full((10, 10), value, np.uint8)).save(tmp_path / "maps" / f"{name}.png")
    weights = str(tmp_path / "stand-in.safetensors")
    with running(tmp_path, offer=Offer([weights], labels=str(tmp_path / "maps"))) as served:
        assert [each["name"] for each in served.get("/api/examples").json] == ["one", "two", "wrong"]
        assert set(ids_of(served.get("/api/examples/1"))) == {GRASS}
        assert served.get("/api/examples/2").json["error"] == "bad_id"
