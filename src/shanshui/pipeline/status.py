"""Show the progress of a run on one screen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from shanshui.architectures.schedule import schedule
from shanshui.compression.student_names import submitted
from shanshui.config.stages import stages
from shanshui.pipeline.disk_estimate import count_images, estimate
from shanshui.pipeline.job_results import newest_samples, score_points
from shanshui.pipeline.network_counts import read_counts
from shanshui.pipeline.run_paths import RunPaths, epoch_name
from shanshui.pipeline.run_reader import Progress, RunState
from shanshui.report.wording import metric_label, number
from shanshui.training.warning_signs import signs

SILENT = 120  # seconds without a word after which a running job is suspicious
SCORES_SHOWN = 8
GIB = 1024**3


@dataclass(frozen=True)
class Row:
    """One stage: how many of its outputs exist, its state, and its progress."""

    stage: str
    done: int
    total: int
    state: str
    now: str = ""


def clock(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds: 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _last_words(progress: Progress | None) -> str:
    """Format the progress in a log."""
    if progress is None:
        return ""
    silent = f", silent for {clock(progress.age)}" if progress.age > SILENT else ""
    return f" {progress.percent} %, {progress.left} left{silent}"


def _training(state: RunState, folder: str, last_epoch: int, log: str) -> str:
    """Describe epoch, speed and time left until `last_epoch`, from the finished epochs."""
    lines = state.stats.get(folder, [])
    if not lines:
        return "first epoch" + _last_words(state.progress.get(log))
    epoch = int(lines[-1]["epoch"])
    each = statistics.fmean(float(line["seconds"]) for line in lines[-5:])
    left = clock(max(0, last_epoch - epoch) * each)
    word = state.progress.get(log)
    silent = f", silent for {clock(word.age)}" if word and word.age > max(SILENT, 2 * each) else ""
    return f"epoch {epoch} of {last_epoch} done, {lines[-1]['img_per_s']:.1f} img/s, about {left} left{silent}"


def _row(state: RunState, stage: str, outputs: Sequence[str], total: int, busy: Sequence[str], now: str = "") -> Row:
    """Create the row of a stage from its `outputs` and from those that show that it is running (`busy`)."""
    begun = [path for path in busy if path in state.busy]
    done = sum(path in state.paths and path not in state.busy for path in outputs)
    if begun:
        return Row(stage, done, total, "running" if state.alive else "interrupted", now or ", ".join(begun))
    return Row(stage, done, total, "done" if done >= total else "waiting")


def _named(state: RunState, images: Sequence[str], log: str) -> str:
    """Name the outputs that are being made, with the progress of their jobs."""
    begun = [path for path in images if path in state.busy]
    names = [(path.split("/", 1)[1], path.split("/", 1)[1].replace("/seed_", ".")) for path in begun]
    return ", ".join(name + _last_words(state.progress.get(f"{log}.{key}")) for name, key in names)


def _pretraining(state: RunState, run_paths: RunPaths) -> str:
    """Describe every resolution that is being trained: epoch, speed and time left."""
    sizes = run_paths.resolutions()
    stages = schedule(state.config.pretrain.epochs, state.config.model.sizes).stages()
    return "; ".join(
        f"{size}: {_training(state, f'pretrain/{size}', stage.last_epoch, f'pretrain.{size}')}"
        for size, stage in zip(sizes, stages, strict=True)
        if f"pretrain/{size}.safetensors" in state.busy
    )


def _finetuning(state: RunState, run_paths: RunPaths) -> str:
    """Describe epoch, speed and time left of fine-tuning."""
    config = state.config
    names = zip(range(config.score.first, config.score.last + 1), run_paths.finetuned_weights(), strict=True)
    begun = next((epoch for epoch, name in names if name in state.busy), None)
    return _training(state, "finetune", config.score.last, f"finetune.{begun:03d}") if begun is not None else ""


TRAININGS = {"pretrain": _pretraining, "finetune": _finetuning}


def _scored(state: RunState, run_paths: RunPaths) -> list[Row]:
    """Return rows for checkpoints, averages and seeds; the latter two are named once the choice before is made."""
    config = state.config
    checkpoints = [epoch_name(epoch) for epoch in config.score.epochs()]
    ranked, chosen = state.choices.get("checkpoints"), state.choices.get("model")
    best, model = ranked["chosen"] if ranked else [], chosen["chosen"][0] if chosen else None
    trials = [e["model"] for name, choice in state.choices.items() if "soup" in name for e in choice["ranking"]]
    averages = [name for name in run_paths.candidates(best, trials) if not name.startswith("epoch_")]
    planned = 2**config.select.top - 1 - config.select.top + bool(run_paths.averaged_epoch)
    submission = submitted(config.compress, model) if model else ""
    seeds = [f"{submission}/seed_{seed}" for seed in config.infer.seeds] if model else []
    rows = []
    for stage, names, total, folder, log in (
        ("checkpoints", checkpoints, len(checkpoints), "images", "generate"),
        ("averages", averages, max(planned, len(averages)), "images", "generate"),
        ("seeds", seeds, len(config.infer.seeds), "infer", "infer"),
    ):  # fmt: skip
        images, scores = [f"{folder}/{name}" for name in names], [f"score/{name}.json" for name in names]
        merges = [f"merge/{name}.safetensors" for name in names]
        now = _named(state, images, log) or _named(state, scores, "score")
        rows.append(_row(state, stage, scores, total, [*images, *scores, *merges], now))
    return rows


def rows(state: RunState) -> list[Row]:
    """Return rows for all stages in data-flow order; scoring has rows for checkpoints, averages and seeds."""
    run_paths, found = RunPaths(state.config), []
    for name, stage in stages().items():
        outputs = stage.outputs(run_paths)
        if name == "score":
            found += _scored(state, run_paths)
        elif outputs:
            training = TRAININGS.get(name)
            now = training(state, run_paths) if training else f"at work{_last_words(state.progress.get(name))}"
            found.append(_row(state, name, outputs, len(outputs), outputs, now))
    return found


def chosen(state: RunState) -> list[str]:
    """Describe the choices made so far, one line each."""
    lines = []
    for name, choice in state.choices.items():
        best = choice["ranking"][: len(choice["chosen"])]
        what = [entry["model"] + (f" seed {entry['seed']}" if name == "seed" else "") for entry in best]
        words = ", ".join(f"{w} ({entry['value']:.4g})" for w, entry in zip(what, best, strict=True))
        lines.append(f"chosen {name}: {words} by {choice['rank_by']} on {choice['on']}")
    return lines


def so_far(state: RunState) -> list[str]:
    """Describe the scores of the checkpoints so far, and the newest samples, one line each where there are any."""
    points, lines = score_points(state.folder, state.config), []
    if points:
        listed = ", ".join(f"{epoch}: {number(value)}" for epoch, value in points[-SCORES_SHOWN:])
        more = "... " if len(points) > SCORES_SHOWN else ""
        lines.append(f"{metric_label(state.config.score.rank_by)} by epoch: {more}{listed}")
    lines += [f"newest samples: {file}" for file in newest_samples(state.folder, 1)]
    return lines


def _expected(state: RunState) -> str:
    """Return the expected sizes of the run, if they can be estimated."""
    images = count_images(state.config)
    if not images.train:  # asked from a folder that the data are not seen from
        return ""
    counts = read_counts(state.config)
    if counts is None:  # the start of the run counts its networks
        return ""
    parts = estimate(state.config, images, counts)
    most, final = sum(part.most for part in parts), sum(part.final for part in parts)
    return f"; at most {most / GIB:.1f} GiB expected, {final / GIB:.1f} in the end"


def warning_lines(state: RunState) -> list[str]:
    """Describe the warning signs of each training's last epoch, one line each."""
    return [f"look at {folder}: {sign}" for folder in sorted(state.stats) for sign in signs(state.stats[folder])]


def text(state: RunState) -> str:
    """Format the state of a run for the terminal."""
    table = rows(state)
    at_work = "Snakemake is running" if state.alive else "no Snakemake is running here"
    wide = max(len(row.stage) for row in table)
    lines = [f"{state.config.run}: {state.folder}; {at_work}", ""]
    for row in table:
        lines.append(f"{row.stage:<{wide}}  {row.done:>4} of {row.total:<4} {row.state:<12}{row.now}".rstrip())
    lines += ["", *warning_lines(state), *so_far(state), *chosen(state)]
    lines.append(f"disk: {state.size / GIB:.2f} GiB in this run, {state.free / GIB:.1f} GiB free{_expected(state)}")
    return "\n".join(lines)
