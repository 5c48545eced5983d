"""Image files that are uploaded to the drawing page: label maps, photographs, and what is none of them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paint_server import Running, running
from PIL import Image
from test_paint_api import CLASSES, GRASS, HEIGHT, HERE, OTHER, PALETTE, SKY, WIDTH, ids_of, image_file, upload

MAP = np.full((48, 64), SKY, np.uint8)
MAP[24:] = GRASS
MAP[40:, :10] = OTHER
SHOWN = MAP.repeat(2, 0).repeat(2, 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("files"), "--style") as served:
        yield served


def indexed(ids: np.ndarray, palette: list[int]) -> bytes:
    image = Image.fromarray(ids).convert("P")
    image.frombytes(ids.tobytes())
    image.putpalette(palette)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


SHUFFLED = np.array([SKY, GRASS, OTHER])  # a palette of these three classes, in this order
GREYS = [value for grey in range(256) for value in (grey, grey, grey)]
WAYS = {
    "grey ids": (image_file(MAP), "ids"),
    "grey ids in three channels": (image_file(np.stack([MAP] * 3, -1)), "ids"),
    "grey ids as BMP": (image_file(MAP, "BMP"), "ids"),
    "indices with a palette of greys": (indexed(MAP, GREYS), "palette_index"),
    "indices with the classes' colours": (indexed(MAP, PALETTE.ravel().tolist()), "exact_colours"),
    "colours": (image_file(PALETTE[MAP]), "exact_colours"),
    "colours as BMP": (image_file(PALETTE[MAP], "BMP"), "exact_colours"),
    "opaque colours": (image_file(np.dstack([PALETTE[MAP], np.full(MAP.shape, 255, np.uint8)])), "exact_colours"),
    "colours of another order": (
        indexed(np.searchsorted(np.sort(SHUFFLED), MAP).astype(np.uint8), PALETTE[np.sort(SHUFFLED)].ravel().tolist()),
        "exact_colours",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_label_maps_are_read(server: Running, way: str) -> None:
    data, how = WAYS[way]
    reply = upload(server, "import", data, "image/bmp" if data.startswith(b"BM") else "image/png")
    np.testing.assert_array_equal(ids_of(reply).reshape(HEIGHT, WIDTH), SHOWN)
    report = json.loads(reply.headers["x-report"])
    assert (report["width"], report["height"], report["resized"], report["how"]) == (64, 48, True, how)
    assert report["ids"] == {str(value): int((value == SHOWN).sum()) for value in (SKY, GRASS, OTHER)}
    assert report["no_class"] == 0


def coloured(*changes: tuple[int, tuple[int, int, int]]) -> np.ndarray:
    pixels = PALETTE[MAP].copy()
    for at, colour in changes:
        pixels[0, at] = colour
    return pixels


def test_colours_that_are_no_class_are_named_with_the_nearest(server: Running) -> None:
    sky = tuple(int(x) for x in PALETTE[SKY])
    reply = upload(server, "import", image_file(coloured((0, (sky[0], sky[1], sky[2] - 1)), (1, (255, 0, 255)))))
    assert (reply.status, reply.json["error"]) == (422, "bad_colours")
    found = {each["colour"]: each for each in reply.json["colours"]}
    assert set(found) == {"#7ebeeb", "#ff00ff"}
    assert found["#7ebeeb"] == {"colour": "#7ebeeb", "pixels": 1, "nearest": "sky"}


def test_photograph_is_no_label_map(server: Running) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    reply = upload(server, "import", image_file(noise))
    assert (reply.status, reply.json["error"]) == (422, "bad_colours")
    assert "segmented" in reply.json["advice"]


def test_ids_that_are_no_class_are_counted(server: Running) -> None:
    wrong = MAP.copy()
    wrong[0, :5] = 77
    reply = upload(server, "import", image_file(wrong))
    assert (reply.status, reply.json["error"], reply.json["values"]) == (422, "bad_id", {"77": 5})


def test_transparent_colours_are_refused(server: Running) -> None:
    clear = np.dstack([PALETTE[MAP], np.full(MAP.shape, 254, np.uint8)])
    assert upload(server, "import", image_file(clear)).json["error"] == "bad_colours"


# --- what is no image, or too large -------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it has this size, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("route", ["import", "style", "segment"])
@pytest.mark.parametrize("side", [5000, 20000, 100000])
def test_pixels_are_limited_before_decoding(server: Running, route: str, side: int) -> None:
    reply = upload(server, route, png_header(side, side), query="" if route == "style" else HERE)
    assert (reply.status, reply.json["error"]) == (413, "too_large")


def test_bomb_that_is_a_whole_image_is_refused_at_once(server: Running) -> None:
    """81 megapixels in 11 kB."""
    out = io.BytesIO()
    Image.new("1", (9000, 9000)).save(out, "PNG")
    assert len(out.getvalue()) < 100_000
    reply = upload(server, "import", out.getvalue())
    assert (reply.status, reply.json["error"]) == (413, "too_large")


@pytest.mark.parametrize("route", ["import", "style", "segment"])
@pytest.mark.parametrize("case", ["empty", "text", "cut", "flipped", "GIF", "TIFF", "WEBP", "two images"])
def test_files_that_cannot_be_read_are_refused(server: Running, route: str, case: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 29, (40, 40)).astype(np.uint8)
    whole = image_file(pixels)
    at = whole.index(b"IDAT") + 40
    data = {
        "empty": b"", "text": b"no image", "cut": whole[: len(whole) // 2],
        "flipped": whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :],
        **{form: image_file(pixels, form) for form in ("GIF", "TIFF", "WEBP")},
    }  # fmt: skip
    if case == "two images":
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", save_all=True, append_images=[Image.fromarray(pixels.T)])
        data[case] = out.getvalue()
    reply = upload(server, route, data[case], query="" if route == "style" else HERE)
    assert (reply.status, reply.json["error"]) == (422, "bad_image"), reply.body
    assert "/proc" not in reply.body.decode()


def test_jpeg_is_no_label_map(server: Running) -> None:
    """Whether its type says so or its content."""
    photo = image_file(PALETTE[MAP], "JPEG")
    assert upload(server, "import", photo, "image/jpeg").json["error"] == "bad_type"
    assert upload(server, "import", photo, "image/png").json["error"] == "bad_image"


@pytest.mark.parametrize(("route", "most"), [("import", 4 << 20), ("style", 8 << 20), ("segment", 8 << 20)])
def test_bytes_are_limited(server: Running, route: str, most: int) -> None:
    reply = upload(server, route, bytes(most + 1), query="" if route == "style" else HERE)
    assert (reply.status, reply.json["error"], reply.json["most"]) == (413, "too_large", most)


def test_orientation_of_a_photograph_is_applied(server: Running) -> None:
    """And its thumbnail says so."""
    import base64

    exif = Image.Exif()
    exif[0x0112] = 6
    photo = image_file(np.zeros((20, 40, 3), np.uint8), "JPEG", exif=exif)
    thumbnail = upload(server, "style", photo, "image/jpeg", query="").json["thumbnail"]
    assert Image.open(io.BytesIO(base64.b64decode(thumbnail.partition(",")[2]))).size == (20, 40)


def test_nothing_is_written(server: Running, tmp_path: Path) -> None:
    """The worker's open files after uploads: no temporary ones."""
    upload(server, "import", WAYS["colours"][0])
    upload(server, "import", b"no image")
    assert server.engine.pid is not None
    opened = [path.readlink() for path in Path(f"/proc/{server.engine.pid}/fd").iterdir()]
    assert [str(path) for path in opened if "tmp" in str(path) or "upload" in str(path)] == []
    assert len(CLASSES) == 29
