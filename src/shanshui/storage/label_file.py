"""Read label maps, and only if the stored values are unambiguous."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.storage.image_file import ImageFileError, bit_depth, open_image

Palette = list[tuple[int, int, int]]
LOSSY = {"JPEG": "JPEG", "MPO": "JPEG", "JPEG2000": "JPEG 2000", "AVIF": "AVIF"}
LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
OPAQUE = 255
BYTE = 8
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
IN_COLOUR = "in colour"
ONE_CHANNEL = "one channel whose pixel values are class ids (grey or palette PNG)"
LARGEST_ID = 2**31 - 1  # larger numbers become it: no class either, where they would else wrap round to one
LARGEST = {"L": 255, "I": 65535}  # to which Pillow enlarges the numbers of a PGM file


@dataclass(frozen=True)
class LabelFile:
    """Class ids of a label map file.

    `ids` are the stored values (H, W), uint8, or int32 if the file holds larger ones. `palette` lists the colours of a
    palette image. `turned` says that EXIF data rotated or flipped it.
    """

    ids: np.ndarray
    palette: Palette = field(default_factory=list)
    turned: bool = False


def _lossy(path: str | Path, image: Image.Image) -> str:
    """Name the lossy compression of a file, which may have changed its ids; empty if there is none."""
    if image.format == "TIFF":
        return "JPEG" if image.info.get("compression") in LOSSY_TIFF else ""
    if image.format == "WEBP":
        return "WebP" if b"VP8 " in Path(path).read_bytes() else ""  # the chunk of a lossy image
    return LOSSY.get(str(image.format), "")


def _colour(path: str | Path, image: Image.Image, why: str = "") -> ImageFileError:
    return ImageFileError(
        IN_COLOUR, f"{path} is a colour image (mode {image.mode}){why}", ONE_CHANNEL,
        "convert the colours to class ids first, by the table of colours that came with the files",
    )  # fmt: skip


def _uncertain(path: str | Path, what: str) -> ImageFileError:
    do = "save the class ids again, as PNG of 8 bits"
    return ImageFileError("of numbers that can be read in two ways", f"{path} {what}", ONE_CHANNEL, do)


def _scaled_back(path: str | Path, image: Image.Image) -> np.ndarray:
    """Return the values of a PGM file as stored; Pillow scales them so that the largest possible one is white."""
    shown = np.asarray(image).astype(np.int64)
    header = re.sub(rb"#[^\n\r]*", b" ", Path(path).read_bytes()[:1024])
    found = re.match(rb"P[25]\s+\d+\s+\d+\s+(\d+)", header)
    white = LARGEST[image.mode]
    return shown if not found else np.rint(shown * int(found[1]) / white).astype(np.int64)


def _one_channel(path: str | Path, image: Image.Image, depth: int) -> np.ndarray:
    """Return one channel of an image whose colour channels are equal and opaque.

    Raises:
        ImageFileError: the channels differ, have more than 8 bits, or some pixel is transparent.
    """
    array = np.asarray(image)
    *channels, alpha = (
        np.moveaxis(array, -1, 0) if image.mode in ("LA", "PA", "RGBA") else (*np.moveaxis(array, -1, 0), None)
    )
    if any((channel != channels[0]).any() for channel in channels[1:]):
        raise _colour(path, image)
    if depth > BYTE:
        raise _uncertain(path, f"has {depth} bits in each of several channels, of which eight are lost in reading")
    if alpha is not None and (alpha != OPAQUE).any():
        raise _uncertain(path, f"is partly transparent, in {int((alpha != OPAQUE).sum())} pixels")
    return channels[0]


def _numbers(path: str | Path, image: Image.Image) -> np.ndarray:
    """Return the stored values of an image of any mode.

    Raises:
        ImageFileError: they are colours, or could be read in two ways.
    """
    depth = bit_depth(path, image)
    if image.mode in ("LA", "PA", "RGB", "RGBA"):
        return _one_channel(path, image, depth)
    if image.format == "PPM" and image.mode in LARGEST:
        return _scaled_back(path, image)
    array = np.asarray(image)
    if image.mode == "F":
        if not np.isfinite(array).all() or (array != np.rint(array)).any():
            raise _uncertain(path, "holds numbers with decimals")
        return array.astype(np.int64)
    if image.mode == "L" and 1 < depth < BYTE and array.any():
        raise _uncertain(path, f"is grey of {depth} bits, which programs read as they are or enlarge to 8 bits")
    if image.mode in ("1", "L", "P", "I") or image.mode.startswith("I;16"):
        return array
    raise _colour(path, image)


def decode_label_map(path: str | Path) -> LabelFile:
    """Read class ids: grey of any depth, palette indices, floats without fraction, or equal colour channels.

    The label map is rotated by its EXIF orientation, as photographs are.

    Raises:
        ImageFileError: the file is broken, in colour, stored with lossy compression, or its values could be read in two
            ways.
    """
    image, stored = open_image(path)
    if compression := _lossy(path, image):
        named = "" if Path(path).suffix.lower()[:3] == f".{compression[:2].lower()}" else ", whatever its name says"
        raise ImageFileError(
            f"stored as {compression}", f"{path} is stored as {compression}{named}",
            f"PNG; {compression} compression changes class ids", "export the label maps as PNG from their source: "
            "what is in these files has changed already, saving them as PNG does not bring it back",
        )  # fmt: skip
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise _uncertain(path, "is a TIFF whose grey is inverted (WhiteIsZero)")
    array = _numbers(path, image)
    flat = image.getpalette() or [] if image.mode in ("P", "PA") else []
    palette = [(flat[at], flat[at + 1], flat[at + 2]) for at in range(0, len(flat) - 2, 3)]
    small = array.dtype in (np.uint8, np.bool_) or (image.mode == "L")
    ids = array.astype(np.uint8) if small else array.clip(-LARGEST_ID, LARGEST_ID).astype(np.int32)
    return LabelFile(ids, palette, stored != 1)
