"""Class colours: the dataset's own, familiar ones for the contest's classes, distinct ones otherwise."""

from __future__ import annotations

import colorsys

import numpy as np

from shanshui.data.layouts import colours_of

FAMILIAR = {
    "mountain": (112, 110, 138), "sky": (126, 190, 236), "water": (56, 120, 190), "sea": (24, 84, 160),
    "rock": (134, 124, 114), "tree": (40, 104, 52), "earth": (132, 92, 60), "hill": (126, 150, 84),
    "river": (74, 146, 206), "sand": (232, 212, 154), "land": (170, 138, 90), "building": (186, 96, 84),
    "grass": (110, 184, 74), "plant": (72, 144, 84), "person": (240, 90, 130), "boat": (240, 150, 60),
    "waterfall": (190, 226, 246), "wall": (160, 146, 140), "pier": (122, 82, 66), "path": (206, 176, 132),
    "lake": (46, 132, 176), "bridge": (150, 112, 152), "field": (206, 198, 86), "road": (96, 96, 104),
    "railing": (198, 180, 200), "fence": (150, 126, 88), "ship": (214, 74, 52), "house": (214, 112, 72),
    "other": (60, 60, 60),
    "pole": (200, 200, 120), "pavement": (220, 150, 200), "sign": (230, 200, 60), "car": (70, 70, 180),
    "pedestrian": (240, 90, 130), "bicyclist": (60, 190, 190), "unlabelled": (20, 20, 20),
}  # fmt: skip


def class_palette(names: list[str]) -> np.ndarray:
    """Return a colour per class, uint8 (len(names), 3), that depends on the list of names only."""
    if own := colours_of(tuple(names)):
        return np.array(own, np.uint8)
    colours = []
    for index, name in enumerate(names):
        hue, light = (index * 0.6180339887) % 1.0, 0.45 + 0.2 * (index % 3) / 2
        spread = tuple(round(255 * v) for v in colorsys.hls_to_rgb(hue, light, 0.65))
        colours.append(FAMILIAR.get(name.lower(), spread))
    return np.array(colours, np.uint8)
