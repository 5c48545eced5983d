"""Names of metrics and the texts that explain choices; a proxy is never called FID."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from shanshui.compression.student_names import is_control, share_of, teacher_of
from shanshui.evaluation.selection import RankedModel, Ranking
from shanshui.logs import StatsLine
from shanshui.metrics.registry import METRICS
from shanshui.report.timing import duration

NAMES = {name: metric.title for name, metric in METRICS.items()} | {
    "aesthetic": "Aesthetics",
    "board_a": "Contest score",
}
TIES_NAMED = 4  # in a text; the table marks them all
SET_NAMES = {"holdout": "held-out label maps", "test": "test label maps", "train": "training label maps"}


def metric_name(metric: str) -> str:
    """Return the short name of a metric."""
    return NAMES.get(metric, metric)


def _proxy(metric: str) -> str:
    """Return the note printed with the name of a metric that might be taken for FID; "" for others."""
    return METRICS[metric].proxy if metric in METRICS else ""


def weight_free(metric: str) -> bool:
    """Return whether a metric is a proxy that needs no weights."""
    return metric in METRICS and METRICS[metric].weight_free


def metric_label(metric: str) -> str:
    """Return the name for a headline: as short as possible while saying what is not FID."""
    return metric_name(metric) + (" (not FID)" if _proxy(metric) else "")


def metric_title(metric: str) -> str:
    """Return the name for an axis: a metric that might be taken for FID says that it is not."""
    proxy = _proxy(metric)
    return f"{metric_name(metric)} ({proxy})" if proxy else metric_name(metric)


def model_name(model: str) -> str:
    """Write `epoch_007` as `epoch 7`, `003+005` as `average of 3 + 5`, `ema_007` as `moving average at epoch 7`.

    `small_025_of_epoch_007` is written `student of 25% of epoch 7`, and its control likewise.
    """
    if found := re.fullmatch(r"epoch_0*(\d+)", model):
        return f"epoch {found[1]}"
    if found := re.fullmatch(r"ema_0*(\d+)", model):
        return f"moving average at epoch {found[1]}"
    if re.fullmatch(r"\d+(\+\d+)+", model):
        return "average of " + " + ".join(str(int(part)) for part in model.split("+"))
    if share := share_of(model):
        kind = "control" if is_control(model) else "student"
        return f"{kind} of {share:.0%} of {model_name(teacher_of(model))}"
    return model


NOT_MEASURED = "not measured"


def number(value: float | None) -> str:
    """Format a number with four significant digits, or all digits before the point; None as "not measured"."""
    return column([value])[0]


def column(values: Sequence[float | None]) -> list[str]:
    """Format numbers with the same number of decimals (four significant digits of the largest), so that they align."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    decimals = min(9, max(0, 3 - math.floor(math.log10(largest)))) if largest > 0 else 0
    return [NOT_MEASURED if value is None else f"{value:.{decimals}f}" for value in values]


def _listed(entries: Sequence[RankedModel]) -> str:
    return _enumerated([f"{model_name(entry['model'])} ({number(entry['value'])})" for entry in entries])


