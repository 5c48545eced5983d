"""2,000 random requests: each is answered or refused with a reason, never with a failure, and memory stays."""

from __future__ import annotations

import functools
import io
import json
import math
import random
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
from paint_server import Reply, Running, running
from PIL import Image
from test_paint_guard import head, raw

from shanshui.data.landscape_classes import CLASSES
from shanshui.painting.refusals import STATUS

SEED, CASES = 20261128, 2000
MOST_GROWTH = 50 << 20
PIXELS = 64 * 32
Case = tuple[str, dict[str, str], bytes]  # path with query, headers, body
WORDS = [
    "",
    "0",
    "-1",
    "64",
    "32",
    "1024",
    "1e9",
    "9" * 40,
    "nan",
    "..",
    "/etc/passwd",
    "\0",
    "é",
    "%",
    "a" * 300,
    "{}",
]
NAMES = ["width", "height", "seed", "style", "style2", "blend", "format", "client", "number", "token", "x", ""]


@functools.cache
def samples() -> list[tuple[str, bytes]]:
    """Image files of many kinds, with the types they are sent as."""
    rng = np.random.default_rng(SEED)
    ids = rng.integers(0, 29, (24, 40)).astype(np.uint8)
    found = []
    for form, kind in (("PNG", "image/png"), ("JPEG", "image/jpeg"), ("BMP", "image/bmp"), ("GIF", "image/png"),
                       ("TIFF", "image/png")):  # fmt: skip
        for mode in ("1", "L", "P", "RGB", "RGBA", "I;16", "CMYK", "LA", "I"):
            image = Image.fromarray(ids)
            out = io.BytesIO()
            try:
                (image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(out, form)
            except (OSError, ValueError):
                continue
            found.append((kind, out.getvalue()))
    return found


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Cut, flipped, with a huge size in the header, repeated, or as it is."""
    way, changed = rng.randrange(6), bytearray(data)
    if way == 0:
        return data[: rng.randrange(len(data) + 1)]
    if way == 1:
        for _ in range(rng.randrange(1, 20)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif way == 2 and data.startswith(b"\x89PNG"):
        changed[16:24] = struct.pack(">II", rng.randrange(2**32), rng.randrange(2**32))
    elif way == 2 and (at := data.find(b"\xff\xc0")) >= 0:
        changed[at + 5 : at + 9] = struct.pack(">HH", rng.randrange(2**16), rng.randrange(2**16))
    elif way == 3:
        at = rng.randrange(len(changed))
        changed[at:at] = rng.randbytes(rng.randrange(200))
    elif way == 4:
        return data + data[: rng.randrange(len(data))]
    return bytes(changed)


def upload(rng: random.Random) -> Case:
    kind, data = rng.choice(samples())
    route = rng.choice(["/api/import?width=64&height=32", "/api/style", "/api/segment?width=64&height=32"])
    body = rng.randbytes(rng.randrange(3000)) if rng.random() < 0.1 else damaged(rng, data)
    kind = kind if rng.random() < 0.9 else rng.choice(["image/png", "image/jpeg", "image/bmp"])
    return route, {"Content-Type": kind}, body


def archive(rng: random.Random) -> Case:
    """A saved archive with wrong entries in its record, another label map, or damaged bytes."""
    record: dict[str, object] = {
        "weights_sha256": "x", "seed": 1, "classes": list(CLASSES), "label_offset": 0, "ignore_label": None,
        "style": {"photographs": ["0" * 12], "vectors": [[0.5, 0.5, 0.5]], "blend": 0.5},
    }  # fmt: skip
    for name in rng.sample(sorted(record), rng.randrange(3)):
        record[name] = rng.choice([*WORDS, None, -1, 2**64, 1.5, math.nan, [], [[]], {}, record])
    maps = [content for kind, content in samples() if kind == "image/png"]  # the second holds class ids
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        file.writestr(rng.choice(["paint_label.png", "x/paint_label.png"]), rng.choice([maps[1], rng.choice(maps)]))
        file.writestr("paint.json", dumped(rng, record))
    body = damaged(rng, out.getvalue()) if rng.random() < 0.5 else out.getvalue()
    return "/api/open", {"Content-Type": "application/zip"}, body


def dumped(rng: random.Random, record: dict[str, object]) -> str:
    try:
        return json.dumps(record)
    except ValueError:  # it holds itself
        return "[" * rng.randrange(100_000)


def runs(rng: random.Random) -> Case:
    lengths, left = [], PIXELS
    while left and rng.random() < 0.98:
        lengths.append(rng.randrange(1, min(left, 65535) + 1) if rng.random() < 0.9 else rng.randrange(65536))
        left -= min(left, lengths[-1])
    body = b"".join(struct.pack(">HB", length, rng.randrange(30)) for length in lengths)
    body = damaged(rng, body) if body and rng.random() < 0.5 else body
    return "/api/paint?width=64&height=32", {"Content-Type": "application/x-runs"}, body


def drawing(rng: random.Random) -> Case:
    body = bytes([rng.randrange(29)]) * PIXELS if rng.random() < 0.5 else rng.randbytes(rng.randrange(2 * PIXELS))
    route = rng.choice(["/api/paint", "/api/export"])
    seed = rng.randrange(1000)
    return (
        f"{route}?width=64&height=32&seed={seed}&client=c{seed % 3}",
        {"Content-Type": "application/octet-stream"},
        body,
    )


def query(rng: random.Random) -> Case:
    pairs = [f"{quote(rng.choice(NAMES))}={quote(rng.choice(WORDS))}" for _ in range(rng.randrange(8))]
    ends = ("paint", "export", "import", "segment", "open", "style", "styles", "weights", "nothing")
    route = f"/api/{rng.choice(ends)}"
    kind = rng.choice(["application/octet-stream", "image/png", "application/x-runs", "text/html", "é", ""])
    return f"{route}?{'&'.join(pairs)}", {"Content-Type": kind}, rng.randbytes(rng.choice([0, 1, PIXELS]))


def address(rng: random.Random) -> Case:
    parts = [
        quote(rng.choice([*WORDS, "page", "api", "examples", "styles", "model", "index.html"]), safe="./%")
        for _ in range(3)
    ]
    return "/" + "/".join(parts), {rng.choice(["X-A", "Cookie", "Range", "If-None-Match"]): rng.choice(WORDS[:-6])}, b""


KINDS: list[tuple[Callable[[random.Random], Case], int]] = [
    (upload, 8), (archive, 2), (runs, 3), (drawing, 4), (query, 4), (address, 1),
]  # fmt: skip


def checked(reply: Reply, case: Case) -> str:
    """The kind of an answer, after a look at its form."""
    assert reply.status < 500, (case, reply.body)
    if reply.status >= 400:
        content = json.loads(reply.body)
        assert STATUS[content["error"]] == reply.status
        assert content["found"]
        assert "Traceback" not in reply.body.decode()
        assert "/proc" not in reply.body.decode()
        return str(content["error"])
    assert reply.status in (200, 202, 204, 304)
    return f"{reply.status} {reply.headers.get('content-type', '')}"


def garbage(server: Running, rng: random.Random) -> None:
    """Bytes that are hardly a request: an answer of 4xx, or none."""
    data = damaged(rng, head(server, b"POST", **{"Content_Type": "image/png", "Content_Length": "5"}) + b"12345")
    found = raw(server, data + b"\r\n\r\n", wait=0.3)
    assert not found or found.split()[1][:1] in b"24", (data, found)


def memory(server: Running) -> int:
    return psutil.Process().memory_info().rss + psutil.Process(server.engine.pid).memory_info().rss


def test_random_requests(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    kinds, shares = zip(*KINDS, strict=True)
    counts: Counter[str] = Counter()
    routes: Counter[tuple[str, bool]] = Counter()  # and whether it was answered
    with running(tmp_path, "--style") as server:
        before, pid = 0, server.engine.pid
        for number in range(CASES):
            if number == CASES // 10:  # after the first of every kind, when everything has been imported
                before = memory(server)
            path, headers, body = case = rng.choices(kinds, shares)[0](rng)
            method = "GET" if not body and rng.random() < 0.5 else "POST"
            sent = {name: value.encode("utf-8").decode("latin-1").replace("\0", "") for name, value in headers.items()}
            kind = checked(server.ask(method, path, body, sent), case)
            counts[kind] += 1
            routes[path.partition("?")[0], kind.startswith("200")] += 1
        for _ in range(20):
            garbage(server, rng)
        grown = memory(server) - before
        assert server.engine.pid == pid, "the worker died"
        assert server.engine.state.name == "ready"
    print(counts, grown >> 20)
    assert grown < MOST_GROWTH
    assert {"bad_image", "bad_length", "bad_id", "bad_query", "bad_size", "bad_type", "too_large"} <= set(counts)
    for name in ("import", "style", "segment", "open"):
        assert min(routes[f"/api/{name}", answered] for answered in (True, False)) > CASES // 100, name
    assert sum(number for kind, number in counts.items() if kind.startswith("200")) > CASES // 10
