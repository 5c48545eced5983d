"""Aesthetic scores from a user's program, which is given a folder and prints CSV `name,score`.

No aesthetic model is included, and no available one reproduces the challenge's scores; any program in any framework
will do that prints one line per image, with a score from 0 (ugly) to 10.
"""

from __future__ import annotations

import csv
import math
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from shanshui.errors import ShanshuiError
from shanshui.metrics.estimate import Estimate

FORM = "a line `name,score`, then one line an image with its score, 0 to 10"


def measure(command: str, folder: str | Path, images: Iterable[Path]) -> Estimate:
    """Run an aesthetic command on a folder and average its scores.

    Args:
        command: program and arguments, run without a shell.
        folder: its last argument.
        images: all images in `folder`.

    Returns:
        The mean score, in [0, 10], and its standard error.

    Raises:
        ShanshuiError: where the command fails, or its output is not one valid score for every image.
    """
    return mean_score(printed(command, folder), images, command)


def printed(command: str, folder: str | Path) -> str:
    """Return the output of `command`, called with `folder` as its last argument, without a shell.

    Raises:
        ShanshuiError: where the command cannot be run, or its exit code is not 0.
    """
    do = f"run it by hand: {command} {shlex.quote(str(folder))}"
    try:
        done = subprocess.run([*shlex.split(command), str(folder)], stdout=subprocess.PIPE, check=False)
    except (OSError, ValueError) as error:  # ValueError: a quotation mark without its twin
        raise ShanshuiError(f"the aesthetic command does not run: {error}", "a program and its arguments", do) from None
    if done.returncode:
        raise ShanshuiError(f"the aesthetic command failed (exit code {done.returncode})", FORM, do)
    return done.stdout.decode("utf-8", errors="replace")


def mean_score(text: str, images: Iterable[Path], command: str) -> Estimate:
    """Average the scores in CSV `text`, in [0, 10], with the standard error, None for a single image.

    Args:
        text: header `name,score`, then one line per image; names are file names, with or without suffix.
        images: the images that must have a score.
        command: what messages call the program.

    Raises:
        ShanshuiError: where an image has no score or two, a line is about another file, or a score is not a number in
            [0, 10].
    """
    what = f"the output of `{command}`"
    rows = list(csv.reader(line for line in text.splitlines() if line.strip()))
    if not rows or [cell.strip() for cell in rows[0]] != ["name", "score"]:
        raise ShanshuiError(f"{what} begins with {','.join(rows[0]) if rows else 'nothing'}", FORM)
    stems = {name: path.stem for path in images for name in (path.name, path.stem)}
    scores: dict[str, float] = {}
    for row in rows[1:]:
        name = row[0].strip()
        if len(row) != 2 or name not in stems:
            raise ShanshuiError(f"{what} has the line {','.join(row)!r}", "the name of an image and its score")
        if stems[name] in scores:
            raise ShanshuiError(f"{what} scores {name} twice", FORM)
        scores[stems[name]] = _score(row[1], what, name)
    if missing := sorted(set(stems.values()) - set(scores)):
        raise ShanshuiError(f"{what} lacks {len(missing)} image(s), first {missing[0]}", FORM)
    values = np.array(list(scores.values()))
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Estimate(float(values.mean()), error)


def _score(text: str, what: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10:
        raise ShanshuiError(f"{what} gives {name} the score {text.strip()!r}", "a number from 0 to 10")
    return value
