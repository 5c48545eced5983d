"""Class names of imported weights, which store only their number; and class lists on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from shanshui.data.landscape_classes import CLASSES
from shanshui.errors import UsageError

MOST = 255  # label maps are read into 8 bits, and 255 is no class


def class_names(given: Sequence[str] | None, count: int, source: str) -> list[str]:
    """Return class names in id order: those given, else the competition's if the number fits, else `class 0` and so on.

    Raises:
        UsageError: `given` has not `count` names, or `count` is more than 255.
    """
    if count > MOST:
        raise UsageError(f"{source} tells {count} classes apart", f"{MOST} at most")
    names = list(given or (CLASSES if count == len(CLASSES) else [f"class {i}" for i in range(count)]))
    if len(names) != count:
        raise UsageError(f"{len(names)} names in --classes", f"{count}, as {source} tells apart")
    return names


def class_list(text: str) -> list[str]:
    """Parse a list of class names such as `sky,sea` of a command line.

    Raises:
        ArgumentTypeError: a name is empty or repeated.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of distinct names")
    return names
