"""Numerical ranking of scored models; a missing score is an error.

Differences below the noise are called ties. Tied models are still ordered by value: any of them may be chosen, and
always choosing the same one makes runs reproducible.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict, cast

from shanshui.errors import ShanshuiError

SETS = ("holdout", "test", "train")


class ScoreSet(TypedDict):
    """The entry of one set of label maps in a score file, as far as it is read again; see `scoring.score_entry`."""

    n: int
    metrics: dict[str, float | None]
    standard_errors: NotRequired[dict[str, float]]
    per_class: NotRequired[dict[str, dict[str, float | None]]]


class ScoreFile(TypedDict):
    """A score file of the stage `score`, as far as it is read again."""

    model: str
    seed: int
    sets: dict[str, ScoreSet]
    features: NotRequired[dict[str, str]]
    reference: NotRequired[dict[str, object]]


class RankedModel(TypedDict):
    """A model in a ranking: its value, and the values on all sets of label maps that it was scored on."""

    model: str
    seed: int
    value: float
    standard_error: NotRequired[float]
    holdout: NotRequired[float | None]
    test: NotRequired[float | None]
    train: NotRequired[float | None]


class Ranking(TypedDict):
    """Models, best first, and those chosen, as written to a JSON file by the stage `select`; see `rank`."""

    rank_by: str
    on: str
    lower_is_better: bool
    chosen: list[str]
    chosen_seeds: list[int]
    tied: list[str]
    tied_seeds: list[int]
    ranking: list[RankedModel]
    mean: float
    spread: float
    note: str


@dataclass(frozen=True)
class Score:
    """One score file: a model's images under one noise seed, measured on one or both sets of label maps.

    `values[set][metric]` is a finite float, or None where the file has no number; `counts[set]` is the
    number of images; `features[metric]` says what the metric was computed from;
    `errors[set][metric]` is a standard error, where one is known.
    """

    source: str
    model: str
    seed: int
    values: dict[str, dict[str, float | None]]
    counts: dict[str, int]
    features: dict[str, str]
    reference: str
    errors: dict[str, dict[str, float]]

    def value(self, metric: str, on: str) -> float | None:
        """Return the metric on one set, or None."""
        return self.values.get(on, {}).get(metric)

    def error(self, metric: str, on: str) -> float | None:
        """Return the metric's standard error on one set, or None."""
        return self.errors.get(on, {}).get(metric)


def _number(value: object) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]


