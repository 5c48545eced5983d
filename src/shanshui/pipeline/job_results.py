"""The one number that matters of a finished job, read from the files that the job wrote.

Nothing is computed again. A file that cannot be read, such as one of another version, gives an empty text: a missing
number never disturbs a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from shanshui.config.schema import Config
from shanshui.errors import ShanshuiError
from shanshui.evaluation.selection import Score, parse_score
from shanshui.metrics.registry import METRICS
from shanshui.report.wording import metric_name, model_name
from shanshui.report.wording import number as four_digits
from shanshui.storage import checkpoint
from shanshui.storage.files import read_csv, read_json
from shanshui.storage.names import number

Wildcards = Mapping[str, str]
Result = Callable[[Path, Wildcards, Config], str]
UNREADABLE = (ShanshuiError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError)
MIB = 1024**2


def job_result(run: Path, rule: str, wildcards: Wildcards, config: Config) -> str:
    """Return a few words on the result of a job, "" where there are none.

    Args:
        run: folder of the run.
        rule: name of the job's rule.
        wildcards: its wildcards, by name.
        config: configuration of the run.
    """
    result = RESULTS.get(rule)
    try:
        return result(run, wildcards, config) if result else ""
    except UNREADABLE:
        return ""


def subject(rule: str, wildcards: Wildcards) -> str:
    """Name what a job is about: a resolution, an epoch, a model with its seed; "" for jobs of which there is one."""
    if student := wildcards.get("student"):
        return model_name(f"{student}_of_{wildcards['teacher']}")
    if model := wildcards.get("model") or wildcards.get("subset"):
        seed = f", seed {wildcards['seed']}" if "seed" in wildcards else ""
        return model_name(model) + seed
    if "epoch" in wildcards:
        return f"epoch {int(wildcards['epoch'])}"
    if "tried" in wildcards:
        return f"with or without checkpoint {wildcards['tried']}"
    if "resolution" in wildcards:
        return "x".join(str(int(side)) for side in wildcards["resolution"].split("x"))
    return {
        "score_fused": "submission",
        "select_checkpoints": "checkpoints",
        "select_model": "model",
        "select_seed": "seed",
    }.get(rule, "")


def last_stats(file: Path) -> dict[str, float]:
    """Return the last complete line of a `stats.jsonl`, {} if there is none."""
    for line in reversed(file.read_text(encoding="utf-8").splitlines() if file.is_file() else []):
        try:
            found = json.loads(line)
        except ValueError:  # being written, or of a killed job
            continue
        return found if isinstance(found, dict) else {}
    return {}


def scores(run: Path, model: str = "") -> Iterator[Score]:
    """Read the score files of a run that can be read: of all models, or of all seeds of one model.

    That of images with pixels of photographs is left out.
    """
    for file in sorted((run / "score" / model).glob("*.json")):
        try:
            found = parse_score(read_json(file), str(file))
        except UNREADABLE:
            continue
        if found.model != "fused":
            yield found


def best_score(run: Path, config: Config, model: str = "") -> Score | None:
    """Return the best score so far, of all models or of all seeds of one, by what they are ranked by."""
    by, on = config.score.rank_by, config.select.on
    lower = by in METRICS and METRICS[by].lower_is_better is not False
    found = [(value, score) for score in scores(run, model) if (value := score.value(by, on)) is not None]
    return (min if lower else max)(found, key=lambda pair: pair[0])[1] if found else None


def score_points(run: Path, config: Config) -> list[tuple[int, float]]:
    """Return (epoch, score) of the checkpoints so far, by the metric and label maps that models are ranked on."""
    by, on = config.score.rank_by, config.select.on
    epochs = {
        int(score.model.removeprefix("epoch_")): value
        for score in scores(run)
        if score.model.startswith("epoch_") and (value := score.value(by, on)) is not None
    }
    return sorted(epochs.items())


def newest_samples(run: Path, most: int) -> list[Path]:
    """Return the newest grids of sample images of a run, the newest first."""
    grids = run.glob("samples/*/epoch_*.png")
    return sorted(grids, key=lambda file: (file.stat().st_mtime, file.name), reverse=True)[:most]


def _images(folder: Path) -> str:
    count = sum(file.suffix in (".jpg", ".png") for file in folder.rglob("*"))
    return number(count, "image")


def _validate(run: Path, wildcards: Wildcards, config: Config) -> str:
    pairs = len(read_csv(run / "validate" / "train.csv")) + len(read_csv(run / "validate" / "holdout.csv"))
    report = read_json(run / "validate" / "report.json")
    found = sum(len(level["findings"]) for level in report["levels"])
    return f"{number(pairs, 'pair')}, {number(found, 'finding')}"


def _training(folder: str) -> Result:
    def result(run: Path, wildcards: Wildcards, config: Config) -> str:
        line = last_stats(run / folder.format(**wildcards) / "stats.jsonl")
        losses = [f"{name} {line[name]:.2f}" for name in ("G/adv", "G/rec") if name in line][:1]
        epoch = [f"epoch {line['epoch']}"] if "resolution" in wildcards else []  # else the subject says it
        return ", ".join([*epoch, number(int(line["step"]), "step"), *losses])

    return result


def _segmenter(run: Path, wildcards: Wildcards, config: Config) -> str:
    real = checkpoint.read_meta(run / "segmenter" / "segmenter.safetensors")["real"]
    return f"mask accuracy {real['mask_accuracy']:.3f} on photographs" if real else ""


def _score(run: Path, wildcards: Wildcards, config: Config) -> str:
    of_seeds = "seed" in wildcards
    name = f"{wildcards['model']}/seed_{wildcards['seed']}" if of_seeds else wildcards["model"]
    by, on = config.score.rank_by, config.select.on
    value = parse_score(read_json(run / "score" / f"{name}.json"), name).value(by, on)
    ahead = ""
    if best := best_score(run, config, wildcards["model"] if of_seeds else ""):
        first = f"seed {best.seed}" if of_seeds else model_name(best.model)
        ahead = f" (best so far {four_digits(best.value(by, on))}, {first})"
    return f"{metric_name(by)} {four_digits(value)}{ahead}"


def _score_fused(run: Path, wildcards: Wildcards, config: Config) -> str:
    by = config.score.rank_by
    value = read_json(run / "score" / "fused.json")["sets"]["test"]["metrics"][by]
    return f"{metric_name(by)} {four_digits(value)} on the test label maps"


def _choice(name: str) -> Result:
    def result(run: Path, wildcards: Wildcards, config: Config) -> str:
        choice = read_json(run / "select" / f"{name.format(**wildcards)}.json")
        models = ", ".join(map(model_name, choice["chosen"]))
        chosen = f"seed {choice['chosen_seeds'][0]}" if name == "seed" else models
        return f"{chosen} ({metric_name(choice['rank_by'])} {four_digits(choice['ranking'][0]['value'])})"

    return result


def _package(run: Path, wildcards: Wildcards, config: Config) -> str:
    count, size = read_json(run / "submission.json")["count"], (run / "submission.zip").stat().st_size
    return f"{number(count, 'image')}, {size / MIB:.1f} MiB"


def _doctor(run: Path, wildcards: Wildcards, config: Config) -> str:
    machine = read_json(run / "doctor.json")
    cpu = f"{number(machine['cores'], 'CPU core')}, no GPU in use"
    return ", ".join(machine["gpus"]) if machine["device"] == "cuda" and machine["gpus"] else cpu


def _fuse(run: Path, wildcards: Wildcards, config: Config) -> str:
    fused = read_json(run / "fuse.json")["fused"]
    return f"{number(len(fused), 'image')} with pixels of photographs"


RESULTS: dict[str, Result] = {
    "doctor": _doctor,
    "landscapes": lambda run, wildcards, config: number(
        sum(1 for _ in (run / "landscapes" / "train" / "imgs").iterdir()), "pair"
    ),
    "validate": _validate,
    "prepare": lambda run, wildcards, config: number(len(read_json(run / "prepare" / "names.json")), "pair"),
    "segmenter": _segmenter,
    "pretrain": _training("pretrain/{resolution}"),
    "finetune": _training("finetune"),
    "generate": lambda run, wildcards, config: _images(run / "images" / wildcards["model"]),
    "infer": lambda run, wildcards, config: _images(run / "infer" / wildcards["model"] / f"seed_{wildcards['seed']}"),
    "score": _score,
    "score_seed": _score,
    "score_fused": _score_fused,
    "merge": lambda run, wildcards, config: f"average of {number(wildcards['subset'].count('+') + 1, 'checkpoint')}",
    "select_checkpoints": _choice("checkpoints"),
    "soup": _choice("soup_{tried}"),
    "select_model": _choice("model"),
    "select_seed": _choice("seed"),
    "fuse": _fuse,
    "package": _package,
}


def findings(run: Path) -> list[str]:
    """Return the warnings of the check of the data in full, one text each."""
    try:
        levels = read_json(run / "validate" / "report.json")["levels"]
        found = [finding for level in levels if level["title"] == "Warnings" for finding in level["findings"]]
        return [
            "; ".join(
                [one["what"], *(f"{word}: {one[key]}" for word, key in (("expected", "expected"), ("to do", "do"))
                                if one[key])]
            )
            for one in found
        ]  # fmt: skip
    except UNREADABLE:
        return []