def _enumerated(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"


def _extreme(ranking: Ranking) -> str:
    return "lowest" if ranking["lower_is_better"] else "highest"


def _ties(ranking: Ranking) -> str:
    """Describe the ties with the last chosen model; empty if the noise is not known."""
    entries = ranking["ranking"]
    chosen, names = len(ranking["chosen"]), ranking.get("tied", [])
    if len(entries) == chosen or any("standard_error" not in entry for entry in entries):
        return ""
    if not names:
        return " All others are farther behind than the noise."
    same_model = len({entry["model"] for entry in entries}) == 1
    tied = [f"seed {s}" for s in ranking["tied_seeds"]] if same_model else [model_name(name) for name in names]
    listed = _enumerated(tied if len(tied) <= TIES_NAMED else [*tied[:TIES_NAMED], f"{len(tied) - TIES_NAMED} more"])
    verb = "differs" if len(tied) == 1 else "differ"
    last = "it" if chosen == 1 else "the last of these"
    return f" A tie: {listed} {verb} from {last} by less than the standard error of the difference."


def checkpoints_text(ranking: Ranking) -> str:
    """Say which checkpoints were chosen, with ties."""
    entries, kept = ranking["ranking"], ranking["ranking"][: len(ranking["chosen"])]
    what = "the checkpoint" if len(kept) == 1 else f"the {len(kept)} checkpoints"
    verb = "is" if len(kept) == 1 else "are"
    metric, label_maps = metric_name(ranking["rank_by"]), SET_NAMES[ranking["on"]]
    return (
        f"Of {len(entries)} scored checkpoints, {what} with the {_extreme(ranking)} {metric} "
        f"on the {label_maps} {verb} {_listed(kept)}." + _ties(ranking)
    )


def model_text(ranking: Ranking) -> str:
    """Say which model is best, and what averaging gained."""
    entries = ranking["ranking"]
    winner = entries[0]
    averages = [entry for entry in entries if not entry["model"].startswith("epoch_")]
    singles = [entry for entry in entries if entry["model"].startswith("epoch_")]
    name = ("the " if winner in averages else "") + _listed([winner])
    text = f"The best of these models is {name}"
    if not averages:
        return f"{text}; no averages of weights were compared." + _ties(ranking)
    if not singles:
        return f"{text}, out of {len(averages)} averages of weights." + _ties(ranking)
    rival = averages[0] if winner in singles else singles[0]
    what = "average of weights" if winner in singles else "single checkpoint"
    gain = abs(winner["value"] - rival["value"]) / max(abs(rival["value"]), 1e-12)
    return f"{text}, {100 * gain:.1f} % better than the best {what}, {_listed([rival])}." + _ties(ranking)


def seed_text(ranking: Ranking) -> str:
    """Say which noise seed is best, and that its value is selected."""
    entries = ranking["ranking"]
    winner = entries[0]
    value = number(winner["value"])
    if len(entries) == 1:
        return f"The submission uses noise seed {winner['seed']} ({value}), the only one tried."
    mean, spread = number(ranking["mean"]), f"{ranking['spread']:.2g}"
    seed = winner["seed"]
    return (
        f"Of {len(entries)} noise seeds (mean {mean}, standard deviation {spread}), seed {seed} gave the "
        f"{_extreme(ranking)} value, {value}. Choosing the best of several seeds by the metric is selection: "
        "for new label maps expect the mean." + _ties(ranking)
    )


def selection_text(metric: str, on: str) -> str:
    """Say on which metric and label maps the choice rests."""
    basis = {
        "holdout": "chosen on label maps held out of training",
        "test": "chosen on the test label maps themselves: the chosen values are the best of many tries on these",
        "train": "chosen on the training label maps, which the models have seen",
    }
    return f"Ranked by {metric_title(metric)}, {basis[on]}. This is selection, not an independent measurement."


def unjudged_message(found: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """Say the share of the pixels of every set whose classes the segmenter does not know; empty where it knows all."""
    shares = {
        part: sum(row.get("pixels") or 0 for row in classes.values() if row.get("accuracy") is None)
        for part, classes in found.items()
    }
    if not any(shares.values()):
        return ""
    listed = _enumerated([f"{100 * share:.1f} % on the {SET_NAMES.get(part, part)}" for part, share in shares.items()])
    return f"Pixels of classes it does not know (–) are left out of mask accuracy and mIoU: {listed}."


def training_text(stats: Sequence[StatsLine]) -> str:
    """Say epochs per phase, time and speed, from the lines of `stats.jsonl`; empty without lines."""
    if not stats:
        return ""
    phases = [str(line.get("phase", "training")) for line in stats]
    words = {"pretrain": "pretraining", "finetune": "fine-tuning"}
    counts = {phase: phases.count(phase) for phase in phases}
    parts = [f"{n} epoch{'s' * (n > 1)} of {words.get(phase, phase)}" for phase, n in counts.items()]
    seconds = sum(float(line.get("seconds", 0)) for line in stats)
    rates = [float(line["img_per_s"]) for line in stats if "img_per_s" in line]
    speed = f", {rates[-1]:.3g} images per second in the last epoch" if rates else ""
    return f"{' and '.join(parts)} took {duration(seconds)}{speed}."
