"""The table of all scores: rows for the CSV, and the same as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shanshui.compression.student_names import teacher_of
from shanshui.errors import ShanshuiError
from shanshui.evaluation.contest import TERMS, Outcome
from shanshui.evaluation.selection import SETS, Ranking, Score
from shanshui.report.wording import column, metric_name, selection_text, weight_free

KINDS = ("checkpoint", "average", "seed")
ERROR = "_se"  # ending of the columns of standard errors
ARITHMETIC = "arithmetic"  # column of the precision of training and generating, where it is not that of a CPU
Row = dict[str, Any]


def _is_average(model: str, source: str) -> bool:
    """Return whether a model, or a student's teacher, is an average; ShanshuiError for names of none of them."""
    model = teacher_of(model)
    if re.fullmatch(r"epoch_\d+", model):
        return False
    if re.fullmatch(r"\d+(\+\d+)+|ema_\d+", model):
        return True
    raise ShanshuiError(
        f"{source}: model {model!r} is neither a checkpoint nor an average", "epoch_NNN, NNN+NNN or ema_NNN"
    )


def _pairs(ranking: Ranking) -> set[tuple[str, int]]:
    return {(entry["model"], entry["seed"]) for entry in ranking["ranking"]}


def _chosen(ranking: Ranking) -> set[tuple[str, int]]:
    return set(zip(ranking["chosen"], ranking["chosen_seeds"], strict=True))


def _tied(ranking: Ranking) -> set[tuple[str, int]]:
    return set(zip(ranking.get("tied", []), ranking.get("tied_seeds", []), strict=True))


def _metrics(scores: Sequence[Score]) -> list[str]:
    return list(dict.fromkeys(m for score in scores for name in SETS for m in score.values.get(name, {})))


def columns(scores: Sequence[Score], rank_by: str) -> list[str]:
    """List the column names: kind and model, `<set>_<metric>` (`rank_by` first), `<set>_n`, the choice, the features.

    After a metric with known standard errors come `<set>_<metric>_se`.
    """
    sets = [name for name in SETS if any(name in score.values for score in scores)]
    metrics = sorted(_metrics(scores), key=lambda metric: (metric != rank_by, metric))
    values = []
    for metric in metrics:
        having = [name for name in sets if any(metric in score.values.get(name, {}) for score in scores)]
        values += [f"{name}_{metric}" for name in having]
        values += [f"{name}_{metric}{ERROR}" for name in sets if any(s.error(metric, name) is not None for s in scores)]
    counts = [f"{name}_n" for name in sets]
    return ["kind", "model", "epoch", "seed", *values, *counts, "chosen", "tied", "features"]


def build_rows(scores: Sequence[Score], checkpoints: Ranking, model: Ranking, seed: Ranking) -> list[Row]:
    """Build one row per score with all `columns`, by kind (checkpoint, average, seed), then epoch, then seed.

    A score is of kind seed if it was only made to compare noise seeds, or is the second one of its model and seed.
    `chosen` holds "top k" and "model" on checkpoints and averages, "seed" on seeds (or on the only row of that model
    and seed). `tied` holds the same of those that were not chosen but tie with the last one that was.

    Args:
        scores: all scores of the run.
        checkpoints: ranking of checkpoints.
        model: ranking of checkpoints and averages.
        seed: ranking of noise seeds.

    Raises:
        ShanshuiError: where a score is in none of the rankings, or a model is neither a checkpoint nor an average.
    """
    names = columns(scores, checkpoints["rank_by"])
    compared, tried = _pairs(checkpoints) | _pairs(model), _pairs(seed)
    kinds: list[str] = []
    for index, score in enumerate(scores):
        key = (score.model, score.seed)
        again = any(key == (other.model, other.seed) for other in scores[:index])
        if key not in compared | tried:
            raise ShanshuiError(f"{score.source}: {score.model} seed {score.seed} is in none of the three rankings")
        average = _is_average(score.model, score.source)
        seed_row = key in tried and (again or key not in compared)
        kinds.append("seed" if seed_row else "average" if average else "checkpoint")
    with_row = {(s.model, s.seed) for s, kind in zip(scores, kinds, strict=True) if kind == "seed"}
    choices = {f"top {len(checkpoints['chosen'])}": checkpoints, "model": model, "seed": seed}
    rows = []
    for score, kind in zip(scores, kinds, strict=True):
        key = (score.model, score.seed)
        seed_row = kind == "seed" or key not in with_row
        shown = {mark: c for mark, c in choices.items() if (seed_row if mark == "seed" else kind != "seed")}
        row = _row(score, kind)
        row["chosen"] = ", ".join(mark for mark, choice in shown.items() if key in _chosen(choice))
        row["tied"] = ", ".join(mark for mark, choice in shown.items() if key in _tied(choice))
        rows.append({name: row.get(name, "") for name in names})
    return sorted(rows, key=_order)


