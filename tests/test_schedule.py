"""The progressive schedule against the table of the recipe it comes from."""

from __future__ import annotations

import pytest

from shanshui.architectures.schedule import Schedule, Stage, Step, schedule
from shanshui.errors import ShanshuiError

WINNER = Schedule(epochs=180, discriminators=4)


@pytest.mark.parametrize(
    ("epoch", "level", "alpha", "scale"),
    [
        (1, 0, 0, 8), (29, 0, 0, 8), (30, 0, 0, 8),
        (31, 0, 1 / 30, 4), (45, 0, 0.5, 4), (59, 0, 29 / 30, 4),
        (60, 1, 0, 4), (61, 1, 0, 4), (90, 1, 0, 4),
        (91, 1, 1 / 30, 2), (119, 1, 29 / 30, 2),
        (120, 2, 0, 2), (150, 2, 0, 2),
        (151, 2, 1 / 30, 1), (179, 2, 29 / 30, 1),
    ],
)  # fmt: skip
def test_growing(epoch: int, level: int, alpha: float, scale: int) -> None:
    step = WINNER.at(epoch)
    assert step == Step(level, pytest.approx(alpha), fading=alpha > 0, full=False)
    assert WINNER.scale(epoch) == scale


@pytest.mark.parametrize("epoch", [180, 181, 310])
def test_full(epoch: int) -> None:
    assert WINNER.at(epoch) == Step(level=None, alpha=0.0, fading=False, full=True)
    assert WINNER.scale(epoch) == 1


def test_a_new_size_takes_over_weights_once() -> None:
    assert [epoch for epoch in range(1, 311) if WINNER.starts_fade(epoch)] == [31, 91, 151]


def test_stages() -> None:
    assert WINNER.stages() == [Stage(8, 1, 30), Stage(4, 31, 90), Stage(2, 91, 150), Stage(1, 151, 180)]
    assert Schedule(3, 2).stages() == [Stage(2, 1, 1), Stage(1, 2, 3)]
    assert Schedule(6, 4).stages() == [Stage(8, 1, 1), Stage(4, 2, 3), Stage(2, 4, 5), Stage(1, 6, 6)]


@pytest.mark.parametrize(("epochs", "discriminators"), [(180, 4), (9, 4), (6, 4), (6, 3), (2, 2), (44, 5)])
def test_stages_cover_every_epoch_and_double(epochs: int, discriminators: int) -> None:
    stages = Schedule(epochs, discriminators).stages()
    assert [stage.divisor for stage in stages] == [2**i for i in range(discriminators - 1, -1, -1)]
    covered = [epoch for _, first, last in stages for epoch in range(first, last + 1)]
    assert covered == list(range(1, epochs + 1))


@pytest.mark.parametrize(
    ("epochs", "discriminators", "words"),
    [(100, 4, "multiple of 3.*\n.*99 epochs"), (3, 4, "at least 6"), (0, 4, "at least 6"), (10, 1, "at least 2")],
)
def test_refusals(epochs: int, discriminators: int, words: str) -> None:
    with pytest.raises(ShanshuiError, match=words):
        Schedule(epochs, discriminators)


def test_epochs_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        WINNER.at(0)


def test_networks_that_do_not_grow_have_one_stage_at_full_size() -> None:
    flat = schedule(7, 1)
    assert flat.stages() == [Stage(1, 1, 7)]
    for epoch in (1, 7, 9):
        assert flat.at(epoch) == WINNER.at(180)
        assert not flat.starts_fade(epoch)
    assert schedule(180, 4) == WINNER
