"""Declarations of architectures: what settings and headers hold of them, what is refused, what they claim to know."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shanshui.architectures.registry import DISCRIMINATORS, GENERATORS, discriminator_of, generator_of
from shanshui.config.model_section import Model
from shanshui.config.sections import Finetune, Parity, Pretrain
from shanshui.config.settings import stage_settings, validate
from shanshui.errors import ShanshuiError, UsageError

PAIRS = [(g, d) for g in GENERATORS for d in DISCRIMINATORS if GENERATORS[g].grows or not DISCRIMINATORS[d].grows]
STYLED = {name for name, kind in GENERATORS.items() if "style_encoder" in kind.options}


def settings(generator: str, discriminator: str, **model: Any) -> tuple[Any, dict[str, Any]]:
    """Configured networks, and the settings of a training that has them."""
    styled = {"z_dim": 8, "style_encoder": 4} if generator in STYLED else {}
    config = validate({"model": {"generator": generator, "discriminator": discriminator, **styled, **model}})
    return config.networks(), stage_settings(config, "finetune")


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_settings_tell_the_networks(generator: str, discriminator: str) -> None:
    networks, read = settings(generator, discriminator)
    assert (networks.generator.name, networks.discriminator.name) == (generator, discriminator)
    found = generator_of(read), discriminator_of(read)
    assert (type(found[0]), type(found[1])) == (type(networks.generator), type(networks.discriminator))
    assert found == (networks.generator, networks.discriminator)


@pytest.mark.parametrize(("generator", "discriminator"), PAIRS)
def test_small_networks_are_of_the_same_kind_and_fit_each_other(generator: str, discriminator: str) -> None:
    networks, _ = settings(generator, discriminator)
    small = networks.extra_kernels()
    if networks.discriminator.grows:
        assert small is None
        return
    assert small is not None
    read = {**stage_settings(validate({}), "finetune"), **small}
    G, D = generator_of(read), discriminator_of(read)
    assert (G.name, D.name, G.takes_style) == (generator, discriminator, networks.generator.takes_style)
    assert max(G.base_channels, D.base_channels) == 4
    for step, _reason in (G.divisor(), D.divisor()):
        assert small["data"]["width"] % step == small["data"]["height"] % step == 0
    seen = getattr(D, "channels", getattr(D, "num_classes", 0))
    assert seen == len(small["data"]["classes"])


def test_what_they_claim_to_know_are_options() -> None:
    kinds = [*GENERATORS.values(), *DISCRIMINATORS.values()]
    assert {option for kind in kinds for option in kind.options} <= set(Model.model_fields)
    assert {option for kind in kinds for option in kind.parity_options} <= set(Parity.model_fields)
    trained = {option for kind in GENERATORS.values() for option in kind.training_options}
    assert trained <= set(Finetune.model_fields)
    assert {option for kind in DISCRIMINATORS.values() for option in kind.loss_options} <= set(Pretrain.model_fields)


@pytest.mark.parametrize(("generator", "discriminator", "option", "value", "users"), [
    ("clade", "multiscale", "model.spade_hidden", 32, "apf, spade, oasis"),
    ("spade", "multiscale", "model.halvings", 5, "apf"),
    ("ccfpse", "fpse", "model.norm", "instance", "spade, clade, clade_icpe, pix2pixhd"),
    ("pix2pixhd", "multiscale", "model.upsampling", "more", "spade, clade, clade_icpe, ccfpse"),
    ("oasis", "oasis", "model.edges", "label", "spade, clade, clade_icpe, ccfpse, pix2pixhd"),
    ("spade", "oasis", "pretrain.gan", "ls", "discriminator bank, multiscale, fpse"),
    ("oasis", "oasis", "finetune.feature_matching", 3.0, "discriminator bank, multiscale, fpse"),
    ("spade", "multiscale", "finetune.label_mix", 3.0, "discriminator oasis"),
    ("spade", "multiscale", "finetune.seg_noise", True, "apf"),
    ("apf", "fpse", "parity.full_order", "reversed", "discriminator bank"),
])  # fmt: skip
def test_option_of_other_networks_is_refused_with_their_names(
    generator: str, discriminator: str, option: str, value: object, users: str
) -> None:
    section, _, name = option.partition(".")
    raw: dict[str, Any] = {"model": {"generator": generator, "discriminator": discriminator}}
    raw[section] = raw.get(section, {}) | {name: value}
    said = f"{option} {value} has no effect with generator {generator} and discriminator {discriminator}: it is for "
    with pytest.raises(UsageError, match=re.escape(f"{said}{users}. Leave out")):
        validate(raw)


@pytest.mark.parametrize(("entry", "value", "said"), [
    ("halvingz", 5, r"weights\.st: model\.halvingz: Extra inputs"),
    ("norm", "layer", r"weights\.st: model\.norm: Input should be 'batch' or 'instance'"),
    ("hidden", "many", r"weights\.st: model\.hidden: Input should be a valid integer"),
    ("kind", "stylegan", r"weights\.st describes a model of kind stylegan"),
])  # fmt: skip
def test_header_that_describes_no_generator_is_refused_by_name(entry: str, value: object, said: str) -> None:
    _, meta = settings("spade", "multiscale")
    meta["model"][entry] = value
    with pytest.raises(ShanshuiError, match=said):
        generator_of(meta, "weights.st")


def test_growing_discriminator_has_as_many_sizes_as_discriminators() -> None:
    assert settings("apf", "bank", discriminators=3)[0].discriminator.output_sizes == 3
    assert settings("apf", "multiscale", discriminators=3)[0].discriminator.output_sizes == 1
