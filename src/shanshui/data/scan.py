"""Collect everything the checks need from one file, with a single decoding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from shanshui.data.labels import value_counts
from shanshui.data.seams import Seams, seams
from shanshui.errors import ShanshuiError
from shanshui.storage.image_file import UNREADABLE, ImageFileError
from shanshui.storage.label_file import decode_label_map
from shanshui.storage.photo_file import decode_photo
from shanshui.storage.size import Size

NOTHING = np.zeros((2, 3))


@dataclass(frozen=True)
class Fault:
    """A fault of a file: its `kind` (equal for equal faults), what was expected, what to do."""

    kind: str
    expected: str
    do: str


def fault_of(error: ShanshuiError) -> Fault:
    """Return the fault that an error describes."""
    kind = error.kind if isinstance(error, ImageFileError) else UNREADABLE
    return Fault(kind, error.expected, error.do)


@dataclass(frozen=True)
class PhotoFacts:
    """A photograph: its size, grey or not, digest of its pixels, sum and sum of squares per channel.

    `turned` says that EXIF data rotated or flipped it, `notes` list what could not be applied. A file that cannot be
    read has a `problem` and its `fault`, and none of the rest.
    """

    path: Path
    problem: str = ""
    size: Size = Size(0, 0)
    grey: bool = False
    content: str = ""
    turned: bool = False
    notes: tuple[str, ...] = ()
    fault: Fault | None = field(default=None, repr=False, compare=False)
    sums: np.ndarray = field(default_factory=NOTHING.copy, repr=False, compare=False)


@dataclass(frozen=True)
class LabelFacts:
    """A label map: its size, digest of its pixels, number of pixels per value in the file.

    `palette` is the colour of each of these values in a palette file, empty for other files. `seams` tell whether the
    values were interpolated.
    """

    path: Path
    problem: str = ""
    size: Size = Size(0, 0)
    content: str = ""
    counts: dict[int, int] = field(default_factory=dict, repr=False)
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict, repr=False)
    turned: bool = False
    seams: Seams = field(default_factory=Seams, repr=False)
    fault: Fault | None = field(default=None, repr=False, compare=False)


def content_digest(pixels: np.ndarray) -> str:
    """Compute a digest of shape and pixels, equal for equal images whatever their file names and compression."""
    total = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    total.update(np.ascontiguousarray(pixels).data)
    return total.hexdigest()


def is_grey(photo: np.ndarray) -> bool:
    """Test whether the three channels of uint8 (H, W, 3) are equal everywhere."""
    for part in (photo[::16, ::16], photo):  # nearly every colour photograph shows its colours in the sample
        if (part[..., 0] != part[..., 1]).any() or (part[..., 0] != part[..., 2]).any():
            return False
    return True


def channel_sums(photo: np.ndarray) -> np.ndarray:
    """Compute sum and sum of squares of the values 0 .. 255 per channel of uint8 (H, W, 3): exact float64 (2, 3)."""
    values = np.arange(256.0)
    histograms = np.array(Image.fromarray(photo).histogram()).reshape(3, 256)  # Pillow's is the fast one
    return np.stack([histograms @ values, histograms @ values**2])


def first_line(path: Path, error: ShanshuiError) -> str:
    """Return the first line of the message about a file, without the file's name."""
    return str(error).splitlines()[0].removeprefix(f"{path} ")


def scan_photo(path: Path) -> PhotoFacts:
    """Read a photograph; a broken file gives a `problem` instead of an exception."""
    try:
        read = decode_photo(path)
    except ShanshuiError as error:
        return PhotoFacts(path, first_line(path, error), fault=fault_of(error))
    photo = read.pixels
    return PhotoFacts(
        path, "", Size.of(photo), is_grey(photo), content_digest(photo), read.turned, read.notes, None,
        channel_sums(photo),
    )  # fmt: skip


def scan_label(path: Path) -> LabelFacts:
    """Read a label map; a broken or coloured file gives a `problem` instead of an exception."""
    try:
        read = decode_label_map(path)
    except ShanshuiError as error:
        return LabelFacts(path, first_line(path, error), fault=fault_of(error))
    raw, palette = read.ids, read.palette
    counts = value_counts(raw)
    shown = {value: palette[value] for value in counts if 0 <= value < len(palette)}
    return LabelFacts(path, "", Size.of(raw), content_digest(raw), counts, shown, read.turned, seams(raw))
