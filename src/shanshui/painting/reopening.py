"""Open an exported archive again: its label map as class ids of the loaded weights, and the settings of its image.

Only `paint_label.png` and `paint.json` are read, from memory and within limits; both may be in a folder of the
archive, as where it was unpacked and packed again.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError, model_validator

from shanshui.data.labels import NO_CLASS, Classes
from shanshui.painting.decoding import check_header, in_memory
from shanshui.painting.exporting import LABEL_MAP, RECORD
from shanshui.painting.limits import LABEL_BYTES, LABEL_MEGAPIXELS
from shanshui.painting.queries import LARGEST_NUMBER
from shanshui.painting.refusals import Refusal
from shanshui.storage.label_file import decode_label_map

RECORD_BYTES = 1 << 20
MOST_FILES = 100
LARGEST_VALUE = 65535  # in files
WANTED = "a zip that this page has saved"


class SavedStyle(BaseModel):
    """One style, or two and the share of the second."""

    photographs: list[Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]] = Field(min_length=1, max_length=2)
    vectors: list[list[FiniteFloat]] = Field(min_length=1, max_length=2)
    blend: FiniteFloat = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> SavedStyle:
        if len(self.photographs) != len(self.vectors):
            raise ValueError("as many photographs as vectors")
        return self


class Record(BaseModel):
    """What is read of paint.json."""

    weights_sha256: str
    seed: int = Field(ge=0, le=LARGEST_NUMBER)
    classes: list[str] = Field(min_length=1, max_length=NO_CLASS)
    label_offset: int = Field(ge=-LARGEST_VALUE, le=LARGEST_VALUE)
    ignore_label: int | None = Field(ge=0, le=LARGEST_VALUE)
    style: SavedStyle | None


@dataclass(frozen=True)
class Saved:
    """A label map, uint8 (H, W) class ids, and the record of its image."""

    ids: np.ndarray
    record: Record


def read_archive(data: bytes, classes: Classes) -> Saved:
    """Read an exported archive.

    Args:
        data: the zip.
        classes: of the loaded weights; those of the archive are found among them by name.

    Raises:
        Refusal: it is none, holds something else, or a class that the weights do not have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            label_map = _member(archive, LABEL_MAP, LABEL_BYTES)
            record = Record.model_validate_json(_member(archive, RECORD, RECORD_BYTES))
    except Refusal:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Refusal("bad_image", f"{RECORD}: {where}: {first['msg']}", WANTED) from None
    except Exception as error:  # zipfile raises whatever it stumbles over
        raise Refusal("bad_image", f"no zip that can be read: {error}", WANTED) from None
    check_header(label_map, ("PNG",), LABEL_MEGAPIXELS)
    with in_memory(label_map) as path:
        values = decode_label_map(path).ids
        ids = Classes(tuple(record.classes), record.label_offset, record.ignore_label).ids(values, LABEL_MAP)
    return Saved(_named(ids, record.classes, classes), record)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Read a file of an archive, of at most `most` bytes."""
    listed = archive.infolist()
    found = [each for each in listed if each.filename == name or each.filename.endswith(f"/{name}")]
    if len(found) != 1 or len(listed) > MOST_FILES:
        raise Refusal("bad_image", f"a zip with {len(found)} files {name} among {len(listed)}", WANTED)
    with archive.open(found[0]) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Refusal("too_large", f"{name} of more than {most} bytes", f"at most {most} bytes", most=most)
    return content


def _named(ids: np.ndarray, names: list[str], classes: Classes) -> np.ndarray:
    """Convert class ids of `names`, uint8 (H, W), to those of `classes`."""
    table = np.full(256, NO_CLASS, np.uint8)
    for value in np.unique(ids):
        name = names[value] if value < len(names) else ""
        if name in classes.names:
            table[value] = classes.names.index(name)
        elif name or classes.no_class is None:
            raise Refusal(
                "bad_id", f"class {name!r}" if name else "pixels of no class", "classes of the loaded weights",
                "choose the weights that the archive was saved with", value=int(value), count=int((ids == value).sum()),
            )  # fmt: skip
    return table[ids]
