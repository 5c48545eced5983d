"""Everything collected by `validate`, and all checks run on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shanshui.data import annotation_checks, checks, file_checks, set_checks, value_checks
from shanshui.data.findings import ORDER, Finding
from shanshui.data.folders import Folder
from shanshui.data.instances import InstanceFacts
from shanshui.data.labels import Classes
from shanshui.data.layouts import LAYOUTS, Layout
from shanshui.data.pairs import Exclusion, Pair, Pairing, ambiguous_files, holdout_names
from shanshui.data.scan import LabelFacts, PhotoFacts
from shanshui.data.statistics import ClassStatistics, class_counts, class_statistics
from shanshui.storage.size import Size


@dataclass(frozen=True)
class Requirements:
    """What training and generation need of the data.

    Attributes:
        layout: name of the dataset's layout.
        classes: with the meaning of the values in label map files.
        size: of the generated images.
        load_size: of training pairs before they are cropped to `size`.
        batch: training pairs per step.
        holdout: training pairs that are held out.
        seed: which chooses them.
    """

    layout: str
    classes: Classes
    size: Size
    load_size: Size
    batch: int
    holdout: int
    seed: int


@dataclass(frozen=True)
class Survey:
    """The data as found: `photos[i]` and `labels[i]` belong to `pairing.pairs[i]`; both empty if a folder is empty.

    `asked[i]` is the pair, without photograph, of the test label map `tests[i]`. `scenes` is the list of scenes, if
    there is one, and `unlisted` are names that are not on it.
    """

    required: Requirements
    folders: Sequence[Folder]
    exclusion: Exclusion
    pairing: Pairing
    asked: Sequence[Pair] = ()
    scenes: Path | None = None
    unlisted: Sequence[str] = ()
    photos: list[PhotoFacts] = field(default_factory=list)
    labels: list[LabelFacts] = field(default_factory=list)
    tests: list[LabelFacts] = field(default_factory=list)
    instances: dict[Path, InstanceFacts] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Layout of the dataset."""
        return LAYOUTS[self.required.layout]

    def complete(self) -> bool:
        """Test whether every folder has images."""
        return all(folder.files for folder in self.folders)

    def split(self) -> tuple[list[Pair], list[Pair]]:
        """Return training and hold-out pairs, both in natural order."""
        kept_back = holdout_names([pair.name for pair in self.pairing.pairs], self.required.holdout, self.required.seed)
        train = [pair for pair in self.pairing.pairs if pair.name not in kept_back]
        return train, [pair for pair in self.pairing.pairs if pair.name in kept_back]

    def trained_photos(self) -> list[PhotoFacts]:
        """Return the readable photographs outside of the hold-out."""
        mine = {pair.image for pair in self.split()[0]}
        return [photo for photo in self.photos if photo.path in mine and not photo.problem]

    def class_statistics(self) -> tuple[ClassStatistics, ClassStatistics]:
        """Compute the statistics of the label maps trained on (without the hold-out), and of the test label maps."""
        mine = {pair.label for pair in self.split()[0]}
        classes = self.required.classes
        count = len(classes.names)

        def summary(facts: list[LabelFacts]) -> ClassStatistics:
            good = [f for f in facts if not f.problem]
            counts = [class_counts(f, count, classes.label_offset, classes.ignore_label) for f in good]
            return class_statistics(counts, count)

        return summary([label for label in self.labels if label.path in mine]), summary(self.tests)


def _annotations(survey: Survey) -> list[Finding]:
    """Run the checks of files that only some datasets have."""
    classes, pairs = survey.required.classes, survey.pairing.pairs
    label, test = "training label map", "test label map"
    meant = (classes.names, classes.label_offset)
    found = [
        *annotation_checks.palette_means_ids(survey.labels, label, *meant),
        *annotation_checks.palette_means_ids(survey.tests, test, *meant),
    ]
    there = {folder.option for folder in survey.folders}
    for option, facts, of, thing in (
        ("train_instances", survey.labels, pairs, label),
        ("test_instances", survey.tests, survey.asked, test),
    ):
        if option in there and survey.complete():
            maps = [survey.instances[pair.instance] if pair.instance else None for pair in of]
            found += annotation_checks.sound_instances(facts, maps, thing)
    return found + annotation_checks.scenes_known(survey.layout.scenes, survey.scenes, survey.unlisted)


def examine(survey: Survey) -> list[Finding]:
    """Run all checks and return their findings, errors first."""
    if whole := annotation_checks.not_the_full_dataset(survey.required.layout, survey.folders):
        return whole
    required, pairs = survey.required, list(zip(survey.photos, survey.labels, strict=True))
    classes, count = required.classes, len(required.classes.names)
    rules = (count, classes.label_offset, classes.ignore_label)
    photo, label, test = "training photograph", "training label map", "test label map"
    layout, folders = survey.layout, survey.folders
    names = {folder.option: layout.patterns.get(folder.option, "*") for folder in folders}
    test_files = next((folder.files for folder in folders if folder.option == "test_labels"), None) or []
    found = [
        *(f for s in folders for f in set_checks.folder_there(s, names[s.option], layout.deep)),
        *file_checks.names_are_text(folders),
        *file_checks.passed_over(folders),
        *file_checks.names_differ_in_more_than_case(folders),
        *set_checks.partners(survey.pairing),
        *set_checks.unique_names(survey.pairing.ambiguous + ambiguous_files(test_files, layout.name)),
        *set_checks.exclusions_found(survey.pairing),
        *(set_checks.enough_pairs(survey.pairing, required.holdout, required.batch) if survey.complete() else []),
        *set_checks.enough_to_compare(len(survey.split()[1]), len(survey.asked)),
        *checks.readable(survey.photos, photo),
        *checks.readable(survey.labels, label),
        *checks.readable(survey.tests, test),
        *value_checks.scaled_as_shades(survey.labels, label),
        *value_checks.scaled_as_shades(survey.tests, test),
        *value_checks.palettes_agree([*survey.labels, *survey.tests], "label map"),
        *value_checks.palettes_of_greys(survey.labels, label, count),
        *value_checks.palettes_of_greys(survey.tests, test, count),
        *file_checks.turned(survey.photos, photo, "label maps"),
        *file_checks.turned([*survey.labels, *survey.tests], "label map", "photographs"),
        *file_checks.as_shown(survey.photos),
        *checks.matching_sizes(pairs),
        *checks.fitting_sizes(survey.photos, photo, required.size, required.load_size),
        *checks.fitting_sizes(survey.tests, test, required.size, required.size),
        *checks.ids_in_range(survey.labels, label, *rules),
        *checks.ids_in_range(survey.tests, test, *rules),
        *checks.coloured_photos(survey.photos),
        *checks.distinct_photos(survey.photos),
        *checks.unseen_tests(survey.labels, survey.tests),
        *set_checks.more_than_one_value(survey.tests),
        *set_checks.classes_occur(classes.names, *survey.class_statistics(), len(survey.split()[1])),
        *_annotations(survey),
    ]
    return sorted(found, key=lambda finding: ORDER[finding.level])
