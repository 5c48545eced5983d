"""Checks of a run before it starts, used by `snakemake` and `doctor`.

What would stop a run after hours of training stops it before its first job; omissions and limits are reported.
"""

from __future__ import annotations

import functools
import shlex
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shanshui.architectures.network_cost import NetworkCounts
from shanshui.backend import gpu_lock
from shanshui.backend.device import cuda_devices, cuda_identities, find_device
from shanshui.backend.mpi import find_mpi
from shanshui.config.schema import Config
from shanshui.config.settings import needed_weights
from shanshui.config.stages import on_device
from shanshui.data.annotation_checks import not_the_full_dataset
from shanshui.data.folders import look
from shanshui.data.layouts import FOLDERS, LAYOUTS
from shanshui.data.pairs import Pairing, pair_files, read_exclusion
from shanshui.errors import ShanshuiError
from shanshui.metrics.registry import METRICS, need_segmenter
from shanshui.pipeline import device_memory, disk, memory, student_check
from shanshui.pipeline.disk_estimate import ImageCounts
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.inputs_there import check_data_there, check_segmenter_there
from shanshui.pipeline.network_counts import find_counts
from shanshui.pipeline.run_paths import RunPaths
from shanshui.storage.outputs import check_writable
from shanshui.weights.builtin import BUILTIN

DATA = frozenset({"prepare"})  # rules that need sound data; what `validate` finds, it says better itself
TRAINING = frozenset({"pretrain", "finetune"})
STUDENTS = frozenset({"compress"})
SCORING = frozenset({"reference", "score", "score_seed", "score_fused", "segmenter"})
LOOKED_AT = 60  # label maps of each set
LEAST_SIDES = {"inception_v3": 75, "vgg19": 16}  # pixels: below, a convolution or pooling has nothing left
ALWAYS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PlannedRun:
    """A configured run; `local` says that its jobs run on this machine."""

    config: Config
    local: bool = True

    @functools.cached_property
    def counts(self) -> NetworkCounts | str:
        """Return the parameter counts of its networks, or why there are none."""
        return find_counts(self.config)

    @property
    def run_paths(self) -> RunPaths:
        """Return the run's file names."""
        return RunPaths(self.config)


def examine(config: Config, rules: Collection[str] | None = None, local: bool = True) -> list[Finding]:
    """Run all checks of a run; with planned `rules`, those that concern one of them."""
    planned_run, found = PlannedRun(config, local), []
    for check, those in CHECKS:
        concerned = those() if callable(those) else those
        if rules is None or not concerned or concerned & set(rules):
            found += list(check(planned_run))
    if rules is None or rules:
        found.append(disk.examine(config, planned_run.counts, rules))
    return found


def stop_at_gaps(findings: Collection[Finding]) -> str:
    """Return the text of the notes; ShanshuiError with all gaps if there are any."""
    gaps = [finding for finding in findings if finding.state == "gap"]
    notes = [finding for finding in findings if finding.state == "note"]
    if gaps:
        text = "\n".join(finding.line() for finding in [*gaps, *notes])
        raise ShanshuiError(f"the run would fail, and has not been started:\n{text}")
    return "\n".join(finding.line() for finding in notes)


# --- where things go ------------------------------------------------------------------------------------------


