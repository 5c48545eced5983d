"""Comparison of a model with its students and their controls: numbers, ratios, and what the differences mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from shanshui.compression.student_names import is_control, is_student, share_of
from shanshui.evaluation.selection import Score
from shanshui.metrics.registry import METRICS
from shanshui.report.timing import duration
from shanshui.report.wording import NOT_MEASURED, SET_NAMES, column, metric_name, model_name, number
from shanshui.storage.names import number as count_of

Verdict = Literal["better", "worse", "tie", "unknown"]
RATIOS = ("parameters", "megabytes", "gmac", "gmac_on_patches", "seconds", "peak_mib")


class Measured(TypedDict):
    """What was counted and measured of one model.

    Attributes:
        model: its name.
        method: of compression; "" of the teacher.
        widths: options of the generator's widths.
        parameters: of generator and encoder.
        megabytes: of its file.
        gmac: multiply-accumulates of the generator for one image, in 10^9, computed densely.
        gmac_on_patches: the same on the distinct patches of label maps.
        seconds: median wall time of an image.
        peak_mib: peak memory of the process while it generated; None where it is not known.
        epochs: of a student's training.
        training_seconds: wall time of its job.
    """

    model: str
    method: str
    widths: dict[str, object]
    parameters: int
    megabytes: float
    gmac: float
    gmac_on_patches: float
    seconds: float
    peak_mib: float | None
    epochs: NotRequired[int]
    training_seconds: NotRequired[float]


class Line(Measured):
    """A model with its scores, and its numbers / those of the teacher.

    Attributes:
        kind: what it is.
        share: that its name says; 1 of the teacher.
        metrics: by set and metric.
        errors: standard errors, likewise.
        ratios: by name of the number.
    """

    kind: Literal["teacher", "student", "control"]
    share: float
    metrics: dict[str, dict[str, float | None]]
    errors: dict[str, dict[str, float]]
    ratios: dict[str, float | None]


class Difference(TypedDict):
    """A metric of a student and of its control, or of its teacher.

    Attributes:
        share: of the student.
        against: "control" or "teacher".
        on: set of label maps.
        metric: its name.
        student: value.
        other: value.
        difference: student - other.
        error: standard error of the difference, the values' errors taken as independent; None where not known.
        verdict: of the student; a tie is a difference within its error.
    """

    share: float
    against: Literal["control", "teacher"]
    on: str
    metric: str
    student: float
    other: float
    difference: float
    error: float | None
    verdict: Verdict


class Machine(TypedDict):
    """Where times were measured: device, threads, calls of `generate` after two others, size of the images."""

    device: str
    threads: int
    calls: int
    size: str


class StudentReport(TypedDict):
    """The file `compress/report.json`."""

    machine: Machine
    models: list[Line]
    differences: list[Difference]
    text: list[str]


def student_report(measured: Sequence[Measured], scores: Sequence[Score], machine: Machine) -> StudentReport:
    """Put together what was measured; the teacher is the first of `measured`, and `scores` are in the same order."""
    lines = [_line(one, measured[0], score) for one, score in zip(measured, scores, strict=True)]
    by_name = dict(zip((one["model"] for one in measured), scores, strict=True))
    teacher = scores[0]
    differences: list[Difference] = []
    for model, score in by_name.items():
        if is_student(model) and not is_control(model):
            control = by_name.get("alone" + model.removeprefix("small"))
            differences += _differences(share_of(model), "control", score, control) if control else []
            differences += _differences(share_of(model), "teacher", score, teacher)
    return {
        "machine": machine, "models": lines, "differences": differences,
        "text": [sentence for line in lines if line["kind"] == "student" for sentence in _said(line, differences)],
    }  # fmt: skip


def _line(one: Measured, teacher: Measured, score: Score) -> Line:
    model = one["model"]
    kind: Literal["teacher", "student", "control"] = "teacher"
    if is_student(model):
        kind = "control" if is_control(model) else "student"
    ratios = {name: _ratio(one, teacher, name) for name in RATIOS}
    return {
        **one, "kind": kind, "share": share_of(model) or 1.0, "metrics": score.values, "errors": score.errors,
        "ratios": ratios,
    }  # fmt: skip


def _ratio(one: Mapping[str, object], teacher: Mapping[str, object], name: str) -> float | None:
    mine, whole = one[name], teacher[name]
    if not isinstance(mine, int | float) or not isinstance(whole, int | float) or not whole:
        return None
    return mine / whole


def _differences(
    share: float, against: Literal["control", "teacher"], student: Score, other: Score
) -> list[Difference]:
    """Compare all metrics that both have on each set."""
    found: list[Difference] = []
    for on, metrics in student.values.items():
        for metric in metrics:
            mine, theirs = student.value(metric, on), other.value(metric, on)
            if mine is None or theirs is None:
                continue
            errors = student.error(metric, on), other.error(metric, on)
            error = None if errors[0] is None or errors[1] is None else math.hypot(errors[0], errors[1])
            found.append({
                "share": share, "against": against, "on": on, "metric": metric, "student": mine, "other": theirs,
                "difference": mine - theirs, "error": error, "verdict": verdict(metric, mine - theirs, error),
            })  # fmt: skip
    return found


def verdict(metric: str, difference: float, error: float | None) -> Verdict:
    """Say what a difference means; unknown where its error is, or where a metric has no better end."""
    lower = METRICS[metric].lower_is_better if metric in METRICS else False
    if error is not None and abs(difference) <= error:
        return "tie"
    if error is None or lower is None:
        return "unknown"
    return "better" if (difference < 0) == lower else "worse"


def _said(line: Line, differences: Sequence[Difference]) -> list[str]:
    """Describe a student: cost against its teacher, quality against its control."""
    share, ratios = line["share"], line["ratios"]
    name = f"The student of {share:.0%}"
    cost = [f"{100 * value:.1f} % of the {words}" for key, words in (
        ("seconds", "time per image"), ("megabytes", "file"), ("gmac", "multiply-accumulates"),
    ) if (value := ratios[key]) is not None]  # fmt: skip
    sentences = [f"{name} takes {', '.join(cost)} of its teacher."]
    for on in line["metrics"]:
        mine = [d for d in differences if d["share"] == share and d["against"] == "control" and d["on"] == on]
        if not mine:
            continue
        parts = [
            f"{words} {', '.join(metric_name(d['metric']) for d in mine if d['verdict'] == found)}"
            for found, words in (
                ("better", "better in"), ("worse", "worse in"), ("tie", "a tie in"), ("unknown", "not decided in"),
            ) if any(d["verdict"] == found for d in mine)
        ]  # fmt: skip
        said = f"{name} against its control, on the {SET_NAMES.get(on, on)}: {'; '.join(parts)}."
        if not any(d["verdict"] == "better" for d in mine):
            said += " None of these metrics shows that learning from the teacher helped."
        sentences.append(said)
    return sentences


# --- as a table -------------------------------------------------------------------------------------------


def cells(report: StudentReport) -> tuple[list[str], list[list[str]]]:
    """Return the head of the table of models, and a row of texts for each."""
    lines = report["models"]
    sets = [on for on in SET_NAMES if any(on in line["metrics"] for line in lines)]
    shown = [(on, metric) for on in sets for metric in dict.fromkeys(m for one in lines for m in one["metrics"][on])]
    head = ["model", "widths", "parameters", "MB", "GMAC", "on patches", "s per image", "time", "MiB", "epochs",
            "training"]  # fmt: skip
    head += [f"{metric_name(metric)}, {on}" for on, metric in shown]
    texts = [column([line["metrics"][on].get(metric) for line in lines]) for on, metric in shown]
    rows = []
    for place, line in enumerate(lines):
        time, peak, training = line["ratios"]["seconds"], line["peak_mib"], line.get("training_seconds")
        row = [
            model_name(line["model"]), " / ".join(str(width) for width in line["widths"].values()),
            f"{line['parameters']:,}", f"{line['megabytes']:.1f}", f"{line['gmac']:.2f}",
            f"{line['gmac_on_patches']:.2f}", number(line["seconds"]), "" if time is None else f"{100 * time:.0f} %",
            NOT_MEASURED if peak is None else f"{peak:.0f}", str(line.get("epochs", "")),
            duration(training) if training else "",
        ]  # fmt: skip
        for (on, metric), text in zip(shown, texts, strict=True):
            error = line["errors"].get(on, {}).get(metric)
            row.append(text[place] + (f" ± {error:.2g}" if error is not None else ""))
        rows.append(row)
    return head, rows


def machine_text(report: StudentReport) -> str:
    """Say how times were measured."""
    machine = report["machine"]
    threads = count_of(machine["threads"], "thread")
    return (
        f"Times are medians of {machine['calls']} calls after two others in one process, for images of "
        f"{machine['size']} generated as the stage `generate` does, on the {machine['device']}, {threads}. Memory is "
        "the peak of this process while the model generated, small models first. GMAC are of the generator, for one "
        "image. Scores with their standard errors; a difference within its own is a tie."
    )
