"""The estimate of the time that a workflow still takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from shanshui.config.settings import load_config
from shanshui.pipeline.remaining_time import START_UP, RemainingTime, job_sizes

ROOT = Path(__file__).resolve().parent.parent
CONFIG = load_config([ROOT / "config" / "demo.yaml"])
STATS = {"settings": 2, "validate": 1, "pretrain": 3, "finetune": 3, "generate": 3, "score": 3,
         "select_checkpoints": 1, "select_model": 1, "all": 1, "total": 18}  # fmt: skip


def estimate(counts: Mapping[str, int]) -> RemainingTime:
    remaining = RemainingTime(job_sizes(CONFIG))
    remaining.plan(counts)
    return remaining


def test_nothing_is_estimated_before_training_was_measured() -> None:
    assert estimate(STATS).seconds({("validate", ""): (1.0, None)}) is None
    assert estimate({"fuse": 1, "total": 1}).seconds({}) == START_UP


def test_time_left_follows_pixels_epochs_and_the_speed_of_this_run() -> None:
    """Resolutions of 1, 2 and 1 epochs with 1/16, 1/4 and 1 of the pixels; 20 epochs at full size, 18 in one job."""
    remaining = estimate({"pretrain": 3, "finetune": 3})
    work = job_sizes(CONFIG).pretrain["032x024"]
    remaining.finish("pretrain", {"resolution": "032x024"}, START_UP + 2.0)
    assert work * 16 == job_sizes(CONFIG).pretrain["128x096"]
    left = remaining.seconds({})
    assert left == pytest.approx(5 * START_UP + 2 * (8 + 16 + 20 * 16))
    own = remaining.seconds({("pretrain", "064x048"): (5.0, 7.0)})
    assert own == pytest.approx(4 * START_UP + 7.0 + 2 * (16 + 20 * 16)), "what the job says itself counts"


def test_other_jobs_run_together_with_the_trainings() -> None:
    work = job_sizes(CONFIG).others["score"]
    alone = estimate({"finetune": 1, "score": 2})
    alone.finish("pretrain", {"resolution": "032x024"}, START_UP)
    alone.finish("score", {}, START_UP + 10.0)
    remaining = RemainingTime(alone.sizes, 2, alone.planned, alone.finished, alone.done, alone.trained)
    assert work
    for own, both in ((100.0, 100.0), (4.0, (4.0 + 10.0 + START_UP) / 2)):
        running = {("finetune", "018"): (50.0, own)}
        assert alone.seconds(running) == pytest.approx(own + 10.0 + START_UP)
        assert remaining.seconds(running) == pytest.approx(both), "one score is left"


def test_jobs_after_a_choice_are_expected() -> None:
    remaining = estimate(STATS)
    assert remaining.jobs == 18 + 1 + 2 * 2 + 2 * 2 + 2, "1 average, the moving average, 2 seeds, fuse and its score"
    remaining.finish("select_model", {}, 1.0)
    remaining.finish("select_seed", {}, 1.0)
    waiting = {rule for rule, count in remaining.planned.items() if count > remaining.done[rule]}
    assert not {"merge", "generate", "score", "infer", "score_seed"} & waiting, "all that were needed are there"
