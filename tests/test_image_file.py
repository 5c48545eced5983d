"""Photographs and label maps as files: what a viewer shows, what the numbers are, and what is refused by name."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from shanshui.data.scan import scan_label
from shanshui.errors import ShanshuiError
from shanshui.storage import images
from shanshui.storage.label_file import decode_label_map
from shanshui.storage.photo_file import decode_photo
from shanshui.storage.size import Size

IDS = np.arange(6, dtype=np.uint8).reshape(2, 3)
SHADES = np.stack([IDS * 40] * 3, axis=-1).repeat(16, axis=0).repeat(16, axis=1)
Make = Callable[[Path], object]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path: Path, width: int, depth: int, kind: int, row: bytes) -> None:
    """A PNG of one row, of any depth, written by hand: Pillow writes 8 and 16 bits alone."""
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def with_alpha(alpha: np.ndarray) -> Image.Image:
    return Image.merge("LA", [Image.fromarray(IDS), Image.fromarray(alpha)])


def with_orientation(pixels: np.ndarray, path: Path, number: int) -> None:
    more: dict[str, object] = {"tiffinfo": {274: number}}
    if path.suffix != ".tif":
        exif = Image.Exif()
        exif[274] = number
        more = {"exif": exif, **({"lossless": True} if path.suffix == ".webp" else {})}
    Image.fromarray(pixels).save(path, **more)


# --- what a viewer shows ------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("number", range(1, 9))
def test_photographs_are_turned_as_their_files_say(suffix: str, number: int, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    with_orientation(SHADES, path, number)
    exif = Image.Exif()
    exif[274] = number
    stored = Image.fromarray(SHADES)
    stored.getexif()[274] = number
    meant = np.asarray(ImageOps.exif_transpose(stored))
    read = decode_photo(path)
    assert read.turned == (number != 1)
    assert images.photo_size(path) == Size.of(meant) == Size.of(read.pixels)
    assert np.abs(read.pixels.astype(int) - meant).max() <= 12  # JPEG
    assert np.array_equal(images.read_photo(path), read.pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_label_maps_are_turned_as_photographs_are(suffix: str, tmp_path: Path) -> None:
    with_orientation(IDS, tmp_path / f"x.{suffix}", 6)
    read = decode_label_map(tmp_path / f"x.{suffix}")
    assert read.turned
    assert read.ids.tolist() == [[3, 0], [4, 1], [5, 2]]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path) -> None:
    Image.fromarray(SHADES).save(tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    with_orientation(SHADES, tmp_path / "y.png", 9)
    for name in ("x.jpg", "y.png"):
        assert not decode_photo(tmp_path / name).turned


def profile(curve: bytes) -> bytes:
    """A profile of sRGB's primaries whose three curves are another."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made += bytes(-len(made) % 4)
    for at in range(int.from_bytes(made[128:132], "big")):
        entry = 132 + 12 * at
        if made[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            made[entry + 4 : entry + 12] = len(made).to_bytes(4, "big") + len(curve).to_bytes(4, "big")
    made += curve
    made[:4] = len(made).to_bytes(4, "big")
    return bytes(made)


LINEAR = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (256).to_bytes(2, "big")


def table(entries: int) -> bytes:
    """sRGB's curve as a table, as scanners and cameras write it."""
    steps = np.linspace(0, 1, entries)
    values = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + entries.to_bytes(4, "big") + np.rint(values * 65535).astype(">u2").tobytes()


def test_a_colour_profile_is_honoured_and_srgb_changes_nothing(tmp_path: Path) -> None:
    photo = Image.fromarray(SHADES)
    photo.save(tmp_path / "srgb.png", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert np.array_equal(images.read_photo(tmp_path / "srgb.png"), SHADES)
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "table.png", icc_profile=profile(table(24)))
    assert np.array_equal(images.read_photo(tmp_path / "table.png"), colours)
    photo.save(tmp_path / "linear.png", icc_profile=profile(LINEAR))
    read = decode_photo(tmp_path / "linear.png")
    brighter = read.pixels[0, 16]  # 40 of 255 in linear light
    assert abs(int(brighter[0]) - 110) <= 3
    assert read.notes == ()


def test_grey_with_alpha_and_a_profile_keeps_both(tmp_path: Path) -> None:
    made = Image.fromarray(SHADES).convert("RGBA")
    made.putalpha(128)
    made.save(tmp_path / "x.png", icc_profile=profile(LINEAR))
    assert abs(int(images.read_photo(tmp_path / "x.png")[0, 16, 0]) - 55) <= 3


def test_a_profile_that_cannot_be_applied_is_said(tmp_path: Path) -> None:
    Image.fromarray(SHADES).save(tmp_path / "x.png", icc_profile=b"no profile")
    read = decode_photo(tmp_path / "x.png")
    assert np.array_equal(read.pixels, SHADES)
    assert "its colour profile cannot be applied" in read.notes[0]


def test_a_gamma_that_is_not_honoured_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(SHADES).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk(b"gAMA", (100000).to_bytes(4, "big")) + data[33:])
    assert decode_photo(path).notes == ("its gamma 1.000 is not honoured (usual: 0.455)",)
    path.write_bytes(data[:33] + chunk(b"gAMA", (45455).to_bytes(4, "big")) + data[33:])
    assert decode_photo(path).notes == ()


