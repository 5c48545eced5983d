"""Randomness, rates and the stop at divergence; a step that learns and one that grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.training.loop import Losses, check_finite, epoch_seed, rate_factor
from shanshui.training.session import first_seed


def test_an_epoch_has_its_own_randomness_in_every_process() -> None:
    def first(*parts: object) -> int:
        return int(epoch_seed(*parts).generate_state(1)[0])  # type: ignore[arg-type]

    assert first(1, "pretrain", 3) == first(1, "pretrain", 3)
    assert (
        len({first(1, "pretrain", 3), first(2, "pretrain", 3), first(1, "finetune", 3), first(1, "pretrain", 4)}) == 4
    )


def test_phases_begin_with_numbers_of_their_own() -> None:
    """Both names have eight letters, which once were the seed."""
    assert first_seed(1, "pretrain") != first_seed(1, "finetune")
    assert first_seed(1, "pretrain") == int(np.random.SeedSequence([1, 0, 8]).generate_state(1)[0]), "as it always was"


def test_rates_fall_linearly_over_the_last_epochs() -> None:
    assert [rate_factor(epoch, 10, 4) for epoch in (6, 7, 8, 9, 10)] == [1.0, 1.0, 0.75, 0.5, 0.25]
    assert rate_factor(10, 10, 0) == 1.0


def test_divergence_names_term_and_epoch() -> None:
    check_finite({"G/adv": 0.0}, "finetune", 4)
    with pytest.raises(ShanshuiError, match="G/feat is not a number in epoch 4 of finetune"):
        check_finite({"G/adv": 0.0, "G/feat": float("nan")}, "finetune", 4)


def _terms(**values: float) -> dict[str, Any]:
    from shanshui.backend.runtime import load_jittor

    return {name: load_jittor().array(np.float32([value])) for name, value in values.items()}


def test_means_do_not_depend_on_when_losses_are_read() -> None:
    values = np.random.default_rng(0).uniform(0, 3, (7, 2)).astype(np.float32)

    def means(every: int) -> dict[str, float]:
        losses = Losses("pretrain", 1)
        for adv, rec in values:
            losses.add(_terms(adv=adv, rec=rec))
            if losses.waiting >= every:
                assert losses.read() == {"adv": adv, "rec": rec}
                assert losses.waiting == 0
        return losses.means()

    assert (
        means(1)
        == means(3)
        == means(99)
        == {"adv": sum(map(float, values[:, 0])) / 7, "rec": sum(map(float, values[:, 1])) / 7}
    )


def test_divergence_between_two_looks_is_seen_at_the_next() -> None:
    losses = Losses("finetune", 4)
    losses.add(_terms(adv=float("inf")))
    losses.add(_terms(adv=1.0))
    with pytest.raises(ShanshuiError, match="adv is not a number in epoch 4 of finetune"):
        losses.means()


@pytest.fixture(scope="module")
def trained() -> tuple[list[float], list[float]]:
    """Reconstruction loss of a tiny network at the start and after some steps on one batch, and D's loss."""
    from shanshui.architectures.base import LossConfig
    from shanshui.architectures.generator_networks import Conditioning
    from shanshui.architectures.networks import build_discriminator, build_generator
    from shanshui.architectures.schedule import Schedule
    from shanshui.backend.runtime import load_jittor, seed_everything
    from shanshui.nn.condition import one_hot_maps
    from shanshui.training.optim import adam
    from shanshui.training.precompilation_steps import SETTINGS
    from shanshui.training.step import Networks, StepConfig, train_step

    jt = load_jittor()
    seed_everything(3)
    generator, discriminator = build_generator(SETTINGS, heads=2), build_discriminator(SETTINGS)
    opt_g, opt_d = adam(generator.networks().values(), 2e-3, (0.0, 0.9)), adam([discriminator.D], 1e-4, (0.0, 0.9))
    nets = Networks(generator, discriminator, opt_g, opt_d)
    step_config = StepConfig(LossConfig({"feat": 0.0, "rec": 10.0, "perceptual": 0.0}, None))
    label_map = np.zeros((2, 64, 128), np.uint8)
    label_map[:, 32:] = 1
    real = np.where(label_map[:, None] == 1, 0.8, -0.8).repeat(3, 1).astype(np.float32)
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(25):
        terms = train_step(
            nets, step_config, Schedule(6, 3).at(6), jt.array(real), Conditioning(one_hot_maps(label_map, 3)), rng
        )
        losses.append({name: float(term.item()) for name, term in terms.items()})
    return [terms["G/rec"] for terms in losses], [terms["D/real"] + terms["D/fake"] for terms in losses]


def test_steps_learn_a_picture_of_two_classes(trained: tuple[list[float], list[float]]) -> None:
    reconstruction, _ = trained
    assert reconstruction[0] > 7
    assert reconstruction[-1] < 0.5 * reconstruction[0]


def test_discriminators_start_at_the_hinge_of_two(trained: tuple[list[float], list[float]]) -> None:
    assert abs(trained[1][0] - 2) < 0.3


def test_one_discriminator_learns_through_all_resolutions() -> None:
    from shanshui.architectures.base import LossConfig
    from shanshui.architectures.networks import build_generator, init_discriminator
    from shanshui.architectures.registry import discriminator_of
    from shanshui.architectures.schedule import Schedule
    from shanshui.backend.modules import gather
    from shanshui.backend.runtime import load_jittor, seed_everything
    from shanshui.training.optim import adam
    from shanshui.training.precompilation_steps import SETTINGS
    from shanshui.training.step import Networks, StepConfig, train_step

    jt = load_jittor()
    seed_everything(3)
    discriminator = {"name": "fpse", "base_channels": 4, "count": 3}
    settings = {**SETTINGS, "model": {**SETTINGS["model"], "discriminator": discriminator}}
    generator, D = build_generator(settings, heads=2), init_discriminator(discriminator_of(settings), gain=1.0)
    nets = Networks(generator, D, adam(generator.networks().values(), 1e-3), adam([D.D], 4e-3))
    label_map = np.zeros((2, 64, 128), np.uint8)
    label_map[:, 32:] = 1
    real = np.where(label_map[:, None] == 1, 0.8, -0.8).repeat(3, 1).astype(np.float32)
    plan, seen, rng = Schedule(6, 3), {}, np.random.default_rng(0)
    for epoch in range(1, 7):
        step = plan.at(epoch)
        if plan.starts_fade(epoch):
            before = gather(D.D)
            D.grow(step.level or 0)
            assert all(np.array_equal(a, before[name]) for name, a in gather(D.D).items()), (
                "it is the same for all sizes"
            )
        for _ in range(8):
            config = StepConfig(LossConfig({"feat": 1.0, "rec": 0.0}, None))
            terms = train_step(nets, config, step, jt.array(real), generator.condition(label_map, []), rng)
            assert all(np.isfinite(float(term.item())) for term in terms.values())
        seen[epoch] = float((terms["D/real"] + terms["D/fake"]).item())
    assert min(seen.values()) < 1.7, "hinge losses begin at 2"
