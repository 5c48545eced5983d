"""Class names of published datasets in id order, with the dataset's colours where it defines them.

The tables are files in this folder: ADE20K's scene parsing benchmark (Zhou et al. 2017), COCO-Stuff's 182 things and
stuff (Caesar et al. 2018; ids that no file uses keep their names), the ids of Cityscapes (Cordts et al. 2016; its
number -1, the licence plate, is put last), and the CMP facades (Tyleček and Šára 2013).
"""

from __future__ import annotations

import functools
from pathlib import Path

from shanshui.storage.files import read_csv

Colours = tuple[tuple[int, int, int], ...]
HERE = Path(__file__).resolve().parent


@functools.cache
def class_names(table: str | Path) -> tuple[str, ...]:
    """Read class names in id order from a CSV with the column `name`: a file in this folder, or a full path."""
    return tuple(row["name"] for row in read_csv(HERE / table))


@functools.cache
def class_colours(table: str | Path) -> Colours | None:
    """Read (red, green, blue) in 0 .. 255 per class from a CSV file; None if it lacks these columns."""
    rows = read_csv(HERE / table)
    return tuple((int(r["red"]), int(r["green"]), int(r["blue"])) for r in rows) if "red" in rows[0] else None
