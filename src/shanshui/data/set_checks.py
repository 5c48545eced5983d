"""Check the dataset as a whole: folders, pairing, exclusion list, numbers of pairs, classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shanshui.data.findings import Finding, error, warning
from shanshui.data.folders import Folder
from shanshui.data.pairs import Pairing
from shanshui.data.scan import LabelFacts
from shanshui.data.statistics import ClassStatistics
from shanshui.storage.images import IMAGE_SUFFIXES
from shanshui.storage.kinds import why_no_folder
from shanshui.storage.names import number

NO_ACCIDENT = 3  # so many classes, all of them moved by one
COMPARED = 2  # images that a set has at least, of which distances can be measured


def folder_there(folder: Folder, names: str, deep: bool) -> list[Finding]:
    """Report a folder that is missing or has no images named like `names`; `deep` says that subfolders are searched."""
    if folder.files:
        return []
    state = why_no_folder(folder.path)
    expected = f"a folder with the {folder.holds}"
    if folder.files is not None:
        state = "holds no images" + ("" if deep else " (sub-folders are not searched)")
        state = f"holds {folder.indoor} images, none of an outdoor scene" if folder.indoor else state
        expected += f", files ending in {', '.join(IMAGE_SUFFIXES)}" if names == "*" else f", files named {names}"
    do = f"put the {folder.holds} there, or set data.{folder.option} to where they are"
    return [error(f"{folder.path} {state}", expected, do)]


def _differ_in_case(pairing: Pairing) -> list[tuple[Path, Path]]:
    """Return photographs and label maps that would be pairs if case did not count."""
    labels = {path.stem.casefold(): path for path in pairing.unpaired_labels}
    return [(path, labels[key]) for path in pairing.unpaired_photos if (key := path.stem.casefold()) in labels]


def partners(pairing: Pairing) -> list[Finding]:
    """Report photographs and label maps without a partner."""
    found = []
    for unpaired, thing, other in (
        (pairing.unpaired_photos, "training photograph", "label map"),
        (pairing.unpaired_labels, "training label map", "photograph"),
    ):
        if unpaired:
            what = f"without {other} of the same name: {number(len(unpaired), thing)}"
            do = f"add the missing {other}s; until then these files are not used"
            if alike := [
                f"{a.name} and {b.name}" for a, b in _differ_in_case(pairing) if a in unpaired or b in unpaired
            ]:
                do = f"rename files so that case agrees ({alike[0]}); {do}"
            found.append(warning(what, f"a {other} with the same file stem", do, unpaired))
    return found


def unique_names(ambiguous: Sequence[Path]) -> list[Finding]:
    """Report files of one folder that differ in suffix only."""
    if not ambiguous:
        return []
    what = f"names used twice in one folder: {number(len(ambiguous), 'file')}"
    do = "keep one file per name; photographs and label maps belong in separate folders"
    return [error(what, "one file per stem", do, ambiguous)]


def exclusions_found(pairing: Pairing) -> list[Finding]:
    """Report names on the exclusion list that no file has."""
    if not pairing.not_found:
        return []
    what = f"on the exclusion list, but not in the data: {number(len(pairing.not_found), 'name')}"
    do = "write names as file stems, without folder and suffix; otherwise nothing"
    return [warning(what, "names of training pairs", do, pairing.not_found)]


def enough_pairs(pairing: Pairing, holdout: int, batch: int) -> list[Finding]:
    """Check that there are pairs, and a full batch in addition to the hold-out."""
    pairs = len(pairing.pairs)
    if not pairs:
        what = f"no training pairs ({number(len(pairing.excluded), 'name')} left out by the exclusion list)"
        if pairing.unpaired_photos and pairing.unpaired_labels:
            what += f": no partner for {pairing.unpaired_photos[0].name} and {pairing.unpaired_labels[0].name}"
        do = "give both files of a pair the same stem, such as x.jpg and x.png"
        if pairing.excluded and not (pairing.unpaired_photos or pairing.unpaired_labels):
            do = "take names off the exclusion list (data.exclude)"
        return [error(what, "photographs and label maps of the same names", do)]
    if batch > pairs:
        what = f"a batch of {batch} is more than {number(pairs, 'training pair')}"
        do = f"add {number(batch - pairs, 'pair')}, or lower pretrain.batch and finetune.batch to {pairs} or less"
        return [error(what, "at least one full batch", do)]
    if pairs - holdout < batch:
        what = f"data.holdout {holdout} leaves {number(max(pairs - holdout, 0), 'pair')} of {pairs} to train on"
        return [error(what, f"at least one full batch of {batch}", _room(pairs, holdout, batch))]
    return []


def _room(pairs: int, holdout: int, batch: int) -> str:
    """Return the advice that leaves room for a batch in addition to the hold-out."""
    most = pairs - batch
    less = f"set data.holdout to {most} or less" if most >= COMPARED else "set data.holdout to 0 and select.on to test"
    ways = [less, f"add {number(batch + holdout - pairs, 'pair')}"]
    if pairs > holdout:
        ways.append(f"lower pretrain.batch and finetune.batch to {pairs - holdout}")
    return ", or ".join(ways)


def enough_to_compare(held_out: int, asked: int) -> list[Finding]:
    """Report sets of a single image, for which no distance between sets can be computed."""
    found = []
    for count, thing in ((held_out, "held-out pair"), (asked, "test label map")):
        if count == 1:
            what = f"a single {thing}: scores that compare sets of images cannot be measured on it"
            do = "nothing, if its scores are not needed: they will be missing; else add some"
            found.append(warning(what, f"{COMPARED} or more", do))
    return found


def _moved(train: ClassStatistics, test: ClassStatistics) -> str:
    """Describe the offset between the ids of test and training label maps; empty if there is none."""
    ids = {i for i, pixels in enumerate(train.pixels) if pixels}
    asked = {i for i, times in enumerate(test.present) if times}
    for step, said in ((1, "training plus 1"), (-1, "training minus 1")):
        if len(ids) >= NO_ACCIDENT and asked == {i + step for i in ids}:
            return said
    return ""


def more_than_one_value(tests: Sequence[LabelFacts]) -> list[Finding]:
    """Report test label maps that all consist of one and the same value."""
    values = {tuple(label.counts) for label in tests if not label.problem}
    if len(tests) < COMPARED or len(values) != 1 or len(only := values.pop()) != 1:
        return []
    what = f"a single value, {only[0]}, in all {len(tests)} test label maps"
    do = "look at one of them: numbers are lost so where files are converted or masked wrongly"
    return [warning(what, "several classes among them", do)]


def classes_occur(
    names: Sequence[str], train: ClassStatistics, test: ClassStatistics, held_out: int = 0
) -> list[Finding]:
    """Report classes that are absent from the training label maps, those in test label maps separately."""
    absent = [i for i in range(len(names)) if train.images and not train.pixels[i]]
    asked = [i for i in absent if test.present[i]]
    unused = [i for i in absent if not test.present[i]]
    found = []
    if asked:
        what = f"classes in test label maps, but never in training: {len(asked)}"
        smaller = ", or make the hold-out smaller in case it has them" if held_out else ""
        do = f"add pairs that show them{smaller}; the generator can only guess them"
        if moved := _moved(train, test):
            do = f"look whether both number the classes alike: the ids of the test label maps are those of {moved}"
        files = (f"{i} {names[i]}: in {number(int(test.present[i]), 'test label map')}" for i in asked)
        found.append(warning(what, "every class of the test label maps in training", do, files))
    if unused:
        what = f"classes that never occur: {len(unused)}"
        do = "nothing, if data.classes is right for these label maps"
        if unused == [0] and len(names) > 2:
            do = f"make sure that value 0 means {names[0]}: files that count from 1 look the same; else nothing"
        found.append(warning(what, "every class in some label map", do, (f"{i} {names[i]}" for i in unused)))
    return found
