"""Signs of a training gone wrong: seen in made-up curves, and not in those of sound trainings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shanshui.logs import StatsLog
from shanshui.stages.report import read_signs
from shanshui.training.samples import Samples, difference, variety
from shanshui.training.warning_signs import ALIKE, YOUNG, signs

STEPS = 50
Lines = list[dict[str, Any]]


def sound(epochs: int, steps: int = STEPS, seed: int = 0) -> Lines:
    """Curves as hinge-loss trainings show them: they swing, and stay where they are."""
    rng = np.random.default_rng(seed)
    lines = []
    for epoch in range(1, epochs + 1):
        swing = rng.uniform(-0.3, 0.3, 6)
        lines.append({
            "epoch": epoch, "step": epoch * steps, "phase": "finetune", "G/adv": 0.02 * epoch**0.5 + 3 * swing[0],
            "G/feat": 14.0 + swing[1], "G/rec": 3.0 + swing[2], "D/real": 0.7 + swing[3], "D/fake": 0.6 + swing[4],
            "img_per_s": 30.0, "seconds": 12.0, "variety": 0.6 + swing[5], "seed_variety": 0.01,
        })  # fmt: skip
    return lines


def kinds(lines: Lines) -> list[str]:
    return [sign.kind for sign in signs(lines)]


def last(**changed: float) -> Callable[[Lines], Lines]:
    """Change the last line."""
    return lambda lines: [*lines[:-1], lines[-1] | changed]


@pytest.mark.parametrize("seed", range(5))
def test_sound_curves_show_nothing_at_any_epoch(seed: int) -> None:
    lines = sound(60, seed=seed)
    assert [kinds(lines[:end]) for end in range(len(lines) + 1)] == [[]] * 61


def test_trainings_that_have_hardly_begun_show_nothing() -> None:
    """As the tiny run: two epochs of five steps, whose pictures are grey and alike; or losses that begin at zero."""
    young = [line | {"variety": 0.001, "seed_variety": 0.0} for line in sound(2, steps=5)]
    assert kinds(young[:1]) == kinds(young) == []
    tuned = [line | {"step": line["step"] + 9000, "seed_variety": 0.0} for line in sound(3)]
    assert kinds(tuned) == [], "noise by class begins at zero, however long the pretraining was"
    zero = [line | {"G/adv": 1e-5, "G/kl": 0.0} for line in sound(3)]
    assert kinds([*zero, zero[-1] | {"epoch": 4, "G/adv": 2.0, "G/kl": 40.0}]) == []


def test_losses_that_ran_away_in_the_first_epoch_are_told_too() -> None:
    """Nothing sound is left then to compare with."""
    lost = [line | {"G/feat": 3e6 + line["epoch"]} for line in sound(3)]
    for lines in (lost[:1], lost):
        (sign,) = signs(lines)
        assert (sign.kind, "G/feat 3e+06" in str(sign)) == ("runaway", True)
    assert kinds([line | {"G/feat": 9e5} for line in sound(3)]) == []


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (last(**{"G/feat": 14.1e3 + 4e3}), "runaway", "G/feat 1"),
        (last(**{"G/adv": -1100.0}), "runaway", "G/adv"),
        (last(**{"D/real": 0.001, "D/fake": 0.004, "G/adv": 7.0}), "discriminator", "its loss is 0.005"),
        (last(variety=0.03), "alike", "differ by 3 % of what their photographs do"),
        (last(seed_variety=0.0), "seeds", "other noise seeds give the same images after epoch 12"),
    ],
)
def test_sign_is_named_with_its_numbers_and_what_to_try(
    change: Callable[[Lines], Lines], kind: str, words: str
) -> None:
    (sign,) = signs(change(sound(12)))
    assert sign.kind == kind
    assert words in str(sign)
    assert "; to try: " in str(sign)


@pytest.mark.parametrize(
    "change",
    [
        last(**{"G/feat": 13e3}),
        last(**{"D/real": 0.001, "D/fake": 0.004, "G/adv": -7.0}),
        last(**{"D/real": 0.2, "D/fake": 0.1, "G/adv": 7.0}),
        last(**{"D/real": -500.0, "D/fake": 480.0, "G/adv": 7.0}),
        last(variety=ALIKE + 0.01),
        last(step=YOUNG - 1, variety=0.0, seed_variety=0.0),
        last(seed_variety=1e-3),
    ],
    ids=["large", "won, but G gains", "D does well", "Wasserstein", "different", "young", "seeds matter a little"],
)
def test_what_only_looks_like_it_is_none(change: Callable[[Lines], Lines]) -> None:
    assert kinds(change(sound(12))) == []


def test_trainings_without_discriminator_losses_or_samples_are_looked_at_all_the_same() -> None:
    bare = [{"epoch": line["epoch"], "step": line["step"], "G/rec": line["G/rec"]} for line in sound(12)]
    assert kinds(bare) == []
    assert kinds([*bare[:-1], bare[-1] | {"G/rec": 1e9}]) == ["runaway"]


# --- the numbers of pictures ----------------------------------------------------------------------------


def samples(label_maps: np.ndarray, photos: np.ndarray) -> Samples:
    return Samples([str(i) for i in range(len(photos))], label_maps, photos, np.zeros((3, 3), np.uint8))


def test_variety_is_the_share_of_the_photographs_own() -> None:
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
    shown = samples(rng.integers(0, 3, (3, 8, 8), np.uint8), photos)
    same = photos.transpose(0, 3, 1, 2) / 127.5 - 1
    assert variety(shown, same) == pytest.approx(1.0)
    assert variety(shown, same * 0.1) == pytest.approx(0.1)
    assert variety(shown, np.repeat(same[:1], 3, 0)) == 0
    assert variety(samples(np.zeros((3, 8, 8), np.uint8), photos), same) is None, "one label map, one picture"
    assert variety(samples(shown.label_maps[:1], photos[:1]), same[:1]) is None
    assert difference(same[:1], same[:1]) == 0


# --- where it is said -----------------------------------------------------------------------------------


def test_numbers_join_the_line_of_their_epoch(tmp_path: Path) -> None:
    log = StatsLog(tmp_path, 1)
    for epoch in (1, 2):
        log.write(epoch, epoch * 10, {"G/rec": 1.0})
        lines = log.amend({"variety": 0.5})
    log.close()
    assert [line["variety"] for line in lines] == [0.5, 0.5]
    assert [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()] == lines


def test_report_reads_each_training_by_itself(tmp_path: Path) -> None:
    """Or the losses of one resolution would be compared with those of another."""
    broken = last(**{"G/rec": 1e9})(sound(12))
    for folder, lines in (("pretrain/064x048", sound(12)), ("finetune", broken)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (said,) = read_signs(tmp_path)
    assert said.startswith("finetune: losses have run away since epoch 1: G/rec")
