"""Parameters of requests, and the two forms in which class ids travel; everything unexpected is refused."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import QueryParams

from shanshui.painting.frames import Model
from shanshui.painting.limits import LARGEST_SIDE, MOST_RUNS, RUN_BYTES, SMALLEST_SIDE
from shanshui.painting.refusals import Refusal

WHOLE = re.compile(r"-?[0-9]{1,20}")
SHARE = re.compile(r"[01](\.[0-9]{1,9})?")
CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
STYLE = re.compile(r"[0-9a-f]{12}")
LARGEST_SEED = 2**63 - 1
LARGEST_NUMBER = 2**53
IDS, RUNS = "application/octet-stream", "application/x-runs"


@dataclass(frozen=True)
class Drawing:
    """What a request for an image asks for, in addition to the class ids."""

    width: int
    height: int
    seed: int
    styles: tuple[str, ...]
    blend: float
    format: Literal["jpeg", "png"]
    client: str
    number: int


def check_names(query: QueryParams, known: Iterable[str]) -> None:
    """Check that a query has known names, each once.

    Raises:
        Refusal: it has not.
    """
    known = tuple(known)
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if name not in known:
            raise Refusal("bad_query", f"a parameter {name[:40]!r}", ", ".join(known) or "no parameters")
        if names.count(name) > 1:
            raise Refusal("bad_query", f"{name} is given {names.count(name)} times", "once")


def whole(query: QueryParams, name: str, default: int | None, least: int, most: int, code: str = "bad_query") -> int:
    """Parse a whole number from `least` to `most`.

    Raises:
        Refusal: it is missing without a default, no number, or outside.
    """
    text = query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not WHOLE.fullmatch(text) or not least <= int(text) <= most:
        found = f"no {name}" if text is None else f"{name} {text[:40]!r}"
        raise Refusal(code, found, f"a whole number from {least} to {most}")
    return int(text)


def size_of(query: QueryParams, model: Model, default: bool = False) -> tuple[int, int]:
    """Parse width and height, by default those of the model if `default`.

    Raises:
        Refusal: they are missing, no numbers, or no size that the network can make.
    """
    usual: tuple[int | None, int | None] = (model.size[0], model.size[1]) if default else (None, None)
    sides = {
        name: whole(query, name, side, SMALLEST_SIDE, LARGEST_SIDE, "bad_size")
        for name, side in zip(("width", "height"), usual, strict=True)
    }
    width, height = sides["width"], sides["height"]
    if model.one_size and [width, height] != model.size:
        raise Refusal(
            "bad_size", f"{width}x{height}", "x".join(map(str, model.size)) + ", the only size of the weights"
        )
    if width % model.multiple or height % model.multiple:
        raise Refusal("bad_size", f"{width}x{height}", f"sides that are multiples of {model.multiple}")
    return width, height


def drawing_of(query: QueryParams, model: Model, seed: int) -> Drawing:
    """Parse the parameters of `/api/paint` and `/api/export`; `seed` is the default.

    Raises:
        Refusal: one is unknown, missing or wrong.
    """
    check_names(query, ("width", "height", "seed", "style", "style2", "blend", "format", "client", "number"))
    width, height = size_of(query, model)
    styles = tuple(query[name] for name in ("style", "style2") if name in query)
    if any(not STYLE.fullmatch(style) for style in styles) or ("style2" in query and "style" not in query):
        raise Refusal("bad_query", "a style that is none", "12 hexadecimal digits, as /api/style answers")
    form = query.get("format", "jpeg")
    if form not in ("jpeg", "png"):
        raise Refusal("bad_query", f"format {form[:40]!r}", "jpeg or png")
    share = query.get("blend", "0.5")
    if not SHARE.fullmatch(share) or not 0 <= float(share) <= 1:
        raise Refusal("bad_query", f"blend {share[:40]!r}", "a number from 0 to 1")
    return Drawing(
        width, height, whole(query, "seed", seed, 0, LARGEST_SEED), styles, float(share),
        "png" if form == "png" else "jpeg", client_of(query), whole(query, "number", 0, 0, LARGEST_NUMBER),
    )  # fmt: skip


def client_of(query: QueryParams) -> str:
    """Parse the client's name; empty without one.

    Raises:
        Refusal: it has other characters, or is too long.
    """
    client = query.get("client", "")
    if client and not CLIENT.fullmatch(client):
        raise Refusal("bad_query", "a client of other characters", "1 to 64 letters, digits, - and _")
    return client


def most_bytes(kind: str, pixels: int) -> int:
    """Return how many bytes class ids of this many pixels may take."""
    return min(MOST_RUNS, pixels) * RUN_BYTES if kind == RUNS else pixels


def ids_of(body: bytes, kind: str, width: int, height: int, model: Model) -> bytes:
    """Return class ids, row by row, one byte each, and check every one.

    Raises:
        Refusal: there are more or fewer than width x height, or one is no class.
    """
    pixels = width * height
    ids = runs_expanded(body, pixels) if kind == RUNS else body
    if len(ids) != pixels:
        raise Refusal("bad_length", f"{len(ids)} class ids", f"{pixels}, for {width}x{height} pixels")
    allowed = bytes(range(len(model.classes))) + (bytes([model.no_class]) if model.no_class is not None else b"")
    wrong = ids.translate(None, allowed)
    if wrong:
        nothing = "" if model.no_class is None else f", or {model.no_class} for no class"
        value, at = wrong[0], ids.index(wrong[0])
        raise Refusal(
            "bad_id", f"class id {value} in {ids.count(value)} pixels, first at ({at % width}, {at // width})",
            f"0 to {len(model.classes) - 1}{nothing}",
            value=value, count=ids.count(value), x=at % width, y=at // width,
        )  # fmt: skip
    return ids


def runs_expanded(body: bytes, pixels: int) -> bytes:
    """Expand runs: a length of two bytes, big-endian, and a class id, repeated.

    Raises:
        Refusal: it is no whole number of runs, a run is empty, there are too many, or they do not sum to `pixels`.
    """
    if len(body) % RUN_BYTES or len(body) > MOST_RUNS * RUN_BYTES:
        raise Refusal("bad_length", f"{len(body)} bytes of runs", f"3 bytes a run, at most {MOST_RUNS} runs")
    runs = list(struct.iter_unpack(">HB", body))
    total = sum(length for length, _ in runs)
    if total != pixels or any(not length for length, _ in runs):
        raise Refusal("bad_length", f"runs of {total} pixels", f"{pixels}, and no empty run")
    return b"".join(bytes([value]) * length for length, value in runs)