def _row(score: Score, kind: str) -> Row:
    epoch = re.fullmatch(r"epoch_(\d+)", score.model)
    row: Row = {
        "kind": kind,
        "model": score.model,
        "epoch": int(epoch[1]) if epoch else "",
        "seed": score.seed,
        "features": "; ".join(f"{m}: {text.replace(';', ',')}" for m, text in sorted(score.features.items())),
    }
    for name, metrics in score.values.items():
        row |= {f"{name}_{metric}": "" if value is None else value for metric, value in metrics.items()}
        row |= {f"{name}_{metric}{ERROR}": error for metric, error in score.errors.get(name, {}).items()}
        row[f"{name}_n"] = score.counts[name]
    return row


def _order(row: Row) -> tuple[int, int, int, str, int]:
    epoch = row["epoch"] if row["epoch"] != "" else 0
    return KINDS.index(row["kind"]), epoch, row["model"].count("+"), row["model"], row["seed"]


def read_rows(raw: Sequence[Mapping[str, str]]) -> list[Row]:
    """Convert rows as text from the CSV back to rows with numbers."""
    rows = []
    for line in raw:
        row: Row = dict(line)
        for name, text in line.items():
            if name in ("epoch", "seed") or name.endswith("_n"):
                row[name] = int(text) if text else ""
            elif name.startswith(tuple(f"{part}_" for part in SETS)):
                row[name] = float(text) if text else ""
        rows.append(row)
    return rows


def value_columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """List (set, metric) of every column of values."""
    names = rows[0] if rows else ()
    split = [name.split("_", 1) for name in names if name.startswith(tuple(f"{part}_" for part in SETS))]
    return [(part, metric) for part, metric in split if metric != "n" and not metric.endswith(ERROR)]


def number_cells(rows: Sequence[Row]) -> list[list[str]]:
    """Format the values of every row with their standard errors, aligned by column."""
    by_column = []
    for part, metric in value_columns(rows):
        values = column([None if row[f"{part}_{metric}"] == "" else row[f"{part}_{metric}"] for row in rows])
        errors = [row.get(f"{part}_{metric}{ERROR}", "") for row in rows]
        by_column.append([v if e == "" else f"{v} ± {e:.2g}" for v, e in zip(values, errors, strict=True)])
    return [[cells[index] for cells in by_column] for index in range(len(rows))]


def _cell(text: object, bold: bool) -> str:
    return f"**{text}**" if bold and text != "" else str(text)


def to_markdown(rows: Sequence[Row], rank_by: str, on: str) -> str:
    """Format the table as Markdown: a line on the ranking, rows with the chosen in bold, a list of features."""
    values = value_columns(rows)
    head = ["kind", "model", "seed", *(f"{metric_name(m)} {part}" for part, m in values), "chosen", "tied"]
    lines = [f"# Scores of {len(rows)} models and seeds", "", selection_text(rank_by, on), ""]
    lines += ["| " + " | ".join(head) + " |", "|:--|:--|--:" + "|--:" * len(values) + "|:--|:--|"]
    for row, numbers in zip(rows, number_cells(rows), strict=True):
        cells = [row["kind"], row["model"], row["seed"], *numbers, row["chosen"], row["tied"]]
        lines.append("| " + " | ".join(_cell(cell, bool(row["chosen"])) for cell in cells) + " |")
    lines += ["", *features_lines(rows)]
    return "\n".join(lines) + "\n"


def measured(row: Row) -> dict[str, str]:
    """Return by metric the description of the data its value in this line was computed from."""
    return dict(text.partition(": ")[::2] for text in str(row["features"]).split("; ") if text)


def features_lines(rows: Sequence[Row]) -> list[str]:
    """List per metric what it was computed from, and what is not FID; then errors, ties, the contest's score."""
    lines = []
    for part in dict.fromkeys(text for row in rows for text in str(row["features"]).split("; ") if text):
        metric, _, text = part.partition(": ")
        proxy = " It is not FID." if weight_free(metric) and "not FID" not in text else ""
        lines.append(f"- {metric_name(metric)}: {text}.{proxy}")
    counts = {part: rows[0][f"{part}_n"] for part in SETS if rows and f"{part}_n" in rows[0]}
    lines.append("- Images per value: " + ", ".join(f"{n} on {part}" for part, n in counts.items()) + ".")
    lacking = [
        f"{metric_name(m)} {part}" for part, m in value_columns(rows) if any(row[f"{part}_{m}"] == "" for row in rows)
    ]
    if rows and (arithmetic := rows[0].get(ARITHMETIC)):
        lines.append(f"- Networks were computed on a GPU: {arithmetic}; all metrics in fp32.")
    if lacking:
        lines.append(f"- Not measured, of too few images or images all alike: {', '.join(lacking)}.")
    if any(name.endswith(ERROR) for name in (rows[0] if rows else ())):
        tied = "not chosen, though it differs from the last one chosen by less than the error of the difference"
        lines.append(f"- ±: standard error. Tied: {tied}.")
    measured = {metric for _, metric in value_columns(rows)}
    if "board_a" not in measured:
        missing = tuple(term for term in TERMS if term not in measured)
        lines.append(f"- Contest score (board A): {Outcome(None, missing or ('fid',))}.")
    return lines
