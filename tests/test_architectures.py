"""Declarations of architectures: what settings and headers hold of them, what is refused, what they claim to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from shanshui.architectures.base import Network
from shanshui.architectures.registry import DISCRIMINATORS, GENERATORS, discriminator_of, generator_of
from shanshui.config.model_section import Model
from shanshui.config.sections import Finetune, Parity, Pretrain
from shanshui.config.settings import stage_settings, validate
from shanshui.errors import ShanshuiError, UsageError

PAIRS = [(g, d) for g in GENERATORS for d in DISCRIMINATORS if GENERATORS[g].grows or not DISCRIMINATORS[d].grows]
STYLED = {name for name, kind in GENERATORS.items() if "style_encoder" in kind.model_fields}
KINDS: dict[str, Mapping[str, type[Network]]] = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}
FOREIGN = [
    (part, name, option)
    for part, kinds in KINDS.items()
    for name, kind in kinds.items()
    for option in sorted({option for other in kinds.values() for option in other.model_fields} - set(kind.model_fields))
]


def settings(generator: str, discriminator: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Configured networks, and the settings of a training that has them; `options` are the discriminator's."""
    styled = {"z_dim": 8, "style_encoder": {"base_channels": 4}} if generator in STYLED else {}
    model = {"generator": {"name": generator, **styled}, "discriminator": {"name": discriminator, **options}}
    config = validate({"model": model})
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
    small = networks.minimal()
    read = {**stage_settings(validate({}), "finetune"), **small}
    G, D = generator_of(read), discriminator_of(read)
    assert (G.name, D.name, G.takes_style) == (generator, discriminator, networks.generator.takes_style)
    assert D.output_sizes == networks.discriminator.output_sizes
    assert (G.base_channels, D.base_channels) == (4, 2**D.output_sizes if D.grows else 4)
    for step, _reason in (G.divisor(), D.divisor()):
        assert small["data"]["width"] % step == small["data"]["height"] % step == 0
    seen = getattr(D, "channels", getattr(D, "num_classes", 0))
    assert seen == len(small["data"]["classes"])


def test_what_they_claim_to_know_are_options() -> None:
    kinds = [*GENERATORS.values(), *DISCRIMINATORS.values()]
    assert {option for kind in GENERATORS.values() for option in kind.inputs} <= set(Model.model_fields)
    assert {option for kind in kinds for option in kind.parity_options} <= set(Parity.model_fields)
    trained = {option for kind in GENERATORS.values() for option in kind.training_options}
    assert trained <= set(Finetune.model_fields)
    assert {option for kind in DISCRIMINATORS.values() for option in kind.loss_options} <= set(Pretrain.model_fields)


def test_every_option_of_every_network_says_what_it_is() -> None:
    every = {
        f"{part} {name}: {option}": field.description
        for part, kinds in KINDS.items()
        for name, kind in kinds.items()
        for option, field in kind.model_fields.items()
        if option != "name"
    }
    assert [place for place, meaning in every.items() if not meaning] == []


@pytest.mark.parametrize(("part", "name", "option"), FOREIGN)
def test_option_of_another_network_is_refused_by_name(part: str, name: str, option: str) -> None:
    """Whatever its value: its network's own default, where it has one of its own."""
    owners = [other for other, kind in KINDS[part].items() if option in kind.model_fields]
    value = KINDS[part][owners[0]].model_fields[option].default
    partner = {"discriminator": "multiscale"} if part == "generator" else {}
    with pytest.raises(UsageError) as refused:
        validate({"model": {**partner, part: {"name": name, option: value}}})
    own = [field for field in KINDS[part][name].model_fields if field != "name"]
    said = f"model.{part}.{option}: {part} {name} has no option {option}; it is an option of {', '.join(owners)}"
    assert f"{said}. It has {', '.join(own)}" in str(refused.value)


def test_every_generator_is_tried_with_every_option_of_the_others() -> None:
    tried = [(name, option) for part, name, option in FOREIGN if part == "generator"]
    assert {name for name, _ in tried} == set(GENERATORS)
    for name, kind in GENERATORS.items():
        for other in GENERATORS.values():
            assert {(name, option) for option in other.model_fields if option not in kind.model_fields} <= set(tried)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_name_alone_stands_for_the_defaults(name: str) -> None:
    short, long = (validate({"model": {"discriminator": part}}) for part in (name, {"name": name}))
    assert short.model.discriminator == long.model.discriminator == DISCRIMINATORS[name]()


@pytest.mark.parametrize(("generator", "discriminator", "option", "value", "users"), [
    ("oasis", "oasis", "model.edges", "label", "spade, clade, clade_icpe, ccfpse, inception_spade, pix2pixhd"),
    ("spade", "oasis", "pretrain.gan", "ls", "discriminator progressive, multiscale, fpse"),
    ("oasis", "oasis", "finetune.feature_matching", 3.0, "discriminator progressive, multiscale, fpse"),
    ("spade", "multiscale", "finetune.label_mix", 3.0, "discriminator oasis"),
    ("spade", "multiscale", "finetune.seg_noise", True, "apf"),
    ("apf", "fpse", "parity.full_order", "reversed", "discriminator progressive"),
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
    ("halvingz", 5, r"weights\.st: model\.generator\.halvingz: Extra inputs"),
    ("norm", "layer", r"weights\.st: model\.generator\.norm: Input should be 'batch' or 'instance'"),
    ("spade_hidden", "many", r"weights\.st: model\.generator\.spade_hidden: Input should be a valid integer"),
    ("name", "stylegan", r"weights\.st describes a generator of the name stylegan"),
])  # fmt: skip
def test_header_that_describes_no_generator_is_refused_by_name(entry: str, value: object, said: str) -> None:
    _, meta = settings("spade", "multiscale")
    meta["model"]["generator"][entry] = value
    with pytest.raises(ShanshuiError, match=said):
        generator_of(meta, "weights.st")


def test_growing_discriminator_has_as_many_sizes_as_discriminators() -> None:
    assert settings("apf", "progressive", count=3)[0].discriminator.output_sizes == 3
    assert settings("apf", "fpse", count=3)[0].discriminator.output_sizes == 3
    assert settings("apf", "multiscale", count=3)[0].discriminator.output_sizes == 1
