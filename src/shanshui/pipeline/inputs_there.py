"""Check that the inputs of a workflow exist and that the requested files belong to its run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from shanshui.config.schema import Config
from shanshui.config.settings import needed_weights
from shanshui.data.layouts import INSTANCES
from shanshui.errors import ShanshuiError, UsageError
from shanshui.pipeline.run_paths import RunPaths, weight_path
from shanshui.storage.kinds import why_no_folder
from shanshui.weights.catalogue import place


def check_targets(targets: Iterable[str], run: str) -> None:
    """Check that the requested files belong to the configured run, whose settings would make them.

    Raises:
        UsageError: a file belongs to another run.
    """
    for target in targets:
        parts = Path(os.path.normpath(target)).parts
        if parts[:1] == ("results",) and len(parts) > 1 and parts[1] != run:
            raise UsageError(
                f"{target} belongs to the run {parts[1]}, and the configuration is that of {run}",
                f"files of the configured run, results/{run}/...",
                f"give the configuration of {parts[1]} (--configfile), or ask for files of {run}",
            )


def check_inputs(config: Config) -> None:
    """Check before planning that data and weight files exist.

    Raises:
        ShanshuiError: some are missing; the message says where they belong.
    """
    check_data_there(config)
    check_segmenter_there(config)
    absent = [name for name in needed_weights(config) if not place(name).exists()]
    if absent:
        raise ShanshuiError(
            "weight files missing: " + ", ".join(str(weight_path(name)) for name in absent),
            "the ImageNet networks this recipe's losses and scores are made of",
            "python -m shanshui weights " + " ".join(absent),
        )


def check_data_there(config: Config) -> None:
    """Check that the folders of the data exist.

    Raises:
        ShanshuiError: one is missing, or instance maps are.
    """
    if config.landscapes is None:
        data = config.data
        places = {"training photographs": data.train_images, "training label maps": data.train_labels,
                  "test label maps": data.test_labels}  # fmt: skip
        missing = [
            f"{what}: {path} {why_no_folder(Path(path))}" for what, path in places.items() if not Path(path).is_dir()
        ]
        if missing:
            own = "photographs <name>.jpg and label maps <name>.png of class ids, in folders as named under `data:`"
            raise ShanshuiError(
                "no data: " + "; ".join(missing),
                own if data.layout in ("competition", "folders") else f"{data.layout} in data.root, {data.root}",
                "put or link them there; or try without data: snakemake --cores all --configfile config/demo.yaml",
            )
    if config.model.edges == "instance" and len(found := RunPaths(config)._instances()) < len(INSTANCES):
        raise ShanshuiError(
            f"model.edges instance: instance maps found {', '.join(found.values()) or 'nowhere'}",
            "those of training and of test label maps, in data.train_instances and data.test_instances",
        )


def check_segmenter_there(config: Config) -> None:
    """Check that the user's segmenter exists, at a path that Snakemake does not take for something to be made.

    Raises:
        ShanshuiError: it does not.
    """
    segmenter = config.segmenter.weights
    if segmenter and RunPaths(config).segmenter(config.run) and not Path(segmenter).is_file():
        raise ShanshuiError(
            f"segmenter.weights: {segmenter} not found", "a file of `python -m shanshui import segformer`, or builtin"
        )
    if segmenter and set("{}") & set(segmenter):
        raise ShanshuiError(
            f"segmenter.weights: {segmenter} holds braces, which Snakemake takes for wildcards",
            "a path without { and }",
            f"mkdir -p resources; cp '{segmenter}' resources/segmenter.safetensors",
        )
    if segmenter and Path(segmenter).parts[0] == "results":
        raise ShanshuiError(
            f"segmenter.weights: {segmenter} belongs to a run, and Snakemake takes it for something to be made",
            "a file outside of results/",
            f"mkdir -p resources; cp {segmenter} resources/",
        )
