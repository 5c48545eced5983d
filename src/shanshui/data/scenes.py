"""Select outdoor images by the scene category that a dataset assigns to each image."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.names import normal
from shanshui.storage.texts import read_text

# The outdoor half of Places365's scenes (Zhou et al. 2018), from which ADE20K's scenes take their names. Whatever
# ends in "outdoor" or "exterior" is not listed.
OUTDOOR = Path(__file__).resolve().with_name("outdoor_scenes.txt")
_SAID = ("_outdoor", "_exterior")


@functools.cache
def _outdoor() -> frozenset[str]:
    return frozenset(OUTDOOR.read_text(encoding="utf-8").split())


def is_outdoor(scene: str) -> bool:
    """Test whether a scene category, such as `forest_path` or `bazaar/outdoor`, is an outdoor one."""
    plain = re.sub(r"[\W_]+", "_", scene.lower()).strip("_")
    return f"_{plain}".endswith(_SAID) or plain in _outdoor()


def read_scenes(path: Path) -> dict[str, str]:
    """Read the scene category by image name from lines `name scene`.

    Raises:
        ShanshuiError: the file cannot be read or has lines of another form.
    """
    lines = read_text(path, "the list of scenes", "a line `name scene` per image").splitlines()
    rows = [line.split(maxsplit=1) for line in lines if line.strip()]
    if not rows or any(len(row) < 2 for row in rows):
        raise ShanshuiError(f"{path} is no list of scenes", "a line `name scene` per image")
    return {normal(name): scene.strip() for name, scene in rows}
