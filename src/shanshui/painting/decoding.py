"""Decode uploaded image files: photographs, and label maps as class ids or as exact colours of the palette.

Formats and numbers of pixels are checked in the header, before anything is decoded. Files are read by the package's own
readers from memory: nothing is written to a disk.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from shanshui.data.labels import NO_CLASS, Classes, value_counts
from shanshui.errors import ShanshuiError
from shanshui.painting.refusals import Refusal
from shanshui.storage import images
from shanshui.storage.image_file import ImageFileError, open_image
from shanshui.storage.label_file import IN_COLOUR, LabelFile, decode_label_map
from shanshui.storage.photo_file import decode_photo
from shanshui.storage.size import Size

PHOTOGRAPHS = ("JPEG", "PNG", "BMP")
LABEL_MAPS = ("PNG", "BMP")
MEGAPIXEL = 10**6
MOST_COLOURS = 256
SHOWN = 8  # unknown colours that are listed

Colour = tuple[int, int, int]


def check_header(data: bytes, formats: tuple[str, ...], megapixels: int) -> None:
    """Check format and number of pixels of an image file by its header.

    Raises:
        Refusal: it is of no such format, or has more pixels.
    """
    known = "a complete file: " + ", ".join(formats)
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise Refusal("too_large", str(error), f"at most {megapixels} megapixels", "reduce the image") from None
    except Exception as error:  # decoders raise whatever they stumble over
        raise Refusal("bad_image", str(error) if "BytesIO" not in str(error) else "no image", known) from None
    if not 0 < width * height <= megapixels * MEGAPIXEL:
        raise Refusal("too_large", f"{width}x{height} pixels", f"at most {megapixels} megapixels", "reduce the image")


@contextlib.contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """Yield the path of a file in memory with this content; messages of the readers then name no path.

    Raises:
        Refusal: a reader refuses the file.
    """
    handle = os.memfd_create("upload")
    path = f"/proc/self/fd/{handle}"
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(data)
        yield path
    except ShanshuiError as error:
        found, wanted, advice = (text.replace(path, "the file") for text in (error.found, error.expected, error.do))
        raise Refusal("bad_image", found, wanted, advice) from None
    except MemoryError:
        raise Refusal("too_large", "more memory is needed than the worker may take", "a smaller image") from None
    finally:
        os.close(handle)


def read_photograph(data: bytes, megapixels: int) -> np.ndarray:
    """Decode a photograph as sRGB, uint8 (H, W, 3).

    Raises:
        Refusal: it is no image, or too large.
    """
    check_header(data, PHOTOGRAPHS, megapixels)
    with in_memory(data) as path:
        return decode_photo(path).pixels


@dataclass(frozen=True)
class ImportedMap:
    """Class ids uint8 (H, W) of a label map file, and how they were read."""

    ids: np.ndarray
    report: dict[str, object]


def read_label_map(data: bytes, classes: Classes, palette: np.ndarray, size: Size, megapixels: int) -> ImportedMap:
    """Decode a label map file: class ids, palette indices, or a colour image of exactly the classes' colours.

    Args:
        data: a PNG or BMP file.
        classes: and the meaning of values in files.
        palette: uint8 (classes, 3).
        size: to which it is resized by nearest neighbour.
        megapixels: most of them.

    Raises:
        Refusal: it cannot be read, is too large, or holds values or colours of no class.
    """
    check_header(data, LABEL_MAPS, megapixels)
    with in_memory(data) as path:
        ids, how = _read(path, classes, palette)
    found = Size.of_maps(ids)
    resized = images.resize_label_map(ids, size)
    counts = value_counts(resized)
    unknown = counts.pop(NO_CLASS, 0)
    report = {
        "width": found.width, "height": found.height, "resized": found != size, "how": how,
        "ids": {str(number): pixels for number, pixels in counts.items()}, "no_class": unknown,
    }  # fmt: skip
    return ImportedMap(resized, report)


def _read(path: str, classes: Classes, palette: np.ndarray) -> tuple[np.ndarray, str]:
    try:
        file = decode_label_map(path)
    except ImageFileError as error:
        if error.kind != IN_COLOUR:
            raise
        return _by_colour(_colours(path), classes, palette), "exact_colours"
    if file.palette and (exact := _indexed_colours(file, palette)) is not None:
        return exact, "exact_colours"
    try:
        return classes.ids(file.ids, "the file"), "palette_index" if file.palette else "ids"
    except ShanshuiError as error:
        counts = value_counts(file.ids)
        allowed = {value - classes.label_offset for value in range(len(classes.names))} | {classes.ignore_label}
        wrong = {str(value): pixels for value, pixels in counts.items() if value not in allowed}
        raise Refusal(
            "bad_id", error.found, error.expected, "import a label map of the model's classes", values=wrong
        ) from None


def _indexed_colours(file: LabelFile, palette: np.ndarray) -> np.ndarray | None:
    """Convert a palette image by its colours, if all that are used are those of one class each; else None."""
    known = {colour: number for colour, numbers in _numbers(palette).items() for number in numbers[:1]}
    used = [int(value) for value in np.unique(file.ids)]
    if any(value >= len(file.palette) or file.palette[value] not in known for value in used):
        return None
    table = np.zeros(256, np.uint8)
    for value in used:
        table[value] = known[file.palette[value]]
    return table[file.ids]


def _numbers(palette: np.ndarray) -> dict[Colour, list[int]]:
    """Return the classes of each colour."""
    found: dict[Colour, list[int]] = {}
    for number, (red, green, blue) in enumerate(palette.tolist()):
        found.setdefault((red, green, blue), []).append(number)
    return found


def _colours(path: str) -> Image.Image:
    """Read the stored colours of an opaque image, without colour profile.

    Raises:
        Refusal: it is partly transparent.
    """
    image, _ = open_image(path)
    if image.mode in ("RGBA", "LA", "PA") and image.getchannel("A").getextrema() != (255, 255):
        raise Refusal("bad_colours", "a partly transparent image", "an opaque one", "flatten it first")
    return image.convert("RGB")


def _by_colour(image: Image.Image, classes: Classes, palette: np.ndarray) -> np.ndarray:
    """Convert an RGB image to class ids (H, W).

    Raises:
        Refusal: a colour is not that of one class.
    """
    wanted = "exactly the colours of the palette"
    counted = image.getcolors(MOST_COLOURS)
    if counted is None:
        raise Refusal(
            "bad_colours", f"more than {MOST_COLOURS} colours", wanted,
            "save label maps without anti-aliasing, as PNG; a photograph can be segmented instead",
        )  # fmt: skip
    numbers = _numbers(palette)
    counts = Counter({colour: pixels for pixels, colour in counted if isinstance(colour, tuple)})
    unknown = [
        {"colour": hexadecimal(colour), "pixels": pixels, "nearest": _nearest(colour, palette, classes)}
        for colour, pixels in counts.most_common()
        if len(numbers.get(_rgb(colour), [])) != 1
    ]  # fmt: skip
    if unknown:
        raise Refusal(
            "bad_colours", f"{len(unknown)} colours that are not the colour of one class", wanted,
            "use the colours of the palette, without anti-aliasing", colours=unknown[:SHOWN],
        )  # fmt: skip
    packed = np.asarray(image).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    keys = palette.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    order = np.argsort(keys, kind="stable")
    return order[np.searchsorted(keys[order], packed)].astype(np.uint8)


def hexadecimal(colour: Sequence[int]) -> str:
    """Return a colour as #rrggbb."""
    return "#" + bytes(colour).hex()


def _rgb(colour: tuple[int, ...]) -> Colour:
    return colour[0], colour[1], colour[2]


def _nearest(colour: tuple[int, ...], palette: np.ndarray, classes: Classes) -> str:
    """Name the class of the nearest colour, by Euclidean distance in RGB."""
    distance = ((palette.astype(int) - np.array(colour)) ** 2).sum(1)
    return classes.names[int(distance.argmin())]
