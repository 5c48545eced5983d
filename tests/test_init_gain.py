"""`pretrain.init_gain`: how large the weights are that training starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.networks import init_discriminator, init_generator
from shanshui.backend.runtime import load_jittor
from shanshui.config.schema import Config
from shanshui.config.settings import stage_settings, validate
from shanshui.errors import ShanshuiError

SMALL = {"generator": {"name": "apf", "base_channels": 4, "halvings": 5, "spade_hidden": 8, "spectral_norm": "off"},
         "discriminator": {"name": "progressive", "count": 2, "base_channels": 4, "spectral_norm": "off"}}  # fmt: skip


def configured(**pretrain: Any) -> Config:
    return validate({"model": SMALL, "pretrain": {"epochs": 2, **pretrain}, "score": {"first": 130, "last": 132}})


def initial_weights(gain: float) -> list[np.ndarray]:
    """Weights of G, E and D in their order, drawn from the same random numbers whatever the gain."""
    load_jittor().set_global_seed(3)
    declared = configured().networks()
    generator = init_generator(declared.generator, gain=gain)
    networks = [*generator.networks().values(), init_discriminator(declared.discriminator, gain).D]
    return [v.numpy() for n in networks for name, v in n.state_dict().items() if name.endswith("weight")]


def test_weights_of_all_networks_are_proportional_to_it() -> None:
    small, large = initial_weights(0.02), initial_weights(1.0)
    assert len(small) > 40
    for one, other in zip(small, large, strict=True):
        np.testing.assert_allclose(50 * one, other, rtol=1e-5)


def test_settings_hold_it_only_where_it_differs_from_the_published_one() -> None:
    assert "init_gain" not in stage_settings(configured(), "pretrain")["pretrain"], "what was trained before stays"
    assert stage_settings(configured(init_gain=1), "pretrain")["pretrain"]["init_gain"] == 1.0
    assert "init_gain" not in stage_settings(configured(init_gain=1), "finetune")["finetune"]


def test_pretraining_starts_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from shanshui.config.training_settings import TrainingConfig
    from shanshui.training import session

    given: list[float] = []

    def stop(*args: object) -> None:
        given.append(float(args[-1]))  # type: ignore[arg-type]
        raise ShanshuiError("a stop", "none")

    monkeypatch.setattr(session, "read_samples", lambda *_, **__: None)
    monkeypatch.setattr(session, "init_generator", stop)
    for phase, gain in (("pretrain", 0.5), ("finetune", 0.02)):
        settings = stage_settings(configured(init_gain=0.5), phase)
        config = TrainingConfig.of(settings, phase)  # type: ignore[arg-type]
        with pytest.raises(ShanshuiError, match="a stop"):
            session.Session(config, type("Files", (), {"samples": None})())  # type: ignore[arg-type]
        assert given[-1] == gain


@pytest.mark.parametrize("wrong", [0, -1, "large"])
def test_only_positive_numbers_are_accepted(wrong: object) -> None:
    with pytest.raises(ShanshuiError, match=r"pretrain\.init_gain"):
        configured(init_gain=wrong)
