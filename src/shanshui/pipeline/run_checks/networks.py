"""Checks of networks and scores before a run: sizes, numbers of images, weight files, segmenter."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator

from shanshui.config.settings import needed_weights
from shanshui.errors import ShanshuiError
from shanshui.metrics.registry import METRICS, need_segmenter
from shanshui.pipeline.finding import Finding, asked
from shanshui.pipeline.inputs_there import check_segmenter_there
from shanshui.pipeline.run_checks.data import counted_or_none
from shanshui.pipeline.run_checks.planned_run import PlannedRun
from shanshui.weights.builtin import BUILTIN

LEAST_SIDES = {"inception_v3": 75, "vgg19": 16}  # pixels: below, a convolution or pooling has nothing left


def networks(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that images are large enough for the perceptual networks."""
    config, sides = planned_run.config, (planned_run.config.data.width, planned_run.config.data.height)
    for name, phase in (("pretrain", config.pretrain), ("finetune", config.finetune)):
        net = phase.perceptual.net
        smallest = min(sides) // (2 ** (config.model.sizes - 1) if name == "pretrain" else 1)
        if smallest < LEAST_SIDES.get(net, 0):
            text = f"{name}.perceptual.net {net} sees images with a side of {smallest} pixels"
            yield Finding("perceptual", "gap", f"{text}; it needs {LEAST_SIDES[net]}", "larger images, or net: none")


def scores(planned_run: PlannedRun) -> Iterator[Finding]:
    """Check that every metric has enough images, and that the aesthetic command can be run."""
    config, counted = planned_run.config, counted_or_none(planned_run)
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
