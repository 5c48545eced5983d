"""The 150 classes of ADE20K (Zhou et al. 2017, scene parsing benchmark), mapped to the contest's classes.

All the contest's classes but "other" bear names of ADE20K, so its labels are taken to come from a network
trained on that dataset: a class goes to its namesake, and every class without one to "other".
"""

from __future__ import annotations

from collections.abc import Sequence

from shanshui.data.class_tables import class_names

ADE20K = class_names("ade20k.csv")
REST = "other"


def grouping(classes: Sequence[str]) -> list[int]:
    """Map each class of ADE20K to the id of its namesake in `classes`, else of "other", else to -1."""
    numbers = {name.casefold(): number for number, name in enumerate(classes)}
    return [numbers.get(name, numbers.get(REST, -1)) for name in ADE20K]
