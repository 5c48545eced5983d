"""Check files and pairs: readable, matching sizes, ids that are classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from shanshui.data.findings import Finding, error, warning
from shanshui.data.labels import outside
from shanshui.data.scan import LabelFacts, PhotoFacts
from shanshui.storage.image_file import UNREADABLE
from shanshui.storage.names import number
from shanshui.storage.size import Size

ASPECT_TOLERANCE = 0.02
PAIR_ASPECT_TOLERANCE = 0.01
VALUES_SHOWN = 5
UNLABELLED = 255  # by custom

Facts = PhotoFacts | LabelFacts


def _aspect_error(size: Size, of: Size) -> float:
    return abs(size.width * of.height / (size.height * of.width) - 1)


def readable(facts: Sequence[Facts], thing: str) -> list[Finding]:
    """Report files that cannot be used, grouped by fault: broken, in colour, lossy compression and so on."""
    faults = {f.fault.kind: f.fault for f in reversed(facts) if f.fault}
    found = []
    for kind, fault in sorted(faults.items()):
        mine = (f"{f.path}: {f.problem}" for f in facts if f.fault and f.fault.kind == kind)
        count = sum(f.fault is not None and f.fault.kind == kind for f in facts)
        do, expected = (
            ("replace the files", "complete image files") if kind == UNREADABLE else (fault.do, fault.expected)
        )
        do += ", or put their names on the exclusion list (data.exclude)" if thing.startswith("training") else ""
        found.append(error(f"{kind}: {number(count, thing)}", expected, do, mine))
    return found


def matching_sizes(pairs: Iterable[tuple[PhotoFacts, LabelFacts]]) -> list[Finding]:
    """Report pairs whose sizes differ: an error if the aspect ratios differ, else a warning."""
    shapes: list[str] = []
    scales: list[str] = []
    lying = 0
    for photo, label in pairs:
        if photo.problem or label.problem or photo.size == label.size:
            continue
        line = f"{photo.path}: {photo.size}, {label.path}: {label.size}"
        differ = _aspect_error(photo.size, label.size) > PAIR_ASPECT_TOLERANCE
        (shapes if differ else scales).append(line)
        lying += differ and photo.turned != label.turned and photo.size == (label.size.width, label.size.height)
    expected = "two files of the same width and height"
    found = []
    if shapes:
        what = f"photograph and label map differ in shape: {number(len(shapes), 'pair')}"
        do = "cut both to the same frame, or put the names on the exclusion list"
        if lying:
            do = (
                f"of {number(lying, 'pair')} one file is turned by its EXIF orientation and the other lies as it is "
                f"stored: turn the pixels of the first and remove its tag; else {do}"
            )
        found.append(error(what, expected, do, shapes))
    if scales:
        what = f"photograph and label map differ in size, not in shape: {number(len(scales), 'pair')}"
        do = "nothing, if both show the same frame: both are resized to the training size"
        found.append(warning(what, expected, do, scales))
    return found


def fitting_sizes(facts: Iterable[Facts], thing: str, size: Size, least: Size) -> list[Finding]:
    """Report files of another aspect ratio than `size` or smaller than `least`, in pixels."""
    good = [f for f in facts if not f.problem]
    small = [f"{f.path}: {f.size}" for f in good if f.size.width < least.width or f.size.height < least.height]
    askew = [f"{f.path}: {f.size}" for f in good if _aspect_error(f.size, size) > ASPECT_TOLERANCE]
    found = []
    if small:
        what = f"smaller than {least}: {number(len(small), thing)}"
        do = "use larger files or smaller data.width, data.height and data.load_width; else they are enlarged"
        found.append(warning(what, f"at least {least} pixels", do, small))
    if askew:
        what = f"not of the shape {size}: {number(len(askew), thing)}"
        do = "crop the files, or leave it: they are squeezed to the configured shape"
        expected = f"width / height within {ASPECT_TOLERANCE:.0%} of {size.width / size.height:.3f}"
        found.append(warning(what, expected, do, askew))
    return found


def _id_hint(wrong: set[int], present: set[int], num_classes: int, offset: int, ignore: int | None) -> str:
    """Suggest the likely cause from the `wrong` label values and all that are `present`."""
    beside, also = wrong - {UNLABELLED}, ""
    if UNLABELLED in wrong and ignore is None:
        also = f"; and if {UNLABELLED} means no class, data.ignore_label to {UNLABELLED}"
    if beside == {num_classes} and offset == 0 and 0 not in present:
        return f"the files seem to count from 1: set data.label_offset to -1{also}"
    if beside == {0} and offset == -1 and num_classes not in present:
        return f"the files seem to count from 0: set data.label_offset to 0{also}"
    step = math.gcd(*(present - {ignore, UNLABELLED}))
    if step > 1 and max(present - {ignore, UNLABELLED}) // step + offset < num_classes:
        return f"every value is a multiple of {step}, as in images made for the eye: divide the values by {step}"
    if wrong == {UNLABELLED} and ignore is None and offset == 0 and num_classes - 1 not in present:
        return (
            f"no file has value {num_classes - 1}, the last class: ids lowered by one look like this, with "
            f"{UNLABELLED} for class 0; create such files again. Only if {UNLABELLED} means no class, set "
            f"data.ignore_label to {UNLABELLED}"
        )
    if len(wrong) == 1 and ignore is None:
        value = min(wrong)
        return f"if {value} means no class, set data.ignore_label to {value}; else correct the files"
    return "correct the files, data.classes, data.label_offset or data.ignore_label"


def ids_in_range(
    facts: Sequence[LabelFacts], thing: str, num_classes: int, label_offset: int, ignore_label: int | None
) -> list[Finding]:
    """Report pixel values that are no class id, per file with value and number of pixels."""
    lines: list[str] = []
    values: set[int] = set()
    present: set[int] = set()
    for label in facts:
        present |= label.counts.keys()
        wrong = outside(label.counts, num_classes, label_offset, ignore_label)
        if wrong:
            values |= wrong.keys()
            shown = [f"value {value} ({number(pixels, 'pixel')})" for value, pixels in wrong.items()]
            more = f" and {len(shown) - VALUES_SHOWN} more values" if len(shown) > VALUES_SHOWN else ""
            lines.append(f"{label.path}: {', '.join(shown[:VALUES_SHOWN])}{more}")
    if not lines:
        return []
    shifted = f" after adding data.label_offset {label_offset}" if label_offset else ""
    also = f", or {ignore_label} in the file for no class" if ignore_label is not None else ""
    what = f"pixel values that are no class: {number(len(lines), thing)}"
    do = _id_hint(values, present, num_classes, label_offset, ignore_label)
    if any(label.seams.scaled() for label in facts):
        do = "create the label maps again: these were scaled or stored as shades, which no option puts right"
    return [error(what, f"0 to {num_classes - 1}{shifted}{also}", do, lines)]


def coloured_photos(photos: Iterable[PhotoFacts]) -> list[Finding]:
    """Report grey photographs, which would teach the generator to produce grey images."""
    grey = [p.path for p in photos if p.grey]
    if not grey:
        return []
    what = f"without colour: {number(len(grey), 'training photograph')}"
    do = "put their names on the exclusion list"
    return [warning(what, "colour photographs (the winner left his grey ones out)", do, grey)]


def distinct_photos(photos: Iterable[PhotoFacts]) -> list[Finding]:
    """Report photographs with equal pixels under several names."""
    same: dict[str, list[str]] = {}
    for photo in photos:
        if not photo.problem:
            same.setdefault(photo.content, []).append(str(photo.path))
    groups = [" = ".join(names) for names in same.values() if len(names) > 1]
    if not groups:
        return []
    what = f"the same photograph under several names: {number(len(groups), 'group')}"
    do = "keep one of each, exclude the others; twins count twice and can leak from training into the hold-out"
    return [warning(what, "every photograph once", do, groups)]


def unseen_tests(train: Iterable[LabelFacts], test: Iterable[LabelFacts]) -> list[Finding]:
    """Report test label maps that are also training label maps; maps of a single class are not compared."""
    known = {f.content: f.path for f in train if len(f.counts) > 1}
    seen = [f"{f.path} = {known[f.content]}" for f in test if not f.problem and f.content in known]
    if not seen:
        return []
    what = f"identical to a training label map: {number(len(seen), 'test label map')}"
    do = "exclude the training pairs, or keep in mind that scores on these images flatter"
    return [warning(what, "test label maps that are not trained on", do, seen)]
