"""Photographs whose styles are on offer, drawn by `shanshui.landscapes`, one for each time of day.

python -m shanshui.painting.ready_styles    draws the packaged files again
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

from shanshui.storage.size import Size

FOLDER = Path(__file__).resolve().parent / "styles"
DRAWN = {  # name: seed, whose light it is, and scene
    "day": (3, "lake"), "golden": (12, "river"), "dawn": (7, "karst"), "dusk": (9, "beach"), "overcast": (0, "ridges"),
    "night": (4, "lake"),
}  # fmt: skip
SIZE = Size(192, 256)
QUALITY = 88
DIGITS = 12


def style_name(photograph: bytes) -> str:
    """Return the name of a photograph's style: 12 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(photograph).hexdigest()[:DIGITS]


@functools.cache
def ready_styles() -> Mapping[str, bytes]:
    """Read the photographs, JPEG files, by name."""
    return {name: (FOLDER / f"{name}.jpg").read_bytes() for name in DRAWN}


def ready_photograph(style: str) -> bytes | None:
    """Return the photograph of a style's name, if it is one of the ready-made ones."""
    return next((content for content in ready_styles().values() if style_name(content) == style), None)


def draw(folder: Path) -> None:
    """Draw the photographs into a folder."""
    from shanshui.landscapes.scene import draw_landscape
    from shanshui.storage.images import write_image

    for name, (seed, scene) in DRAWN.items():
        photograph, _ = draw_landscape(seed, SIZE, scene)
        write_image(folder / f"{name}.jpg", photograph, quality=QUALITY)


if __name__ == "__main__":
    draw(FOLDER)