def test_transparency_is_said_and_what_is_opaque_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    picture = Image.fromarray(SHADES).convert("RGBA")
    picture.save(path)
    assert decode_photo(path).notes == ()
    picture.putpixel((0, 0), (9, 9, 9, 0))
    picture.putpixel((1, 0), (9, 9, 9, 254))
    picture.save(path)
    assert decode_photo(path).notes == ("it is transparent in 2 pixels, composited over black",)
    Image.fromarray(IDS).save(path, transparency=0)
    assert decode_photo(path).notes == ("it is transparent in 1 pixels, composited over black",)


PHOTOS: dict[str, tuple[Make, list[int]]] = {
    "16 bits grey": (lambda p: Image.fromarray(np.full((2, 3), 200 * 256 + 9, np.uint16)).save(p), [200, 200, 200]),
    "16 bits colour": (lambda p: png(p, 1, 16, 2, bytes([200, 9, 100, 9, 50, 9])), [200, 100, 50]),
    "one bit": (lambda p: Image.new("1", (3, 2), 1).save(p), [255, 255, 255]),
    "palette": (lambda p: Image.new("RGB", (3, 2), (9, 99, 199)).quantize(4).save(p), [9, 99, 199]),
    "half transparent": (lambda p: Image.new("RGBA", (3, 2), (200, 100, 50, 128)).save(p), [100, 50, 25]),
    "CMYK": (lambda p: Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(p.with_suffix(".tif")), [255, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PHOTOS)
def test_photographs_of_all_kinds(kind: str, tmp_path: Path) -> None:
    make, colour = PHOTOS[kind]
    make(tmp_path / "x.png")
    read = images.read_photo(next(tmp_path.iterdir()))
    assert (read.dtype, read.shape[2]) == (np.uint8, 3)
    assert np.abs(read[0, 0].astype(int) - colour).max() <= 1


# --- what the numbers of a label map are --------------------------------------------------------------

SURE: dict[str, Make] = {
    "x.png of grey with alpha": lambda p: with_alpha(IDS * 0 + 255).save(p),
    "x.png of equal channels": lambda p: Image.fromarray(np.stack([IDS] * 3, -1)).save(p),
    "x.png of equal channels, opaque": lambda p: Image.fromarray(np.stack([IDS] * 3 + [IDS * 0 + 255], -1)).save(p),
    "x.png of 16 bits": lambda p: Image.fromarray(IDS.astype(np.uint16)).save(p),
    "x.tif of floating point": lambda p: Image.fromarray(IDS.astype(np.float32)).save(p),
    "x.tif of whole numbers": lambda p: Image.fromarray(IDS.astype(np.int32)).save(p),
    "x.tif of 16 bits, big-endian": lambda p: Image.fromarray(IDS.astype(">u2")).save(p),
    "x.ppm of few greys": lambda p: p.write_bytes(b"P5\n# ids\n3 2 5\n" + IDS.tobytes()),
    "x.ppm in text": lambda p: p.write_bytes(b"P2 3 2 300 0 1 2 3 4 5"),
    "x.webp without losses": lambda p: Image.fromarray(np.stack([IDS] * 3, -1)).save(p, lossless=True),
    "x.png that is a GIF": lambda p: Image.fromarray(IDS).save(p, "GIF"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SURE)
def test_label_maps_of_all_kinds_give_the_same_ids(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind.split()[0]
    SURE[kind](path)
    assert images.read_label_map(path).tolist() == IDS.tolist()


def test_one_bit_and_large_numbers_are_ids_too(tmp_path: Path) -> None:
    Image.fromarray(IDS > 2).save(tmp_path / "bits.png")
    assert images.read_label_map(tmp_path / "bits.png").tolist() == [[0, 0, 0], [1, 1, 1]]
    Image.fromarray(IDS.astype(np.uint16) * 300).save(tmp_path / "large.png")
    assert images.read_label_map(tmp_path / "large.png").max() == 1500


def test_numbers_beyond_any_class_stay_beyond(tmp_path: Path) -> None:
    """Cut to 32 bits, 2**32 would be class 0."""
    for name, value in (("large", 2.0**32), ("negative", -(2.0**32)), ("odd", 2.0**40 + 2.0**33)):
        Image.fromarray(np.full((2, 3), value, np.float32)).save(tmp_path / f"{name}.tif")
        assert abs(images.read_label_map(tmp_path / f"{name}.tif")[0, 0].astype(np.int64)) > 2**30
    Image.fromarray(np.full((2, 3), -1, np.int32)).save(tmp_path / "below.tif")
    facts = scan_label(tmp_path / "below.tif")
    assert (facts.problem, facts.counts) == ("", {-1: 6})


def test_a_transparent_index_is_an_index(tmp_path: Path) -> None:
    Image.fromarray(IDS).save(tmp_path / "grey.png", transparency=0)
    palette = Image.fromarray(IDS)
    palette.putpalette([shade for i in range(6) for shade in (i * 40, 0, 9)])
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 255, 128]))
    for name in ("grey", "palette"):
        assert images.read_label_map(tmp_path / f"{name}.png").tolist() == IDS.tolist()


@pytest.mark.parametrize("read", [images.read_photo, images.read_label_map])
def test_a_png_whose_pixels_are_damaged_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    """Pillow looks at no checksum of them: a flipped bit gives other classes without a word."""
    path = tmp_path / "x.png"
    ids = np.random.default_rng(0).integers(0, 3, (24, 32), np.uint8)
    Image.fromarray(ids).save(path)
    read(path)
    whole = path.read_bytes()
    start = whole.index(b"IDAT") + 4
    for place in (start + 20, start + 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ShanshuiError, match="cannot be read: "):
            read(path)
    path.write_bytes(whole + b"<!-- appended -->")
    read(path)


REFUSED: dict[str, tuple[Make, str]] = {
    "x.png of colours": (lambda p: Image.new("RGB", (3, 2), (1, 2, 3)).save(p), "is a colour image"),
    "x.png that is a JPEG": (lambda p: Image.fromarray(IDS).save(p, "JPEG"), "stored as JPEG, whatever its name says"),
    "x.jpg": (lambda p: Image.fromarray(IDS).save(p), "is stored as JPEG$"),
    "x.webp with losses": (lambda p: Image.fromarray(np.stack([IDS] * 3, -1)).save(p), "is stored as WebP"),
    "x.tif of JPEG strips": (lambda p: Image.fromarray(IDS).save(p, compression="jpeg"), "is stored as JPEG"),
    "x.tif of inverted grey": (lambda p: Image.fromarray(IDS).save(p, tiffinfo={262: 0}), "grey is inverted"),
    "x.tif with decimals": (lambda p: Image.fromarray(IDS + np.float32(0.5)).save(p), "holds numbers with decimals"),
    "x.tif without numbers": (lambda p: Image.fromarray(IDS * np.float32("nan")).save(p), "with decimals"),
    "x.png half transparent": (
        lambda p: with_alpha(IDS).save(p), "partly transparent, in 6",
    ),
    "x.png of 4 bits": (lambda p: png(p, 4, 4, 0, b"\x01\x23"), "grey of 4 bits, which programs read as they are or"),
    "x.png of 16 bits with alpha": (lambda p: png(p, 1, 16, 4, b"\x00\x07\xff\xff"), "16 bits in each of several"),
    "x.png that moves": (
        lambda p: Image.new("L", (2, 2)).save(p, save_all=True, append_images=[Image.new("L", (2, 2), 1)]),
        "2 images",
    ),
    "x.tif of pages": (
        lambda p: Image.new("L", (2, 2)).save(p, save_all=True, append_images=[Image.new("L", (2, 2))]), "2 images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_label_maps_that_may_mean_other_numbers_are_refused(kind: str, tmp_path: Path) -> None:
    make, words = REFUSED[kind]
    make(tmp_path / kind.split()[0])
    with pytest.raises(ShanshuiError) as caught:
        images.read_label_map(tmp_path / kind.split()[0])
    assert caught.match(words.replace("$", "\n"))


# --- files that are none ------------------------------------------------------------------------------

NO_IMAGES: dict[str, tuple[Make, str]] = {
    "dead link": (lambda p: p.symlink_to("gone/y.png"), "it is a link to gone/y.png, where nothing is"),
    "link to itself": (lambda p: p.symlink_to(p), "symbolic links"),
    "folder": (lambda p: p.mkdir(), "it is a folder"),
    "pipe": (lambda p: os.mkfifo(p), "it is no file but a device"),
    "empty": (lambda p: p.touch(), "it is empty, 0 bytes"),
    "web page": (lambda p: p.write_text("<!DOCTYPE html><html>404"), "a web page"),
    "Git LFS": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "HEIC": (lambda p: p.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99)), "a HEIC photograph"),
    "link as text": (lambda p: p.write_text("../disk/y.png"), "perhaps a link that was copied as text"),
    "archive": (lambda p: p.write_bytes(b"PK\3\4" + bytes(99)), "a zip archive"),
    "nothing known": (lambda p: p.write_bytes(bytes(range(200, 256))), "no image of a format known here"),
    "AppleDouble": (lambda p: p.write_bytes(b"\0\5\x16\7" + bytes(99)), "attributes of macOS"),
}  # fmt: skip


@pytest.mark.parametrize("read", [images.read_photo, images.read_label_map, images.photo_size])
@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_image_is_named_for_what_it_is(kind: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    make, words = NO_IMAGES[kind]
    make(tmp_path / "x.png")
    with pytest.raises(ShanshuiError) as caught:
        read(tmp_path / "x.png")
    assert "x.png cannot be read: " in caught.value.found
    assert words in caught.value.found or read is images.photo_size
