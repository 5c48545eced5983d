"""Open image files by their content, whatever their suffix, and describe files that are no images."""

from __future__ import annotations

import os
import stat
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import (  # the readers of the rarer formats register themselves where they are imported
    AvifImagePlugin,  # noqa: F401
    ExifTags,
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from shanshui.errors import ShanshuiError
from shanshui.storage.kinds import kind_of
from shanshui.storage.size import Size

# Formats that are read. Pillow knows more, some of which start other programs (EPS) or are told by their name alone.
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "PPM", "TIFF", "WEBP", "GIF", "JPEG2000", "AVIF")
UNREADABLE = "unreadable"
REDUCED, MASK = 1, 4  # kinds of TIFF pages that belong to the one before them (tag NewSubfileType)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # past twice as much it is an error


class ImageFileError(ShanshuiError):
    """A file that is not the image or label map that was expected; `kind` is equal for files with the same fault."""

    def __init__(self, kind: str, found: str, expected: str = "", do: str = "") -> None:
        super().__init__(found, expected, do)
        self.kind = kind


def unreadable(path: str | Path, why: object) -> ImageFileError:
    """Return the error for a file that is broken, or no image."""
    return ImageFileError(UNREADABLE, f"{path} cannot be read: {why}", "a complete image file", "replace or remove it")


def check_regular(path: str | Path) -> None:
    """Check that `path` is a regular file that is not empty and can be opened.

    Raises:
        ImageFileError: it is not.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise unreadable(path, "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no file but a device")
        if not status.st_size:
            raise unreadable(path, "it is empty, 0 bytes")
        os.close(os.open(path, os.O_RDONLY))
    except FileNotFoundError:
        if os.path.islink(path):
            raise unreadable(path, f"it is a link to {os.readlink(path)}, where nothing is") from None
        raise ImageFileError(UNREADABLE, f"{path} does not exist", "an image file") from None
    except OSError as error:
        raise unreadable(path, error.strerror) from None


def _pages(image: Image.Image) -> int:
    """Count the images in a file, without reduced copies and masks of the first one."""
    count = int(getattr(image, "n_frames", 1))
    if image.format in ("JPEG", "MPO") or count == 1:
        return 1
    if image.format != "TIFF":
        return count
    pages = 1
    for page in range(1, count):
        image.seek(page)
        pages += not int(image.getexif().get(ExifTags.Base.NewSubfileType, 0)) & (REDUCED | MASK)
    image.seek(0)
    return pages


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (unrotated) if none is given."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF data raises all kinds, and viewers pass over it
        return 1
    return found if found in TURNS else 1


def _damaged(handle: BinaryIO) -> bool:
    """Test whether a PNG's pixel data contradict their checksums, which Pillow does not check."""
    handle.seek(8)
    while len(head := handle.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind != b"IDAT":
            handle.seek(length + 4, os.SEEK_CUR)
        elif zlib.crc32(kind + handle.read(length)) != int.from_bytes(handle.read(4), "big"):
            return True
    return False


def open_image(path: str | Path) -> tuple[Image.Image, int]:
    """Decode the one image of a file, rotated as its EXIF orientation says.

    Returns:
        The image and the EXIF orientation it was stored with, 1 to 8.

    Raises:
        ImageFileError: the file is broken, is not an image, or holds several images.
    """
    check_regular(path)
    try:
        with open(path, "rb") as handle:  # by name, Pillow maps plain TIFF files and mixes up the pixels of turned ones
            image = Image.open(handle, formats=FORMATS)
            stored = orientation(image)  # asked before decoding: Pillow turns TIFF files itself, and then forgets it
            pages = _pages(image)
            image.load()
            damaged = image.format == "PNG" and _damaged(handle)
        shown: Image.Image = image
        if stored != 1 and image.format != "TIFF":
            shown = image.transpose(TURNS[stored])
            shown.format = image.format  # what else is known of the file goes over with `info`
    except UnidentifiedImageError:
        known = kind_of(path)
        raise unreadable(path, f"it is {known}" if known else "it is no image of a format known here") from None
    except Exception as error:  # decoders raise whatever they stumble over
        raise unreadable(path, str(error) or type(error).__name__) from None
    if damaged:
        raise unreadable(path, "it is damaged, its pixels do not fit their checksum")
    if pages > 1:
        raise ImageFileError(
            "of several images", f"{path} holds {pages} images, an animation or pages", "one image in a file",
            "save the one that is meant, as PNG or JPEG",
        )  # fmt: skip
    return shown, stored


def shown_size(path: str | Path) -> Size:
    """Return the size after EXIF rotation, from the header where the format has one.

    Raises:
        ImageFileError: the file is broken or is not an image.
    """
    check_regular(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            stored = Size.of_width_first(image.size)
            turned = image.format != "TIFF" and orientation(image) > 4  # quarter turns
    except Exception as error:
        raise unreadable(path, error) from None
    return Size(stored.width, stored.height) if turned else stored


def bit_depth(path: str | Path, image: Image.Image) -> int:
    """Return the bits per channel as stored, which Pillow's mode does not tell; 8 if unknown."""
    if image.format == "PNG":
        with open(path, "rb") as handle:
            return handle.read(25)[24]  # signature, length and name of the first chunk, two sides
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return int(bits[0] if isinstance(bits, tuple) else bits)
    return 8
