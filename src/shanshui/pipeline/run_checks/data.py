"""Checks of data before a run: folders, pairs, their numbers, their classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shanshui.data.annotation_checks import not_the_full_dataset
from shanshui.data.folders import look
from shanshui.data.layouts import FOLDERS, LAYOUTS
from shanshui.data.pairs import Pairing, pair_files, read_exclusion
from shanshui.errors import ShanshuiError
from shanshui.pipeline.disk_estimate import ImageCounts
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.inputs_there import check_data_there
from shanshui.pipeline.run_checks.planned_run import PlannedRun

LOOKED_AT = 60  # label maps of each set


def pairing(planned_run: PlannedRun) -> Pairing | None:
    """Pair the user's files by name; None for the embedded dataset."""
    config = planned_run.config
    if config.landscapes:
        return None
    layout, folders = LAYOUTS[config.data.layout], planned_run.run_paths.folders()
    exclusion = read_exclusion(Path(config.data.exclude) if config.data.exclude else None)
    images, labels = (layout.find(Path(folders[f"train-{part}"]), f"train_{part}") for part in ("images", "labels"))
    return pair_files(images, labels, exclusion.names, layout.name)


def image_counts(planned_run: PlannedRun) -> ImageCounts:
    """Check the numbers of training pairs, held-out pairs and test label maps."""
    config, own = planned_run.config, pairing(planned_run)
    if own is None or config.landscapes:
        assert config.landscapes
        pairs, test = config.landscapes.train, config.landscapes.test
    else:
        layout = LAYOUTS[config.data.layout]
        pairs, test = (
            len(own.pairs),
            len(layout.find(Path(planned_run.run_paths.folders()["test-labels"]), "test_labels")),
        )
    held = min(config.data.holdout, pairs)
    return ImageCounts(pairs - held, held, test)


def data_there(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that folders, pairs and test label maps exist; report files without partner."""
    config = planned_run.config

    def there() -> str:
        check_data_there(config)
        if config.data.exclude and not Path(config.data.exclude).is_file():
            raise ShanshuiError(f"data.exclude: {config.data.exclude} does not exist", do="name a file, or null")
        if (own := pairing(planned_run)) and not own.pairs:
            raise _no_pair(planned_run, own)
        counted = image_counts(planned_run)
        if not counted.test:
            raise ShanshuiError("there are no test label maps", do="put some into data.test_labels")
        return f"{counted.train} pairs to train on, {counted.holdout} held out, {counted.test} test label maps"

    found = asked("data", there)
    yield found
    if found.state == "ok" and (own := pairing(planned_run)):
        unpaired = [*own.unpaired_photos, *own.unpaired_labels]
        if unpaired:
            text = (
                f"{len(own.unpaired_photos)} photograph(s) without label map, {len(own.unpaired_labels)} label map(s) "
            )
            text += f"without photograph, such as {unpaired[0]}"
            yield Finding("data: pairs", "note", text, "give both files of a pair one stem; these are not used")


def _no_pair(planned_run: PlannedRun, own: Pairing) -> ShanshuiError:
    """Explain why data have no pair: another form of the dataset, excluded names, or names that differ."""
    layout, folders = LAYOUTS[planned_run.config.data.layout], planned_run.run_paths.folders()
    parts = [look(layout, Path(folders[option.replace("_", "-")]), option) for option in FOLDERS]
    for known in not_the_full_dataset(planned_run.config.data.layout, parts):
        return ShanshuiError(f"no pairs: {known.what}; expected: {known.expected}", do=known.do)
    counts = " and ".join(f"{len(part.files or [])} {part.holds}" for part in parts[:2])
    if own.excluded:
        return ShanshuiError(f"no pairs: of {counts}, data.exclude leaves none", do="exclude fewer names")
    examples = " and ".join(str(files[0]) for files in (own.unpaired_photos, own.unpaired_labels) if files)
    return ShanshuiError(
        f"no pairs: {counts} without a name in common{examples and f', such as {examples}'}",
        do="give both files of a pair one stem; `snakemake --cores all --until validate` lists what else is there",
    )


def numbers(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check batch sizes and hold-out against the number of pairs."""
    config = planned_run.config
    counted = counted_or_none(planned_run)
    if counted is None:
        return
    pairs = counted.train + counted.holdout
    if config.compress.shares and config.compress.batch > counted.train:
        text = f"compress.batch {config.compress.batch} is more than the {counted.train} pairs to train on"
        yield Finding("batch", "gap", text, "a smaller batch, or more pairs")
    for name, phase in (("pretrain", config.pretrain), ("finetune", config.finetune)):
        if phase.batch > counted.train:
            most = counted.train
            fewer = f"{name}.batch {most} or less" if most else "a smaller data.holdout"
            text = f"{name}.batch {phase.batch} is more than the {most} pairs to train on (data.holdout "
            yield Finding("batch", "gap", f"{text}{config.data.holdout} of {pairs})", f"{fewer}, or more pairs")
        elif phase.batch // phase.processes == 1 and config.model.generator.has_batch_norm:
            text = f"{name}.batch {phase.batch}: G standardises over the batch, and a batch has one image per process"
            yield Finding(
                "batch", "note", text, "a batch of 2 or more; or model.generator.norm instance, where G has it"
            )
    merge = config.merge
    if merge.batch_norm == "estimated" and min(merge.label_maps, counted.train) < config.finetune.batch:
        text = (
            f"merge.batch_norm estimated on {min(merge.label_maps, counted.train)} label maps, less than one batch of "
        )
        do = "merge.label_maps of that many or more, or a smaller finetune.batch"
        yield Finding("merge", "gap", f"{text}{config.finetune.batch} (finetune.batch)", do)


def counted_or_none(planned_run: PlannedRun) -> ImageCounts | None:
    """Count the images; None if data are missing or have no pair, which `data_there` reports."""
    try:
        check_data_there(planned_run.config)
        counted = image_counts(planned_run)
    except (ShanshuiError, OSError):
        return None
    return counted if counted.train + counted.holdout else None


def classes(planned_run: PlannedRun) -> Iterator[Finding]:
    """Report classes in none of the label maps that are read: a sample of each set."""
    import numpy as np

    from shanshui.storage.images import read_label_map

    config, data = planned_run.config, planned_run.config.data
    if config.landscapes or counted_or_none(planned_run) is None:
        return
    seen: set[int] = set()
    count = 0
    whole = True
    for option in ("train-labels", "test-labels"):
        files = LAYOUTS[data.layout].find(Path(planned_run.run_paths.folders()[option]), option.replace("-", "_"))
        shown = np.unique(np.linspace(0, len(files) - 1, LOOKED_AT).round().astype(int)) if files else []
        whole = whole and len(shown) == len(files)
        for place in shown:
            try:
                values = np.unique(read_label_map(files[place]))
            except (ShanshuiError, OSError):
                continue  # `validate` names it
            count += 1
            seen |= {int(value) + data.label_offset for value in values if value != data.ignore_label}
    if count and (absent := [name for number, name in enumerate(data.classes) if number not in seen]):
        text = (
            f"{len(absent)} of {len(data.classes)} classes in none of {'the' if whole else 'these'} {count} label maps"
        )
        shown_names = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        do = "nothing, if data.classes is right; `validate` looks at all of them"
        yield Finding("classes", "note", f"{text}: {shown_names}", do)
