"""Scores of a set of images from its features: values with errors, extrapolations, contest score; also as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

from shanshui.errors import ShanshuiError
from shanshui.evaluation import contest
from shanshui.metrics.estimate import NotMeasured

if TYPE_CHECKING:
    import numpy as np

    from shanshui.evaluation.reference import Reference
    from shanshui.metrics.estimate import Estimate
    from shanshui.metrics.registry import Metric

BOARD_A = "board_a"
BOARD_A_FEATURES = "2nd challenge, board A: mask accuracy * (aesthetics and FID, half each), by scorers of our own"


class ContestEntry(TypedDict):
    """Entry of the contest's score in the score file, and the terms that it lacks."""

    board_a: float | None
    not_measured: list[str]


class Entry(TypedDict):
    """Entry of a set in the score file, JSON; by metric but `unjudged`. `selection.ScoreSet` is what is read of it."""

    n: int
    metrics: dict[str, float | None]
    contest: ContestEntry
    standard_errors: NotRequired[dict[str, float]]
    hints: NotRequired[dict[str, float]]
    not_measured: NotRequired[dict[str, str]]
    per_class: NotRequired[dict[str, Mapping[str, float | None]]]
    unjudged: NotRequired[float]


def estimate_all(
    features: Mapping[str, np.ndarray], metrics: Sequence[Metric], reference: Reference, seed: int
) -> dict[str, Estimate | NotMeasured]:
    """Compute all metrics of one set, or the reason why it has no value of them.

    Args:
        features: (N, ...) by kind.
        metrics: to compute.
        reference: statistics of the photographs.
        seed: of random subsets and groups.
    """
    found: dict[str, Estimate | NotMeasured] = {}
    for metric in metrics:
        try:
            found[metric.name] = metric.score(features[metric.features], reference.arrays.get(metric.name, {}), seed)
        except NotMeasured as reason:
            found[metric.name] = reason
    return found


def score_entry(
    measured: Mapping[str, Estimate | NotMeasured],
    count: int,
    published: bool,
    by_class: Mapping[str, Mapping[str, float | None]] | None = None,
    unjudged: float | None = None,
) -> Entry:
    """Build a set's entry of the score file.

    A metric without a value has None, and the reason under `not_measured`. Values for infinitely many images stand
    apart under `hints`: they are no scores, and nothing can be ranked by them.

    Args:
        measured: estimate, or reason why there is none, by metric.
        count: number of images.
        published: whether "fid" comes from the published weights and hence counts in the contest's score.
        by_class: table class by class, where there is one.
        unjudged: share of the pixels whose classes the segmenter does not know; None where it knows all.

    Raises:
        ShanshuiError: where a value is not finite.
    """
    estimates = {name: found for name, found in measured.items() if not isinstance(found, NotMeasured)}
    reasons = {name: found.found for name, found in measured.items() if isinstance(found, NotMeasured)}
    for name, estimate in estimates.items():
        if not math.isfinite(estimate.value):
            raise ShanshuiError(f"{name} is {estimate.value}", "a finite number", "look at the images")
    values = {name: estimates[name].value if name in estimates else None for name in measured}
    errors = {name: e.standard_error for name, e in estimates.items() if e.standard_error is not None}
    hints = {f"{name}_infinity": e.at_infinity for name, e in estimates.items() if e.at_infinity is not None}
    board = contest.board_a({**values, "fid": values.get("fid") if published else None})
    if board.value is not None:
        values[BOARD_A] = board.value
    found: Entry = {
        "n": count,
        "metrics": values,
        "contest": {"board_a": board.value, "not_measured": list(board.missing)},
    }
    if errors:
        found["standard_errors"] = errors
    if hints:
        found["hints"] = hints
    if reasons:
        found["not_measured"] = reasons
    if by_class:
        found["per_class"] = dict(by_class)
    if unjudged is not None:
        found["unjudged"] = unjudged
    return found


def as_text(sets: Mapping[str, Entry], described: Mapping[str, str]) -> str:
    """Format scores as text: a line per set and metric.

    Args:
        sets: entries of the score file by name of the set.
        described: what each metric is computed from.
    """
    lines = []
    for name, scores in sets.items():
        lines.append(f"{name}: {scores['n']} images")
        errors, hints = scores.get("standard_errors", {}), scores.get("hints", {})
        for metric, value in scores["metrics"].items():
            if value is None:
                lines.append(f"  {metric:<13} not measured: {scores['not_measured'][metric]}")
                continue
            error = f" +- {errors[metric]:.2g}" if metric in errors else ""
            lines.append(f"  {metric:<13} {value:<10.6g}{error:<11}  {described[metric]}")
            if (hint := hints.get(f"{metric}_infinity")) is not None:
                lines.append(f"    hint, not a score: {hint:.4g} for infinitely many images, by a line in 1/N")
        board = scores["contest"]
        outcome = contest.Outcome(board["board_a"], tuple(board["not_measured"]))
        lines.append(f"  contest score (board A): {outcome}")
        if (share := scores.get("unjudged")) is not None:
            lines.append(f"  unknown, and left out of mask accuracy and mIoU: {share:.1%} of the labelled pixels")
        lines += _class_lines(scores.get("per_class", {}))
    return "\n".join(lines)


def _class_lines(by_class: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Format the table class by class, the most frequent first; classes that do not occur are left out."""
    there = {name: row for name, row in by_class.items() if row["accuracy"] is not None}
    if not there:
        return []
    width = max(map(len, there))
    lines = [f"  {'class':<{width}}  pixels  accuracy  IoU"]
    for name, row in sorted(there.items(), key=lambda item: -(item[1]["pixels"] or 0)):
        lines.append(f"  {name:<{width}}  {row['pixels']:>6.1%}  {row['accuracy']:>8.1%}  {row['iou']:.1%}")
    return lines
