"""Class names of published datasets in the order of their ids, with their customary colours where they have some.

The tables are files beside this one: ADE20K's scene parsing benchmark (Zhou et al. 2017), COCO-Stuff's 182 things and
stuff (Caesar et al. 2018; ids that no file uses keep their names), the ids of Cityscapes (Cordts et al. 2016; its
number -1, the licence plate, is put last), and the CMP facades (Tyleček and Šára 2013).
"""

from __future__ import annotations

import functools
from pathlib import Path

from shanshui.storage.files import read_csv

Colours = tuple[tuple[int, int, int], ...]
HERE = Path(__file__).resolve().parent
TABLES = {
    "ade20k": "ade20k.csv",
    "cityscapes": "cityscapes.csv",
    "coco-stuff": "coco_stuff.csv",
    "facades": "facades.csv",
}


@functools.cache
def class_names(table: str) -> tuple[str, ...]:
    """Class names of a dataset, one of TABLES, in id order."""
    return tuple(row["name"] for row in read_csv(HERE / TABLES[table]))


@functools.cache
def colours_of(names: tuple[str, ...]) -> Colours | None:
    """Red, green, blue per class where `names` are exactly those of a dataset that has colours of its own."""
    for table, file in TABLES.items():
        if class_names(table) == names:
            rows = read_csv(HERE / file)
            if "red" in rows[0]:
                return tuple((int(row["red"]), int(row["green"]), int(row["blue"])) for row in rows)
    return None
