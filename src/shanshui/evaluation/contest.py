"""Scores of the Jittor challenge from their terms. Without all terms there is no score.

Mask accuracy multiplies everything: the share of pixels, in [0, 1], in which a segmenter finds the given class.
`aesthetic` is a mean of scores in [0, 10]; an FID of 0 counts fully, of 100 or more not at all. The organisers'
segmenter, aesthetic model and Inception graph were never published, so that scores computed with other models are not
comparable to the leaderboard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shanshui.errors import ShanshuiError

TERMS = ("mask_accuracy", "aesthetic", "fid")
WORDS = {"mask_accuracy": "mask accuracy", "aesthetic": "aesthetics", "fid": "FID", "style": "style similarity",
         "public": "public vote", "expert": "expert vote", "defence": "defence"}  # fmt: skip
RANGES = {
    "mask_accuracy": (0.0, 1.0),
    "aesthetic": (0.0, 10.0),
    "fid": (-1.0, math.inf),  # rounding leaves a set a tiny negative distance to itself
    "style": (-1.0, 1.0),
    "public": (0.0, 1.0),
    "expert": (0.0, 1.0),
    "defence": (0.0, 1.0),
}
BINS = 8  # of each colour channel, in the histogram of style


@dataclass(frozen=True)
class Outcome:
    """A score, or None with the names of the terms that are missing."""

    value: float | None
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Format the score with four decimals, or as `not measured` with the missing terms."""
        if self.value is not None:
            return f"{self.value:.4f}"
        return f"not measured (no {', no '.join(WORDS[name] for name in self.missing)})"


def board_a(terms: Mapping[str, float | None]) -> Outcome:
    """Compute board A of the 2nd challenge.

    mask * (0.5 * aesthetic / 10 + 0.5 * (100 - FID) / 100), with FID clipped at 100.

    Raises:
        ShanshuiError: where a term is out of its range.
    """
    found, missing = _measured(terms, TERMS)
    if missing:
        return Outcome(None, missing)
    return Outcome(found["mask_accuracy"] * (0.5 * found["aesthetic"] / 10 + 0.5 * _closeness(found["fid"])))


def board_b_machine(terms: Mapping[str, float | None]) -> Outcome:
    """Compute the automatic half of board B of the 2nd challenge: half of board A, in [0, 0.5].

    Raises:
        ShanshuiError: where a term is out of its range.
    """
    whole = board_a(terms)
    return whole if whole.value is None else Outcome(whole.value / 2)


def board_b(terms: Mapping[str, float | None]) -> Outcome:
    """Compute board B of the 2nd challenge: automatic half, 15 % public vote, 15 % expert vote, 20 % defence.

    The last three terms are in [0, 1].

    Raises:
        ShanshuiError: where a term is out of its range.
    """
    machine = board_b_machine(terms)
    found, missing = _measured(terms, ("public", "expert", "defence"))
    if machine.value is None or missing:
        return Outcome(None, machine.missing + missing)
    people = 0.15 * found["public"] + 0.15 * found["expert"] + 0.2 * found["defence"]
    return Outcome(machine.value + people)


def third_edition(terms: Mapping[str, float | None]) -> Outcome:
    """Compute the automatic score of the 3rd challenge.

    mask * (0.2 * aesthetic / 10 + 0.3 * (style + 1) / 2 + 0.5 * (100 - FID) / 100), where `style` is the mean
    `style_similarity` of images and their given style images, in [-1, 1]. FID is clipped at 100 as in the 2nd
    challenge.

    Raises:
        ShanshuiError: where a term is out of its range.
    """
    found, missing = _measured(terms, ("mask_accuracy", "aesthetic", "style", "fid"))
    if missing:
        return Outcome(None, missing)
    looks = 0.2 * found["aesthetic"] / 10 + 0.3 * (0.5 * found["style"] + 0.5)
    return Outcome(found["mask_accuracy"] * (looks + 0.5 * _closeness(found["fid"])))


def style_similarity(image: np.ndarray, style: np.ndarray) -> float:
    """Compute the correlation of the colour histograms of two images uint8 (H, W, 3), of any sizes, in [-1, 1].

    The bins are 8 x 8 x 8 of RGB, chosen here: the organisers' are not known. 0 where a histogram is flat.
    """
    first, second = (_histogram(photo) - 1 / BINS**3 for photo in (image, style))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norm if norm > 0 else 0.0


def _histogram(photo: np.ndarray) -> np.ndarray:
    """Compute the share of the pixels in every cell of RGB: (512,)."""
    cells = (photo.reshape(-1, 3).astype(np.intp) * BINS // 256) @ np.array([BINS**2, BINS, 1])
    return np.bincount(cells, minlength=BINS**3) / len(cells)


def _closeness(fid: float) -> float:
    """Map FID to [0, 1]: 1 at 0, 0 at 100 and beyond."""
    return (100 - min(max(fid, 0.0), 100.0)) / 100


def _measured(terms: Mapping[str, float | None], names: tuple[str, ...]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the terms `names` that have a value and the names of the others; refuse a value out of range."""
    found = {name: float(value) for name in names if (value := terms.get(name)) is not None}
    for name, value in found.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            raise ShanshuiError(f"{name} is {value:g}", f"a number from {max(low, -1):g} to {high:g}")
    return found, tuple(name for name in names if name not in found)
