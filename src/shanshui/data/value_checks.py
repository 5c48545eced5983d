"""Check label values that are in range but wrong: interpolated shades, or arbitrary palette indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shanshui.data.findings import Finding, error
from shanshui.data.scan import LabelFacts
from shanshui.data.seams import OF_A_SET, together
from shanshui.storage.names import number

Colour = tuple[int, int, int]
SURE = 2  # so many colours that contradict each other are no accident
SHOWN = 3
ANEW = "create the label maps again from their source; "


def scaled_as_shades(facts: Sequence[LabelFacts], thing: str) -> list[Finding]:
    """Report label maps with intermediate values along class borders, in single files or in the whole set."""
    rest = [f.seams for f in facts if not f.problem and not f.seams.scaled()]
    all_of_them = together(rest).scaled(OF_A_SET)
    lines = [
        f"{f.path}: {f.seams.between} of {f.seams.borders} borders have numbers in between"
        for f in facts
        if f.seams.scaled() or (all_of_them and f.seams.between)
    ]
    if not lines:
        return []
    what = f"scaled, or stored, as images of shades: {number(len(lines), thing)}"
    do = ANEW + "scale them by nearest neighbour, store them as PNG; no option puts these files right"
    return [error(what, "class ids alone at the border of two classes, nothing in between", do, lines)]


def _clear(label: LabelFacts) -> dict[Colour, int]:
    """Return the value of each colour of a palette file, without colours that several values have."""
    times = Counter(label.palette.values())
    return {colour: value for value, colour in label.palette.items() if times[colour] == 1}


def palettes_agree(facts: Sequence[LabelFacts], thing: str) -> list[Finding]:
    """Report palette files that give a colour another value than most files do."""
    votes: dict[Colour, Counter[int]] = {}
    for label in facts:
        for colour, value in _clear(label).items():
            votes.setdefault(colour, Counter())[value] += 1
    usual = {colour: count.most_common(1)[0][0] for colour, count in votes.items()}
    contradicted = {colour for colour, count in votes.items() if len(count) > 1}
    if len(contradicted) < SURE:
        return []
    lines = []
    for label in facts:
        other = [(c, v) for c, v in _clear(label).items() if c in contradicted and v != usual[c]]
        if other:
            said = (f"red {c[0]}, green {c[1]}, blue {c[2]} is {v}, not {usual[c]}" for c, v in other[:SHOWN])
            lines.append(f"{label.path}: {'; '.join(said)}")
    what = f"palettes that number the same colours differently: {number(len(lines), thing)}"
    do = "convert the colours to class ids by one table for all files; each palette was numbered arbitrarily"
    return [error(what, "one number for a colour in all files", do, lines)]


def palettes_of_greys(facts: Sequence[LabelFacts], thing: str, num_classes: int) -> list[Finding]:
    """Report palette files whose colours are the greys of other class ids: renumbered when a palette was made."""
    lines = []
    for label in facts:
        greys = {value: colour[0] for value, colour in label.palette.items() if len(set(colour)) == 1}
        moved = [(value, grey) for value, grey in greys.items() if value != grey]
        each = len(set(greys.values())) == len(label.counts)  # a grey of its own for every value
        if each and len(moved) >= SURE and max(greys.values()) < num_classes:
            said = (f"value {value} is the grey {grey}" for value, grey in moved[:SHOWN])
            lines.append(f"{label.path}: {', '.join(said)}")
    if not lines:
        return []
    what = f"palette files whose greys are class ids, and whose numbers are others: {number(len(lines), thing)}"
    do = "save them as grey (mode L): the greys are most likely the ids, renumbered when a palette was made"
    return [error(what, "pixel values that are class ids", do, lines)]
