"""Random photographs and label maps: all formats and modes, broken, cut, of huge sides, under odd names."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Truth = np.ndarray | None  # the ids a file is certain to hold; None where it is not
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "TGA", "ICO", "PCX", "PDF", "EPS", "DDS")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "PA")
SUFFIXES = (".png", ".png", ".png", ".jpg", ".PNG", ".tif", ".bmp", ".webp", ".ppm", ".jpeg", ".TIFF")
NAMES = (
    "a", "b c", "風景", "cafe\u0301", "café", "x.y", "-dash", "'quote'", "{run}", "%d", "$HOME", "~", "#1", "0",
    "a" * 200, "\udcff\udcfe", "new\nline", "tab\t", "emoji🏔", "A", "..x", "con", "a=b", "a,b", '"', "ünï",
)  # fmt: skip
OTHERS = ("Thumbs.db", ".DS_Store", "._a.png", "notes.txt", "more.zip", "x.gif", ".hidden.png", "README", "y.heic")


def name(rng: random.Random) -> str:
    """A name of a file, now and then an odd one."""
    if rng.random() < 0.7:
        return f"p{rng.randrange(100)}"
    return rng.choice(NAMES)


def ids(rng: random.Random, classes: int, size: tuple[int, int]) -> np.ndarray:
    """Class ids in areas, uint8 (H, W)."""
    seed = np.random.default_rng(rng.randrange(2**32))
    blocks = seed.integers(0, classes, (size[1] // 8 + 1, size[0] // 8 + 1), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[: size[1], : size[0]]


def _huge(path: Path, rng: random.Random) -> Truth:
    """A PNG whose header promises more than there is."""
    sides = struct.pack(">II", rng.choice((2**31 - 1, 60000, 300)), rng.choice((2**31 - 1, 60000, 400)))
    head = b"IHDR" + sides + bytes([8, rng.choice((0, 2, 3)), 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return None


def _empty(path: Path, rng: random.Random) -> Truth:
    path.touch()
    return None


def _noise(path: Path, rng: random.Random) -> Truth:
    path.write_bytes(rng.choice((b"", b"<html>", b"version https://git-lfs", b"\x89PNG\r\n\x1a\n")) + rng.randbytes(60))
    return None


def _link(path: Path, rng: random.Random) -> Truth:
    path.symlink_to(rng.choice(("gone.png", path.name, "/dev/null", ".")))
    return None


def _odd(path: Path, rng: random.Random) -> Truth:
    (os.mkfifo if rng.random() < 0.5 else os.mkdir)(path)
    return None


def _any(path: Path, rng: random.Random) -> Truth:
    """Any mode in any format, with metadata now and then; cut or with changed bytes now and then."""
    seed = np.random.default_rng(rng.randrange(2**32))
    size = (rng.randrange(1, 70), rng.randrange(1, 70))
    mode = rng.choice(MODES)
    if mode in ("I", "F", "I;16"):
        image = Image.fromarray(seed.integers(0, 40, size[::-1]).astype({"I": "i4", "F": "f4", "I;16": "u2"}[mode]))
    else:
        image = Image.fromarray(seed.integers(0, 256, (*size[::-1], 3), np.uint8))
        image = image.convert("P" if mode == "PA" else mode) if mode != "LAB" else Image.new("LAB", size, 99)
    exif = Image.Exif()
    exif[274] = rng.randrange(0, 11)
    more = rng.choice(({}, {}, {"exif": exif}, {"icc_profile": rng.randbytes(200)}, {"save_all": True}))
    file = io.BytesIO()
    try:
        image.save(file, rng.choice(FORMATS), **more)
    except (OSError, KeyError, ValueError, SystemError, TypeError, RuntimeError):
        image.convert("RGB").save(file, "PNG")
    data = bytearray(file.getvalue())
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    elif rng.random() < 0.3:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    return None


def label_map(path: Path, rng: random.Random, classes: int, size: tuple[int, int], odd: float = 0.1) -> Truth:
    """Write a label map; the ids in it, where the file is one of those that are certain."""
    if rng.random() < odd:
        return rng.choice((_huge, _empty, _noise, _link, _odd, _any, _any, _any))(path, rng)
    meant = ids(rng, classes, size)
    rng.choice(CERTAIN)(meant).save(path, rng.choice(("PNG", "PNG", "TIFF")))
    return meant


CERTAIN: tuple[Callable[[np.ndarray], Image.Image], ...] = (
    Image.fromarray,
    Image.fromarray,
    lambda ids: Image.fromarray(ids.astype(np.uint16)),
    lambda ids: Image.fromarray(np.stack([ids] * 3, axis=-1)),
    lambda ids: Image.merge("LA", [Image.fromarray(ids), Image.new("L", ids.shape[::-1], 255)]),
)


def photo(path: Path, rng: random.Random, size: tuple[int, int], odd: float = 0.1) -> None:
    """Write a photograph."""
    if rng.random() < odd:
        rng.choice((_huge, _empty, _noise, _link, _odd, _any, _any, _any))(path, rng)
        return
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path, rng.choice(("JPEG", "PNG", "WEBP")))


def litter(folder: Path, rng: random.Random) -> None:
    """What lies about in folders besides."""
    for other in rng.sample(OTHERS, rng.randrange(0, 3)):
        (folder / other).write_bytes(rng.randbytes(20))
    if rng.random() < 0.1:
        (folder / "more").mkdir()
