"""No option is ignored without a word: under every pair of networks each either changes the training or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from shanshui.architectures.registry import DISCRIMINATORS, GENERATORS
from shanshui.config.model_section import PARTS, USES, Model
from shanshui.config.schema import Config
from shanshui.config.sections import Finetune, Pretrain
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.errors import UsageError

PAIRS = [(g, d) for g in GENERATORS for d in DISCRIMINATORS if d != "progressive" or g == "apf"]
SCORE = {"first": 200, "last": 220}  # in fine-tuning with 90 or 180 epochs before it
OF_NETWORKS = {  # values beside the defaults of all networks
    "base_channels": 32, "spectral_norm": "off", "halvings": 5, "spade_hidden": 32, "spade_kernel": 5,
    "upsampling": "more", "z_dim": 16, "style_encoder": {"base_channels": 8, "norm": "batch"}, "norm": "other",
    "activation": "gelu", "attention": "simam", "count": 3, "layers": 3,
}  # fmt: skip
OTHER = {  # values beside the default
    "model.edges": "label",
    **{f"{phase}.{option}": value for phase in ("pretrain", "finetune") for option, value in {
        "batch": 4, "accumulate": 5, "reuse_fakes": True, "lr_g": 1e-3, "lr_d": 1e-3,
        "beta1": 0.5, "beta2": 0.5, "lr_decay_epochs": 3,
        "precision": "bf16", "deterministic": True, "gan": "ls",
        "feature_matching": 3.0, "reconstruction": 3.0, "perceptual": {"net": "none"}, "kl": 0.3,
        "kl_reduction": "mean", "label_mix": 3.0,
    }.items()},
    "pretrain.epochs": 90, "pretrain.init_gain": 0.5,
    "finetune.augment": [], "finetune.seg_noise": False, "finetune.ema": 0.5,
}  # fmt: skip
# Options that concern no result, or a file name alone.
UNCOUNTED = {"snapshot_minutes", "log_every", "processes", "finetune.epochs"}
IN_ALL_SETTINGS = {"model.edges"}  # though not all networks look at it


def networks(generator: str, discriminator: str, styled: bool = False) -> dict[str, Any]:
    """A configuration of these networks."""
    encoder = {"z_dim": 8, "style_encoder": {"base_channels": 4}} if styled else {}
    model = {"generator": {"name": generator, **encoder}, "discriminator": {"name": discriminator}}
    return {"model": model, "score": SCORE}


def trained(config: Config) -> list[dict[str, Any]]:
    """All that training depends on."""
    return [stage_settings(config, phase) for phase in ("pretrain", "finetune")]


def test_every_option_of_networks_and_training_is_tried() -> None:
    sections = {"model": Model, "pretrain": Pretrain, "finetune": Finetune}
    every = {f"{name}.{option}" for name, section in sections.items() for option in section.model_fields}
    assert set(OTHER) == {name for name in every if not {name, name.partition(".")[2]} & ({*PARTS} | UNCOUNTED)}
    options = {option for kinds in PARTS.values() for kind in kinds.values() for option in kind.model_fields}
    assert set(OF_NETWORKS) == options - {"name"}


@pytest.mark.parametrize(
    ("part", "name", "option"),
    [(p, n, o) for p, kinds in PARTS.items() for n, kind in kinds.items() for o in kind.model_fields if o != "name"],
)
def test_every_option_of_a_network_changes_the_training(part: str, name: str, option: str) -> None:
    pair = {"generator": "apf", "discriminator": "multiscale", part: name}
    plain = networks(**pair, styled="style_encoder" in GENERATORS[pair["generator"]].model_fields)
    before = validate(plain)
    value = OF_NETWORKS[option]
    if option == "norm":
        value = {"batch": "instance", "instance": "batch"}[getattr(getattr(before.model, part), option)]
    elif name == "inception_spade" and option == "activation":
        value = {"relu": "leaky_relu", "leaky_relu": "relu"}[getattr(getattr(before.model, part), option)]
    changed = validate(merge(plain, {"model": {part: {option: value}}, "data": {"height": 384}}))
    assert all(one != other for one, other in zip(trained(changed), trained(before), strict=True))


@pytest.mark.parametrize("place", OTHER)
@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_option_changes_the_training_or_is_refused_by_name(generator: str, discriminator: str, place: str) -> None:
    section, _, option = place.partition(".")
    value, use = OTHER[place], USES.get(section, {}).get(option)
    plain = networks(generator, discriminator, "style_encoder" in GENERATORS[generator].model_fields)
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


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_common_spectral_norm_is_refused_where_all_networks_set_their_own(generator: str, discriminator: str) -> None:
    styled = "style_encoder" in GENERATORS[generator].model_fields
    plain, off = networks(generator, discriminator, styled), {"parity": {"spectral_norm": "off"}}
    model = plain["model"]
    sections = [model["discriminator"]]
    sections += [model["generator"]] if "spectral_norm" in GENERATORS[generator].model_fields else []
    sections += [model["generator"]["style_encoder"]] if styled else []
    for section in sections:
        before, changed = trained(validate(plain)), trained(validate(merge(plain, off)))
        assert all(one["model"] != other["model"] for one, other in zip(changed, before, strict=True)), "one is unset"
        section["spectral_norm"] = "on"
    with pytest.raises(
        UsageError, match=r"parity\.spectral_norm off has no effect with .*discriminator\.spectral_norm on"
    ):
        validate(merge(plain, off))
    validate(merge(plain, {"parity": {"preset": "winner"}}))  # it sets this option together with others