def places(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that the run's folders, and the longest file name in them, can be written."""
    run = Path("results") / planned_run.config.run
    longest = run / "logs" / f"settings.{max(planned_run.run_paths.wildcards()['stage'].split('|'), key=len)}.log"

    def writable() -> str:
        check_writable(run, folder=True)
        check_writable(run / ".state", folder=True)
        check_writable(longest)
        check_writable(Path(".snakemake"), folder=True)
        return f"{run} can be written to"

    yield asked("results", writable)


# --- data -----------------------------------------------------------------------------------------------------


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
    counted = _counted(planned_run)
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


def _counted(planned_run: PlannedRun) -> ImageCounts | None:
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
    if config.landscapes or _counted(planned_run) is None:
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


# --- networks and machine -------------------------------------------------------------------------------------


def networks(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that images are large enough for the perceptual networks."""
    config, sides = planned_run.config, (planned_run.config.data.width, planned_run.config.data.height)
    for name, phase in (("pretrain", config.pretrain), ("finetune", config.finetune)):
        net = phase.perceptual.net
        smallest = min(sides) // (2 ** (config.model.sizes - 1) if name == "pretrain" else 1)
        if smallest < LEAST_SIDES.get(net, 0):
            text = f"{name}.perceptual.net {net} sees images with a side of {smallest} pixels"
            yield Finding("perceptual", "gap", f"{text}; it needs {LEAST_SIDES[net]}", "larger images, or net: none")


def step(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check the memory of a training step, if known."""
    config, counts = planned_run.config, planned_run.counts
    if isinstance(counts, str):
        return
    if planned_run.local and find_device().kind == "cuda":
        yield from device_memory.on_gpus(config, counts, cuda_devices())
    if (taken := memory.step_bytes(config, counts)) is not None:
        much = planned_run.local and find_device().kind == "cpu" and taken > memory.available_memory()
        do = "lower batch, base_channels or the images' size" if much else ""
        yield Finding("memory: a step", "note" if much else "ok", memory.step_sentence(config, taken), do)


def gpus(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check the configured GPUs against those of this machine; cluster nodes are not checked."""
    config = planned_run.config
    if not planned_run.local:
        return
    visible = [str(device["name"]) for device in cuda_devices()]
    shown = f"{len(visible)} GPU(s) visible ({', '.join(visible)})"
    device = find_device()
    if config.gpus == 0:
        if visible:
            text = f"gpus: 0, so everything runs on the CPU; {shown}, none is used"
            yield Finding("GPU", "note", text, "gpus: auto, to use them")
        return
    if device.kind == "cpu":
        if isinstance(config.gpus, list):
            text = f"gpus: {config.gpus}, and none can be used here: {device.why}"
            yield Finding("GPU", "gap", text, "docs/gpu.md says what is needed; `gpus: auto` takes the CPU instead")
        elif visible:
            text = f"{shown}, and none can be used: {device.why}; everything runs on the CPU"
            yield Finding("GPU", "note", text, "docs/gpu.md says what is needed; `gpus: 0` says that it is meant")
        return
    wanted = ",".join(map(str, config.gpus)) if isinstance(config.gpus, list) else gpu_lock.AUTO
    here = gpu_lock.visible_gpus(cuda_identities())
    found = asked("GPU", lambda: f"{len(gpu_lock.allowed(here, wanted))} GPU(s) for this run")
    yield found
    if found.state == "ok":
        usable = len(gpu_lock.allowed(here, wanted))
        if isinstance(config.gpus, list) and usable < len(config.gpus):
            yield Finding("GPU", "note", f"gpus: {config.gpus}; only {usable} of them are here", "nothing, if so meant")
        if (most := planned_run.run_paths.largest_job()) > usable:
            text = f"processes {most}: each has a GPU of its own, and there are {usable}"
            yield Finding("processes", "gap", text, f"processes: {usable}, or more GPUs in `gpus`")


def mpi(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check Open MPI, if several processes train together."""
    if planned_run.local and planned_run.run_paths.largest_job() > 1:
        yield asked("MPI", lambda: find_mpi().version)


# --- scores ---------------------------------------------------------------------------------------------------


def scores(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that every metric has enough images, and that the aesthetic command can be run."""
    config, counted = planned_run.config, _counted(planned_run)
    if counted:
        sets = {"train": counted.train, "holdout": counted.holdout, "test": counted.test}
        ranked = [config.score.rank_by] if config.score.rank_by in METRICS else ["fid", "mask_accuracy"]
        for name in planned_run.run_paths.sets():
            lacking = [METRICS[m] for m in config.score.metrics if METRICS[m].fewest > sets[name]]
            named = ", ".join(f"{metric.name} ({metric.fewest} or more)" for metric in lacking)
            text = f"{named} cannot be had on the {name} set: {sets[name]} image(s)"
            if name == config.select.on and any(metric.name in ranked for metric in lacking):
                do = "choose on another set (select.on) or by another metric (score.rank_by), or give it more"
                yield Finding("scores", "gap", f"{text}, and it is what chooses", do)
            elif lacking:
                yield Finding("scores", "note", text, "nothing: it is called `not measured` in tables and report")
        photographs = counted.train + counted.holdout
        if few := [m for m in config.score.metrics if METRICS[m].reference and METRICS[m].fewest > photographs]:
            text = f"{', '.join(few)}: {photographs} photograph(s) to compare with"
            yield Finding(
                "scores", "gap", text, f"{max(METRICS[m].fewest for m in few)} pairs or more, or other metrics"
            )
    if command := config.score.aesthetic_command:
        yield asked("aesthetics", lambda: _program(command))


def _program(command: str) -> str:
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        raise ShanshuiError(
            f"score.aesthetic_command {command!r} is no command", do="a program and arguments"
        ) from None
    if not shutil.which(program):
        raise ShanshuiError(f"score.aesthetic_command: {program} is not found, or cannot be run", do="name its path")
    return command


def weights(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that the needed weight files exist, can be read and are the published ones."""
    for name in needed_weights(planned_run.config):
        yield asked(name, lambda name=name: _readable(name))  # type: ignore[misc]


def _readable(name: str) -> str:
    from shanshui.weights.catalogue import load_state, require

    file = require(name)
    return f"{file}: {len(load_state(file))} arrays"


def segmenter(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that a given or built-in segmenter fits the classes of the data."""
    config = planned_run.config
    given = config.segmenter.weights
    if not given or not need_segmenter(config.score.metrics):
        return

    def fits() -> str:
        from shanshui.architectures.segmenters import load_segmenter

        if given != BUILTIN:
            check_segmenter_there(config)
        return load_segmenter(given, config.data.classes, config.segmenter.size).source

    yield asked("segmenter", fits)


Check = Callable[[PlannedRun], Iterable[Finding]]
CHECKS: tuple[tuple[Check, frozenset[str] | Callable[[], frozenset[str]]], ...] = (
    (places, ALWAYS),
    (data_there, DATA),
    (numbers, DATA | TRAINING | {"merge"}),
    (classes, DATA),
    (networks, TRAINING),
    (step, TRAINING),
    (gpus, on_device),
    (mpi, TRAINING),
    (scores, DATA | TRAINING | SCORING),
    (lambda planned_run: student_check.examine(planned_run.config), TRAINING | STUDENTS),
    (weights, TRAINING | STUDENTS | SCORING),
    (segmenter, TRAINING | SCORING),
)
