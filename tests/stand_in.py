"""Stands in for `shanshui.__main__` in a copy of the sources: every stage at once, without computing anything.

Writes what the rules of each stage promise, with contents that follow from arguments, settings and input files.
Scores follow from model and seed alone, so that choices stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

Options = dict[str, list[str]]
SETS = ("holdout", "test")


def read_options(words: list[str]) -> Options:
    """`--name value value` pairs; what comes before the first name under ""."""
    options: Options = {"": []}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word[2:]
            options[name] = []
        else:
            options[name].append(word)
    return options


def content(stage: str, words: list[str]) -> str:
    """Digest of the arguments, of all files among them and of the stage's settings, before anything is written."""
    total = hashlib.sha256(" ".join(words).encode())
    paths = [Path(word.partition("=")[2] or word) for word in words]
    runs = {Path(*path.parts[:2]) for path in paths if path.parts[:1] == ("results",)}
    for path in [*paths, *(run / "settings" / f"{stage}.json" for run in runs)]:
        if path.is_file():
            total.update(path.read_bytes())
        elif path.is_dir() and (path / "b.jpg").exists():
            total.update((path / "b.jpg").read_bytes())
    return total.hexdigest()


def write(path: str | Path, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def value(model: str, seed: str) -> float:
    """A score between 0 and 100."""
    return int(hashlib.sha256(f"{model} {seed}".encode()).hexdigest()[:6], 16) / 0xFFFFFF * 100


def score(options: Options, text: str) -> str:
    """A score file; `text` changes with the pictures, the score itself does not."""
    model, seed = options["model"][0], options.get("seed", ["0"])[0]
    metrics = json.loads(Path(options["settings"][0]).read_text())["metrics"]
    sets = {name: {"n": 4, "metrics": dict.fromkeys(metrics, value(model, seed))} for name in SETS}
    return json.dumps({"model": model, "seed": int(seed), "sets": sets, "reference": {}, "features": {}, "of": text})


def select(options: Options, text: str) -> str:
    """A ranking; its content changes only with the ranking."""
    from shanshui.evaluation import selection

    scores = [selection.parse_score(json.loads(Path(path).read_text()), path) for path in options["scores"]]
    settings = json.loads(Path(options["settings"][0]).read_text())
    return json.dumps(selection.rank(scores, settings["rank_by"], settings["on"], int(options["top"][0])))


def files_of_folder(stage: str, folder: Path) -> list[Path]:
    """What a stage writes into the folder it is given."""
    names = {
        "validate": ("train.csv", "holdout.csv", "test.csv", "classes.csv", "classes.png", "report.md", "report.json"),
        "landscapes": ("train/imgs/a.jpg", "train/labels/a.png", "test/labels/b.png"),
        "generate": tuple(f"{name}/b.jpg" for name in SETS),
    }
    return [folder / name for name in names.get(stage, ("b.jpg",))]


def tidy(words: list[str]) -> None:
    """The stage itself: what it removes is what is looked at."""
    from shanshui.stages import tidy as stage

    parser = argparse.ArgumentParser()
    stage.add_arguments(parser)
    stage.run(parser.parse_args(words))


def main(stage: str, words: list[str]) -> None:
    """Whatever is named and not there is an output: Snakemake removes old ones before a job starts."""
    options = read_options(words)
    text = content(stage, words)
    if (slow := os.environ.get("STAND_IN_SLOW")) and any(slow in word for word in words):
        time.sleep(float(os.environ.get("STAND_IN_SECONDS", "2")))
    if stage == "tidy":
        tidy(words)
        return
    special = {"score": score, "select": select}
    for name, values in options.items():
        if name in ("", "resume", "look", "run-folder"):
            continue
        for path in map(Path, values):
            if path.parts[:1] != ("results",) or (path.exists() and name != "out"):
                continue
            if path.suffix:
                write(path, special[stage](options, text) if stage in special and name == "out" else text)
            else:
                for file in files_of_folder(stage, path):
                    write(file, text)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
