"""Estimate how long the rest of a workflow takes, from its configuration and the jobs that have finished.

A job takes a start-up time and a time in proportion to its work: epochs x pairs x pixels of training, images x pixels
of generating and scoring. The rate of each kind of work is measured on the jobs of this run. A kind that has not been
measured yet is taken to be a fixed share of the rate of training per pixel; before any training has been measured
there is no estimate. Trainings follow one another; the other jobs run together with them as far as they can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shanshui.architectures.schedule import schedule
from shanshui.config.schema import Config
from shanshui.errors import ShanshuiError
from shanshui.pipeline.disk_estimate import averages, count_images

START_UP = 4.0  # seconds of a job before it does anything: Python, Jittor, weights
RELATIVE = {  # to the time per image and pixel of a training step of all networks, where a kind was not measured
    "segmenter": 0.1,
    "generate": 0.2,
    "score": 0.15,
}
KINDS = {
    "pretrain": "train", "finetune": "train", "finetune_last": "train", "segmenter": "segmenter",
    "generate": "generate", "infer": "generate", "score": "score", "score_seed": "score", "score_fused": "score",
}  # fmt: skip
BEFORE_CHOICES = {"select_model": ("merge", "generate", "score"), "select_seed": ("infer", "score_seed")}
TRAINED = ("pretrain", "finetune", "finetune_last")


@dataclass(frozen=True)
class JobSizes:
    """Work of the jobs of a run, in pixels of images.

    Attributes:
        pretrain: by resolution as in file names (`064x048`).
        finetune: by epoch as in file names (`017`).
        others: of one job, by rule.
        later: jobs that are planned only once a choice has been made, by rule.
    """

    pretrain: Mapping[str, float]
    finetune: Mapping[str, float]
    others: Mapping[str, float]
    later: Mapping[str, int]

    def work(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """Return the work of one job; 0 for jobs that only take their start-up time."""
        if rule == "pretrain":
            return self.pretrain.get(wildcards.get("resolution", ""), 0.0)
        if rule in TRAINED:
            return self.finetune.get(wildcards.get("epoch", ""), 0.0)
        return self.others.get(rule, 0.0)


def job_sizes(config: Config) -> JobSizes:
    """Compute the work of all jobs of a configuration; images that cannot be counted count as 1000 pairs."""
    try:
        images = count_images(config)
        pairs, asked = images.train or 1000, images.holdout + images.test
    except (ShanshuiError, OSError):
        pairs, asked = 1000, 1000
    size = config.data.size
    resolutions = {}
    for stage in schedule(config.pretrain.epochs, config.model.sizes).stages():
        small = size.divided(stage.divisor)
        resolutions[f"{small:03d}"] = float((stage.last_epoch - stage.first_epoch + 1) * pairs * small.pixels)
    first, last = config.score.first, config.score.last
    epochs = {f"{epoch:03d}": float(pairs * size.pixels) for epoch in range(first, last + 1)}
    epochs[f"{first:03d}"] *= first - config.pretrain.epochs
    generated = float(asked * size.pixels)
    others = {
        "segmenter": float(config.segmenter.epochs * pairs * config.segmenter.size.pixels),
        **dict.fromkeys(("generate", "infer", "score", "score_seed", "score_fused"), generated),
    }
    models, seeds = averages(config) + bool(config.finetune.ema), len(config.infer.seeds)
    later = {
        "merge": averages(config), "generate": models, "score": models,
        "infer": seeds, "score_seed": seeds, "fuse": 1, "score_fused": 1,
    }  # fmt: skip
    return JobSizes(resolutions, epochs, others, later)


@dataclass
class RemainingTime:
    """Estimate of one workflow, fed with its plan and its finished jobs."""

    sizes: JobSizes
    parallel: int = 1  # jobs at a time
    planned: Counter[str] = field(default_factory=Counter)
    finished: list[tuple[str, float, float]] = field(default_factory=list)  # kind or rule, work, seconds
    done: Counter[str] = field(default_factory=Counter)
    trained: set[tuple[str, str]] = field(default_factory=set)

    def plan(self, counts: Mapping[str, int]) -> None:
        """Take the numbers of jobs by rule that Snakemake plans, and add those planned after the choices."""
        self.planned = Counter({rule: count for rule, count in counts.items() if rule != "total"})
        if self.planned["select_checkpoints"] or self.planned["select_model"]:
            for rule, count in self.sizes.later.items():
                once = rule in ("fuse", "score_fused")
                self.planned[rule] = max(self.planned[rule], 1) if once else self.planned[rule] + count

    def finish(self, rule: str, wildcards: Mapping[str, str], seconds: float) -> None:
        """Take note of a finished job."""
        self.done[rule] += 1
        for before in BEFORE_CHOICES.get(rule, ()):  # of these there are no more than have been needed
            self.planned[before] = self.done[before]
        if rule in TRAINED:
            self.trained.add((rule, wildcards.get("resolution") or wildcards.get("epoch", "")))
        self.finished.append((KINDS.get(rule, rule), self.sizes.work(rule, wildcards), seconds))

    @property
    def jobs(self) -> int:
        """Return the number of jobs that are expected in all."""
        return sum(max(count, self.done[rule]) for rule, count in self.planned.items())

    def rate(self, kind: str) -> float | None:
        """Return the seconds per pixel of a kind of work, None where neither it nor training was measured."""
        found = [(work, max(0.0, seconds - START_UP)) for name, work, seconds in self.finished if name == kind and work]
        if found:
            return sum(seconds for _, seconds in found) / sum(work for work, _ in found)
        if kind in RELATIVE and (training := self.rate("train")) is not None:
            return RELATIVE[kind] * training
        return None

    def seconds(self, running: Mapping[tuple[str, str], tuple[float, float | None]]) -> float | None:
        """Estimate the seconds that are left, None if nothing can be said yet.

        Args:
            running: by (rule, resolution or epoch or other name) of the running jobs: seconds since the start, and the
                seconds left by the job's own report, where there is one.
        """
        begun = Counter(rule for rule, _ in running)
        trainings = others = 0.0
        for rule, count in self.planned.items():
            waiting = max(0, count - self.done[rule] - begun[rule])
            if not waiting or rule in ("all", "settings"):
                continue
            works = self._waiting(rule, waiting, {name for of, name in running if of == rule})
            kind = KINDS.get(rule, rule)
            rate = self.rate(kind) if any(works) else 0.0
            if rate is None and kind == "train":
                rate = self._running_rate(running)
            if rate is None and kind in RELATIVE and (training := self._running_rate(running)) is not None:
                rate = RELATIVE[kind] * training
            if rate is None:
                return None
            seconds = sum(START_UP + rate * work for work in works)
            trainings, others = (trainings + seconds, others) if rule in TRAINED else (trainings, others + seconds)
        for (rule, name), (passed, own) in running.items():
            rate = self.rate(KINDS.get(rule, rule)) or 0.0
            expected = START_UP + rate * self.sizes.work(rule, {"resolution": name, "epoch": name})
            seconds = max(0.0, expected - passed) if own is None else own
            trainings, others = (trainings + seconds, others) if rule in TRAINED else (trainings, others + seconds)
        return max(trainings, (trainings + others) / self.parallel)

    def _waiting(self, rule: str, count: int, running: set[str]) -> list[float]:
        """Return the works of the `count` jobs of a rule that have not begun: the last ones of a training."""
        if rule not in TRAINED:
            return [self.sizes.others.get(rule, 0.0)] * count
        all_works = self.sizes.pretrain if rule == "pretrain" else self.sizes.finetune
        gone = {name for of, name in self.trained if (of == "pretrain") == (rule == "pretrain")} | running
        return [work for name, work in all_works.items() if name not in gone][-count:]

    def _running_rate(self, running: Mapping[tuple[str, str], tuple[float, float | None]]) -> float | None:
        """Return the seconds per pixel of a training that is running and reports its own progress."""
        for (rule, name), (passed, own) in running.items():
            work = self.sizes.work(rule, {"resolution": name, "epoch": name})
            if rule in TRAINED and own is not None and work:
                return max(0.0, passed + own - START_UP) / work
        return None
