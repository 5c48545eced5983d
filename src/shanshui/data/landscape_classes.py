"""The classes of the competition's label maps, in the order of their ids."""

from __future__ import annotations

CLASSES = (
    "mountain", "sky", "water", "sea", "rock", "tree", "earth", "hill", "river", "sand", "land", "building",
    "grass", "plant", "person", "boat", "waterfall", "wall", "pier", "path", "lake", "bridge", "field", "road",
    "railing", "fence", "ship", "house", "other",
)  # fmt: skip
