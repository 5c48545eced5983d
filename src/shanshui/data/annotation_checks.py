"""Checks of additional files of some datasets: colours of palette files, instance maps, lists of scenes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from shanshui.data.findings import Finding, error, warning
from shanshui.data.folders import Folder
from shanshui.data.instances import InstanceFacts
from shanshui.data.layouts import colours_of
from shanshui.data.scan import LabelFacts
from shanshui.storage.names import number

SURE = 2  # so many values in the colours of other classes are no accident
VALUES_SHOWN = 3


def palette_means_ids(facts: Iterable[LabelFacts], thing: str, classes: Sequence[str], offset: int) -> list[Finding]:
    """Report palette files in the dataset's own colours whose values are other ids than those of these classes."""
    own = colours_of(tuple(classes)) or ()
    of_colour: dict[tuple[int, int, int], set[int]] = {}
    for number_of, colour in enumerate(own):
        of_colour.setdefault(colour, set()).add(number_of)
    lines = []
    for label in facts:
        wrong = {v: of_colour[c] for v, c in label.palette.items() if v + offset not in of_colour.get(c, {v + offset})}
        if len(wrong) >= SURE:
            shown = list(wrong.items())[:VALUES_SHOWN]
            said = (f"value {value} has the colour of {classes[min(meant)]} ({min(meant)})" for value, meant in shown)
            lines.append(f"{label.path}: {', '.join(said)}")
    if not lines:
        return []
    what = f"palette files whose numbers are not those of the classes they show: {number(len(lines), thing)}"
    do = "use the dataset's own files of ids; colours made into a palette are numbered arbitrarily"
    return [error(what, "pixel values that are class ids", do, lines)]


def sound_instances(labels: Sequence[LabelFacts], instances: Sequence[InstanceFacts | None], of: str) -> list[Finding]:
    """Report instance maps that are unreadable, missing, empty, or not of the size of their label map.

    Args:
        labels: the label maps.
        instances: the instance map of each label map; None where there is none.
        of: what the label maps are called in messages.
    """
    both = [(label, found) for label, found in zip(labels, instances, strict=True) if found and not label.problem]
    broken = [f"{i.path}: {i.problem}" for i in instances if i and i.problem]
    sizes = [f"{i.path}: {i.size}, {x.path}: {x.size}" for x, i in both if not i.problem and x.size != i.size]
    empty = [i.path for x, i in both if not i.problem and not i.edges and len(x.counts) > 1]
    lacking = [label.path for label, i in zip(labels, instances, strict=True) if i is None]
    found = []
    if broken:
        what, do = f"unreadable: {number(len(broken), 'instance map')} of {of}s", "replace the files"
        found.append(error(what, "one channel whose pixel values number the objects (8 or 16 bits)", do, broken))
    if sizes:
        what = f"instance map and label map differ in size: {number(len(sizes), of)}"
        found.append(error(what, "two files of the same width and height", "create both again from one source", sizes))
    if lacking:
        what = f"without instance map: {number(len(lacking), of)}"
        do = "add the missing files; where there is none, edges are those between classes"
        found.append(warning(what, "an instance map for every label map, or none at all", do, lacking))
    if empty:
        what = f"a single number all over, though there are several classes: {number(len(empty), 'instance map')}"
        found.append(warning(what, "a number of its own for every object", "create the files again", empty))
    return found


def not_the_full_dataset(layout: str, folders: Sequence[Folder]) -> list[Finding]:
    """Report the full ADE20K dataset, whose files number objects by colour instead of the benchmark's 150 classes."""
    whole = [path for folder in folders for path in folder.files or [] if path.stem.endswith("_seg")]
    if not layout.startswith("ade20k") or not whole:
        return []
    what = "this is the full ADE20K, whose *_seg.png hold some 3,000 objects in red and green, not the 150 classes"
    expected = "the scene parsing benchmark, ADEChallengeData2016, with annotations/training/ADE_train_*.png"
    do = "get that one for data.root; the objects of the full dataset have no certain place among the 150 classes"
    return [error(what, expected, do, dict.fromkeys(whole))]


def scenes_known(wanted: str, given: Path | None, unlisted: Sequence[str]) -> list[Finding]:
    """Report a missing list of scenes, or images that are not on it, for a layout that takes outdoor scenes only.

    Args:
        wanted: name of the list that the layout asks for; empty for none.
        given: the list that was found.
        unlisted: names of images that are not on it.
    """
    if not wanted:
        return []
    if given is None:
        what = f"there is no {wanted}: every image is taken, whatever it shows"
        do = "nothing, if they are outdoor images already; else put the dataset's list into data.root"
        return [warning(what, f"{wanted}, a line `name scene` per image", do)]
    if not unlisted:
        return []
    what = f"not in {given}: {number(len(unlisted), 'name')}"
    return [warning(what, "a line `name scene` per image", "complete the list; these are left out", unlisted)]
