"""Read photographs: pixels as an image viewer displays them.

Orientation, bit depth, transparency and colour profile are applied; what cannot be applied is said in `notes`.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from shanshui.storage.image_file import ImageFileError, open_image

SAME = 2  # a profile whose colours differ by no more, of 255, is sRGB: programs write it with roundings of their own
OPAQUE = 255
USUAL_GAMMA = 1 / 2.2
GAMMA_TOLERANCE = 0.05
SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True)
class Photo:
    """Pixels in sRGB, uint8 (H, W, 3); `turned` says that EXIF data rotated or flipped them."""

    pixels: np.ndarray
    turned: bool = False
    notes: tuple[str, ...] = ()


def _probe() -> Image.Image:
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3))


@functools.lru_cache(maxsize=32)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform from a colour profile to sRGB; None if the colours are the same.

    Raises:
        PyCMSError, OSError: the profile is broken.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
    found = ImageCms.buildTransform(source, SRGB, mode, "RGB", intent)
    if mode == "RGB":
        probe = _probe()
        there = ImageCms.applyTransform(probe, found)
        if there is None or np.abs(np.asarray(there, int) - np.asarray(probe, int)).max() <= SAME:
            return None
    return found


def _lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), SRGB, "LAB", "RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Convert an image of mode L, RGB, CMYK or LAB to sRGB; return it with notes on what could not be applied."""
    notes = []
    try:
        if image.mode == "LAB":
            return ImageCms.applyTransform(image, _lab()) or image, []
        if profile and (way := _to_srgb(profile, image.mode)):
            return ImageCms.applyTransform(image, way) or image, []
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"its colour profile cannot be applied: {error}")
    return image.convert("RGB"), notes


def _eight_bits(image: Image.Image, path: str | Path) -> Image.Image:
    """Reduce grey of more than 8 bits to its upper 8 bits, as viewers do.

    Raises:
        ImageFileError: values are 32-bit integers or floats, whose white is unknown.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "whole numbers of 32 bits" if image.mode == "I" else "numbers with decimals"
        raise ImageFileError(
            "without a known white", f"{path} holds {kind}, of which white is not known",
            "a photograph of 8 or 16 bits", "save it as JPEG or PNG",
        )  # fmt: skip
    return image.convert("L") if image.mode == "1" else image


def _gamma(image: Image.Image) -> list[str]:
    gamma = image.info.get("gamma")
    if not gamma or "srgb" in image.info or abs(gamma / USUAL_GAMMA - 1) <= GAMMA_TOLERANCE:
        return []
    return [f"its gamma {gamma:.3f} is not honoured (usual: {USUAL_GAMMA:.3f})"]


def decode_photo(path: str | Path) -> Photo:
    """Read a photograph; grey is replicated, transparency is composited over black.

    Raises:
        ImageFileError: the file is broken, is not an image, holds several images, or has values whose white is unknown.
    """
    opened, stored = open_image(path)
    profile = opened.info.get("icc_profile")
    image = _eight_bits(opened, path)
    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    alpha = image.convert("RGBA").getchannel("A") if clear else None
    plain = image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("L" if image.mode == "LA" else "RGB")
    coloured, notes = _in_srgb(plain, profile)
    if alpha is not None:
        see_through = image.width * image.height - alpha.histogram()[OPAQUE]
        notes += [f"it is transparent in {see_through} pixels, composited over black"] if see_through else []
        coloured.putalpha(alpha)
        coloured = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), coloured).convert("RGB")
    notes += [] if profile else _gamma(opened)
    return Photo(np.asarray(coloured), stored != 1, tuple(notes))
