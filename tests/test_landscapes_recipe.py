"""The recipes for real landscapes: sizes, what they show, and what of the winner's differs from ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from shanshui.architectures.schedule import schedule
from shanshui.config.schema import Config
from shanshui.config.settings import load_config, needed_weights, stage_settings
from shanshui.config.stages import with_settings

COPIED = ("batch", "lr_g", "lr_d", "beta1", "beta2", "gan", "feature_matching", "reconstruction")


def loaded(root: Path, *names: str) -> Config:
    """Load config.yaml and recipes over it."""
    return load_config([root / "config.yaml", *(root / "config" / f"{name}.yaml" for name in names)])


@pytest.mark.parametrize(("over", "side"), [([], 128), (["256"], 256), (["short"], 128), (["short", "winner"], 128)])
def test_images_are_generated_and_scored_by_networks_that_can_be_fetched(
    root: Path, over: list[str], side: int
) -> None:
    config = loaded(root, "landscapes", *(f"landscapes-{name}" for name in over))
    assert config.data.size == (side, side)
    assert config.data.train_images == "data/landscapes/train/imgs"
    assert not config.fuse.enabled  # an image must never be one of the photographs
    assert config.segmenter.weights == "builtin"
    assert (config.score.rank_by, "mask_accuracy" in config.score.metrics) == ("fd_efficientnet", True)
    assert {config.pretrain.perceptual.net, config.finetune.perceptual.net} <= {"lpips_alex", "none"}


def test_comments_of_the_schedules_are_right(root: Path) -> None:
    half, full = schedule(loaded(root, "landscapes").pretrain.epochs, 2).stages()
    assert (half.divisor, half.last_epoch, full.last_epoch) == (2, 2, 4)
    stages = schedule(loaded(root, "landscapes", "landscapes-256").pretrain.epochs, 3).stages()
    assert [(s.divisor, s.last_epoch) for s in stages] == [(4, 10), (2, 30), (1, 40)]
    short = schedule(loaded(root, "landscapes", "landscapes-short").pretrain.epochs, 2).stages()
    assert [(s.divisor, s.last_epoch) for s in short] == [(2, 1), (1, 2)]


def test_winner_trains_as_the_leaderboard_recipe_on_the_same_generator_and_pairs(root: Path) -> None:
    ours = loaded(root, "landscapes", "landscapes-short")
    winner = loaded(root, "landscapes", "landscapes-short", "landscapes-winner")
    leaderboard = load_config([root / "config.yaml"])
    assert (winner.model.generator, winner.data, winner.segmenter) == (ours.model.generator, ours.data, ours.segmenter)
    assert winner.model.discriminator.name == leaderboard.model.discriminator.name == "progressive"
    assert (winner.model.sizes, winner.model.discriminator.base_channels) == (
        ours.model.sizes,
        ours.model.discriminator.base_channels,
    )
    for phase in ("pretrain", "finetune"):
        here, there = getattr(winner, phase), getattr(leaderboard, phase)
        assert {name: getattr(here, name) for name in COPIED} == {name: getattr(there, name) for name in COPIED}
    assert winner.finetune.augment == leaderboard.finetune.augment
    assert winner.finetune.ema == leaderboard.finetune.ema
    switches = winner.parity.resolved()
    assert (switches["spectral_norm"], switches["crop"], switches["full_order"]) == ("off", "top", "reversed")


def test_students_are_an_addition_that_trains_nothing_else_again(root: Path) -> None:
    plain, over = loaded(root, "landscapes"), loaded(root, "landscapes", "landscapes-compress")
    assert (over.compress.shares, over.compress.control, over.compress.photographs) == ([0.25, 0.15], True, False)
    assert needed_weights(over) == needed_weights(plain)
    unlike = {stage for stage in with_settings() if stage_settings(over, stage) != stage_settings(plain, stage)}
    assert unlike == {"compress", "report"}