def parse_score(raw: object, source: str) -> Score:
    """Convert a score file's content to a `Score`.

    Raises:
        ShanshuiError: where it is not a score file.
    """
    try:
        file = cast("ScoreFile", raw)
        sets = file["sets"]
        return Score(
            source=source,
            model=str(file["model"]),
            seed=int(file["seed"]),
            values={name: {m: _number(v) for m, v in part["metrics"].items()} for name, part in sets.items()},
            counts={name: int(part["n"]) for name, part in sets.items()},
            features={m: str(text) for m, text in file.get("features", {}).items()},
            reference=str(file.get("reference", {}).get("fingerprint", "")),
            errors={
                name: {m: e for m, v in part.get("standard_errors", {}).items() if (e := _number(v)) is not None}
                for name, part in sets.items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShanshuiError(
            f"{source} is not a score file ({type(error).__name__}: {error})",
            "model, seed and sets, as written by the stage `score`",
            "remove it and run again",
        ) from None


def check_comparable(scores: Sequence[Score]) -> None:
    """Check that all scores have the same reference, features and numbers of images.

    Raises:
        ShanshuiError: where they differ, or there is no score.
    """
    if not scores:
        raise ShanshuiError("no score file given", "one or more files of the stage `score`")
    first = scores[0]
    for score in scores:
        for what, mine, theirs in (
            ("training photographs (reference fingerprint)", score.reference, first.reference),
            ("features", score.features, first.features),
            ("numbers of images", score.counts, first.counts),
        ):
            if mine != theirs:
                raise ShanshuiError(
                    f"{score.source} and {first.source} have different {what}: {mine} and {theirs}",
                    "scores measured in the same way",
                    "remove the older one and run again",
                )


def _check_distinct(scores: Sequence[Score]) -> None:
    """Refuse two scores of the same model and seed."""
    seen: dict[tuple[str, int], str] = {}
    for score in scores:
        twin = seen.setdefault((score.model, score.seed), score.source)
        if twin != score.source:
            raise ShanshuiError(f"{score.source} and {twin} both score {score.model} with seed {score.seed}")


def _is_tie(one: Score, other: Score, metric: str, on: str) -> bool:
    """Return whether two values differ by at most the standard error of their difference; False where unknown.

    The errors are treated as independent. Models that generate from the same label maps share part of theirs, so that
    ties are reported too often rather than too rarely.
    """
    values, errors = [s.value(metric, on) for s in (one, other)], [s.error(metric, on) for s in (one, other)]
    if None in values or None in errors:
        return False
    return abs(values[0] - values[1]) <= math.hypot(*errors)  # type: ignore[operator, arg-type]


def _note(metric: str, on: str, lower: bool, scores: Sequence[Score]) -> str:
    direction = "lower is better" if lower else "higher is better"
    count = scores[0].counts.get(on, 0)
    if on == "holdout":
        return (
            f"Chosen by {metric} ({direction}) on the images of {count} held-out label maps; "
            "values on the test label maps are listed as well and were not used."
        )
    if on == "train":
        return (
            f"Chosen by {metric} ({direction}) on the images of {count} training label maps, which the models have "
            "seen: values on the others are listed as well."
        )
    return (
        f"Chosen by {metric} ({direction}) on the images of the {count} test label maps themselves: the "
        f"winner's value is the best of {len(scores)} tries on these very maps, not an estimate for new ones."
    )


def _plainness(score: Score) -> tuple[bool, int, str, int]:
    """Return the sort key of models of equal value: checkpoints first, then averages of fewer."""
    return not score.model.startswith("epoch_"), score.model.count("+"), score.model, score.seed


def rank(scores: Sequence[Score], metric: str, on: str, top: int, lower: bool = True) -> Ranking:
    """Order `scores` by `metric` on the set `on`, best first, and choose the first `top`.

    Of equal values a checkpoint comes before an average, and an average of fewer before one of more, then the order is
    by model name and seed: an average that gains nothing is not chosen, and the order of files never matters.
    Those not chosen that tie with the last one chosen are listed under `tied`.

    Args:
        scores: all measured alike.
        metric: name of the metric.
        on: set of label maps, "holdout", "test" or "train".
        top: how many to choose.
        lower: whether lower values are better.

    Returns:
        The ranking, as written to a JSON file.

    Raises:
        ShanshuiError: where a value is missing or not finite, the scores are not comparable, one comes twice, or there
            are fewer than `top`.
    """
    check_comparable(scores)
    _check_distinct(scores)
    if not 1 <= top <= len(scores):
        raise ShanshuiError(f"{top} are to be chosen of {len(scores)} scored", f"a number from 1 to {len(scores)}")
    values = []
    for score in scores:
        value = score.value(metric, on)
        if value is None:
            raise ShanshuiError(
                f"{score.source} has no number for {metric} on the {on} label maps",
                "a finite value for everything that is to be ranked",
                f"remove {score.source} and run again; if it stays, look at the images of {score.model}",
            )
        values.append(value)
    signed = [value if lower else -value for value in values]
    order = [
        (value, score)
        for _, _, value, score in sorted(
            zip(signed, map(_plainness, scores), values, scores, strict=True), key=lambda item: item[:2]
        )
    ]
    ranking = cast(
        "list[RankedModel]",
        [
            {
                "model": s.model,
                "seed": s.seed,
                "value": value,
                **({"standard_error": error} if (error := s.error(metric, on)) is not None else {}),
                **{name: s.value(metric, name) for name in s.values},
            }
            for value, s in order
        ],
    )
    last = order[top - 1][1]
    tied = [s for _, s in order[top:] if _is_tie(s, last, metric, on)]
    return {
        "rank_by": metric,
        "on": on,
        "lower_is_better": lower,
        "chosen": [entry["model"] for entry in ranking[:top]],
        "chosen_seeds": [entry["seed"] for entry in ranking[:top]],
        "tied": [s.model for s in tied],
        "tied_seeds": [s.seed for s in tied],
        "ranking": ranking,
        "mean": statistics.fmean(values),
        "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
        "note": _note(metric, on, lower, scores),
    }
