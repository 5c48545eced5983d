"""No option is ignored without a word: under every pair of networks each either changes the training or is refused."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from shanshui.config.model_section import USES, Model
from shanshui.config.schema import Config
from shanshui.config.sections import Finetune, Pretrain
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.errors import UsageError

GENERATORS = typing.get_args(Model.model_fields["generator"].annotation)
DISCRIMINATORS = typing.get_args(Model.model_fields["discriminator"].annotation)
PAIRS = [(g, d) for g in GENERATORS for d in DISCRIMINATORS if d != "bank" or g == "apf"]
SCORE = {"first": 200, "last": 220}  # in fine-tuning with 90 or 180 epochs before it
CHOOSING = {"generator", "discriminator"}
OTHER = {  # values beside the default, and what else they need
    "model.base_channels": 32, "model.halvings": 5, "model.spade_hidden": 32, "model.upsampling": "more",
    "model.z_dim": 16, "model.style_encoder": 8, "model.style_norm": "batch", "model.edges": "label",
    "model.norm": "instance", "model.activation": "gelu", "model.attention": "simam", "model.discriminators": 3,
    "model.discriminator_channels": 32,
    **{f"{phase}.{option}": value for phase in ("pretrain", "finetune") for option, value in {
        "batch": 4, "lr_g": 1e-3, "lr_d": 1e-3, "beta1": 0.5, "beta2": 0.5, "lr_decay_epochs": 3, "gan": "ls",
        "feature_matching": 3.0, "reconstruction": 3.0, "perceptual": {"net": "none"}, "kl": 0.3,
        "kl_reduction": "mean", "label_mix": 3.0,
    }.items()},
    "pretrain.epochs": 90,
    "finetune.augment": [], "finetune.seg_noise": False, "finetune.ema": 0.5,
}  # fmt: skip
# Options that concern no result, or a file name alone.
UNCOUNTED = {"snapshot_minutes", "log_every", "processes", "finetune.epochs"}
IN_ALL_SETTINGS = {"model.z_dim", "model.edges", "model.style_encoder"}  # though not all networks look at them


def networks(generator: str, discriminator: str, styled: bool = False) -> dict[str, Any]:
    """A configuration of these networks."""
    encoder = {"z_dim": 8, "style_encoder": 4} if styled else {}
    return {"model": {"generator": generator, "discriminator": discriminator, **encoder}, "score": SCORE}


def trained(config: Config) -> list[dict[str, Any]]:
    """All that training depends on."""
    return [stage_settings(config, phase) for phase in ("pretrain", "finetune")]


def test_every_option_of_networks_and_training_is_tried() -> None:
    sections = {"model": Model, "pretrain": Pretrain, "finetune": Finetune}
    every = {f"{name}.{option}" for name, section in sections.items() for option in section.model_fields}
    assert set(OTHER) == {name for name in every if not {name, name.partition(".")[2]} & (CHOOSING | UNCOUNTED)}


@pytest.mark.parametrize("place", OTHER)
@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_option_changes_the_training_or_is_refused_by_name(generator: str, discriminator: str, place: str) -> None:
    section, _, option = place.partition(".")
    value, use = OTHER[place], USES.get(section, {}).get(option)
    styled = generator in ("spade", "clade", "clade_icpe", "ccfpse") and place != "model.style_encoder"
    plain = networks(generator, discriminator, styled)
    if place == "model.style_encoder" and generator not in ("apf", "pix2pixhd"):
        plain["model"]["z_dim"] = 8
    before = validate(plain)
    changed = merge(plain, {section: {option: value}})
    forced = before.model_copy(update={section: getattr(before, section).model_copy(update={option: value})})
    if use and use.lacking(before.model) and value not in use.neutral:
        assert trained(forced) == trained(before) or place in IN_ALL_SETTINGS, "refused, and it does something"
        with pytest.raises(UsageError, match=rf"{place} {value} has no effect with"):
            validate(changed)
    else:
        does = trained(validate(changed)) != trained(before)
        assert does or (use and value in use.neutral), "accepted, and it does nothing"
