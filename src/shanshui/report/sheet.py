"""Sheets of captioned images: contact sheet and strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shanshui.storage.images import resize_label_map, resize_photo
from shanshui.storage.size import Size

PAPER = (251, 248, 241)
INK = (43, 43, 40)
FAINT = (120, 117, 108)
Item = TypeVar("Item")
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def evenly_spaced(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` items, evenly spaced from first to last."""
    if len(items) <= most:
        return list(items)
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, most)]


def fit(pixels: np.ndarray, size: Size, sharp: bool = False) -> np.ndarray:
    """Resize uint8 (H, W, 3) to `size`: nearest neighbour where `sharp` (label maps), else bicubic."""
    return resize_label_map(pixels, size) if sharp else resize_photo(pixels, size)


def _cell(image: np.ndarray, width: int) -> Size:
    """Compute the size of an image at another width, with its aspect ratio."""
    return Size(round(width * image.shape[0] / image.shape[1]), width)


def _canvas(size: Size) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", size.width_first, PAPER)
    return canvas, ImageDraw.Draw(canvas)


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _shortened(draw: ImageDraw.ImageDraw, text: str, width: int, font: Font) -> str:
    """Shorten `text` with an ellipsis to `width` pixels."""
    while len(text) > 4 and draw.textlength(text, font=font) > width:
        text = text.rstrip("…")[:-1] + "…"
    return text


def contact_sheet(
    entries: Sequence[tuple[str, np.ndarray, np.ndarray]], heading: str, per_line: int = 6, width: int = 160
) -> np.ndarray:
    """Arrange label maps and images in pairs, the name below each pair.

    Args:
        entries: (name, coloured label map, image), arrays uint8 (H, W, 3).
        heading: title of the sheet.
        per_line: pairs per line.
        width: of one image in pixels.

    Returns:
        The sheet, uint8 (H, W, 3).
    """
    cell = _cell(entries[0][2], width)
    per_line = min(per_line, len(entries))
    margin, gap, caption, top = 24, 18, 24, 56
    across, down = 2 * width + 2 + gap, cell.height + caption
    lines = -(-len(entries) // per_line)
    sheet, draw = _canvas(Size(top + lines * down + margin - 8, max(2 * margin + per_line * across - gap, 420)))
    draw.text((margin, 20), heading, fill=INK, font=_font(18))
    font = _font(12)
    for index, (name, label, pixels) in enumerate(entries):
        left, up = margin + index % per_line * across, top + index // per_line * down
        sheet.paste(Image.fromarray(fit(label, cell, sharp=True)), (left, up))
        sheet.paste(Image.fromarray(fit(pixels, cell)), (left + width + 2, up))
        draw.text((left, up + cell.height + 4), _shortened(draw, name, 2 * width, font), fill=FAINT, font=font)
    return np.asarray(sheet)


def strip(lines: Sequence[tuple[str, Sequence[np.ndarray | None]]], width: int = 256) -> np.ndarray:
    """Arrange images in captioned lines, one column per label map.

    Args:
        lines: (caption, images) per line; None leaves a gap. The first line is resized by nearest neighbour.
        width: of one image in pixels.

    Returns:
        The strip, uint8 (H, W, 3).
    """
    first = next(pixels for pixels in lines[0][1] if pixels is not None)
    cell = _cell(first, width)
    gap, margin, font = 6, 14, _font(17)
    columns = max(len(cells) for _, cells in lines)
    left = margin + 34
    sheet, _ = _canvas(
        Size(2 * margin + len(lines) * (cell.height + gap) - gap, left + columns * (width + gap) - gap + margin)
    )
    for row, (caption, cells) in enumerate(lines):
        up = margin + row * (cell.height + gap)
        upright, pen = _canvas(Size(26, cell.height))
        pen.text((cell.height / 2, 13), caption, fill=FAINT, font=font, anchor="mm")
        sheet.paste(upright.rotate(90, expand=True), (margin - 2, up))
        for column, pixels in enumerate(cells):
            if pixels is None:
                continue
            sized = fit(pixels, cell, sharp=row == 0)
            sheet.paste(Image.fromarray(sized), (left + column * (width + gap), up))
    return np.asarray(sheet)
