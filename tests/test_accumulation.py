"""A batch in parts has the gradients of the whole batch, whatever the networks, but for what looks at a whole batch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from small_models import fitting

from shanshui.architectures.base import LossConfig
from shanshui.architectures.generator_networks import FULL, Conditioning
from shanshui.architectures.networks import build_discriminator, build_generator
from shanshui.backend.modules import gather, gather_optimizer, restore
from shanshui.backend.runtime import load_jittor, seed_everything
from shanshui.config.settings import merge, stage_settings, validate
from shanshui.data.loader import TrainingPairs, batches
from shanshui.errors import UsageError
from shanshui.nn.condition import one_hot_maps
from shanshui.storage.size import Size
from shanshui.training import step
from shanshui.training.accumulation import BatchDraws
from shanshui.training.augment import OPERATIONS
from shanshui.training.fakes import StyleLoss, random_noise, sample_fakes
from shanshui.training.optim import adam
from shanshui.training.step import Networks, StepConfig, accumulated_step

jt = load_jittor()
BATCH, HEIGHT, WIDTH = 4, 64, 64
SMALL = {"generator": {"base_channels": 4, "spade_hidden": 8}, "discriminator": {"base_channels": 8, "count": 2}}
MODELS: dict[str, dict[str, Any]] = {  # without batch norm
    "spade with styles": {
        "generator": {"name": "spade", "norm": "instance", "z_dim": 8, "style_encoder": {"base_channels": 2}},
        "discriminator": {"name": "multiscale"},
    },
    "pix2pixhd": {"generator": {"name": "pix2pixhd"}, "discriminator": {"name": "multiscale"}},
    "fpse": {
        "generator": {"name": "spade", "norm": "instance", "z_dim": 8},
        "discriminator": {"name": "fpse", "base_channels": 4},
    },
    "classes": {"generator": {"name": "spade", "norm": "instance"}, "discriminator": {"name": "oasis"}},
}


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """Photographs and label maps of a batch; every label map has as many pixels of each class, which OASIS weighs."""
    rng = np.random.default_rng(5)
    label_maps = np.stack([rng.permutation(np.arange(64) % 3).reshape(8, 8).repeat(8, 0).repeat(8, 1)] * BATCH)
    label_maps = np.stack([np.roll(one, 8 * i, i % 2) for i, one in enumerate(label_maps)]).astype(np.uint8)
    return rng.uniform(-1, 1, (BATCH, 3, HEIGHT, WIDTH)).astype(np.float32), label_maps


def settings(model: str) -> dict[str, Any]:
    data = {"width": WIDTH, "height": HEIGHT, "load_width": WIDTH, "classes": ["a", "b", "c"]}
    parity = {"preset": "intended"}
    return stage_settings(
        validate(fitting({"data": data, "parity": parity, "model": merge(SMALL, MODELS[model])})), "pretrain"
    )


Step = tuple[dict[str, float], dict[str, np.ndarray], dict[str, dict[str, np.ndarray]], int]


@functools.cache
def step_in_parts(model: str, parts: int, reuse_fakes: bool = False, gan: str = "hinge") -> Step:
    """Losses, gradients by optimiser, weights after the step, and the number of Adam's steps."""
    seed_everything(1)
    generator, discriminator = build_generator(settings(model)), build_discriminator(settings(model))
    opt_g, opt_d = adam(generator.networks().values(), 0.0), adam([discriminator.D], 0.0)
    nets = Networks(generator, discriminator, opt_g, opt_d)
    rng = np.random.default_rng(9)
    for network in nets.parts().values():  # features of a size at which losses are sensitive to what goes in
        weights = {
            name: rng.normal(0, 0.3, array.shape).astype(np.float32) if array.ndim == 4 else array
            for name, array in gather(network).items()
        }
        restore(network, weights, "drawn")
    loss_config = LossConfig({"feat": 10.0, "rec": 10.0}, None, gan, label_mix=10.0)
    operations = () if model == "classes" or gan == "w" else OPERATIONS  # which change the classes' shares
    step_config = StepConfig(loss_config, operations, StyleLoss(0.5, "sum"), reuse_fakes=reuse_fakes)
    real, label_maps = inputs()
    rows = [slice(i * BATCH // parts, (i + 1) * BATCH // parts) for i in range(parts)]
    given = [(jt.array(real[part]), Conditioning(one_hot_maps(label_maps[part], 3))) for part in rows]
    seed_everything(2)
    terms = accumulated_step(nets, step_config, FULL, given, np.random.default_rng(3))
    moments = {name: gather_optimizer(optimizer) for name, optimizer in (("G", opt_g), ("D", opt_d))}
    gradients = {  # Adam's first moments where beta1 is 0
        f"{name}.{key}": array
        for name, arrays in moments.items()
        for key, array in arrays.items()
        if key.startswith("m.")
    }
    state = {name: gather(network) for name, network in nets.parts().items()}
    return {name: float(term.item()) for name, term in terms.items()}, gradients, state, opt_g.n_step


FIRST, *OTHERS = MODELS  # one in every run of the tests; the kernels of the others take minutes to compile
CASES = [
    pytest.param(FIRST, 2),
    *(pytest.param(model, 2, marks=pytest.mark.drill) for model in OTHERS),
    pytest.param(FIRST, 4, marks=pytest.mark.drill),
]


@pytest.mark.parametrize("parts", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_discriminators_see_the_fakes_of_the_generators_update_on_request(parts: int) -> None:
    """The Wasserstein loss is the mean score of the fakes: of G with the opposite sign."""
    losses, *_ = step_in_parts(FIRST, parts, reuse_fakes=True, gan="w")
    assert losses["D/fake"] == pytest.approx(-losses["G/adv"], rel=1e-5)
    losses, *_ = step_in_parts(FIRST, parts, gan="w")  # whose styles are drawn again
    assert losses["D/fake"] != pytest.approx(-losses["G/adv"], rel=1e-3)


@pytest.mark.parametrize(("model", "parts"), CASES)
def test_parts_have_the_gradients_of_the_whole_batch(model: str, parts: int) -> None:
    losses, gradients, state, steps = step_in_parts(model, 1)
    again = step_in_parts(model, parts)
    assert again[0] == pytest.approx(losses, rel=1e-5, abs=1e-6)
    assert again[3] == steps
    whole = {name: max(np.abs(gradients[key]).max() for key in gradients if key[0] == name) for name in "GD"}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(again[1][name], gradient, atol=1e-5 * whole[name[0]], rtol=0, err_msg=name)
    for network, arrays in state.items():  # vectors of spectral norm
        for name, array in arrays.items():
            np.testing.assert_allclose(again[2][network][name], array, atol=1e-5, err_msg=f"{network}.{name}")


def test_noise_is_that_of_the_whole_batch() -> None:
    shapes = [(0, 4, 8), (1, 8, 16)]
    seed_everything(4)
    whole = [random_noise(layer, 6, height, width).numpy() for layer, height, width in shapes]
    seed_everything(4)
    draws, found = BatchDraws(3, np.random.default_rng(0)), []
    assert draws.noise_source.layer
    for part in range(3):
        draws.begin(part)
        found.append([draws.noise_source.layer(layer, 2, height, width).numpy() for layer, height, width in shapes])
    for number, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[number] for part in found]), expected)


def test_a_step_draws_the_noise_of_all_parts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that draws once per pass finds the same numbers part by part; one that draws twice does not."""
    drawn: list[np.ndarray] = []

    def sampling(generator: Any, conditioning: Any, real: Any, at: Any, style: Any, source: Any, parts: int) -> Any:
        drawn.extend(source.vector(len(real), length).numpy() for length in (3, 5))
        return sample_fakes(generator, conditioning, real, at, style, parts=parts)

    monkeypatch.setattr(step, "sample_fakes", sampling)
    found = []
    for parts in (1, 2):
        drawn.clear()
        step_in_parts.__wrapped__(FIRST, parts)
        found.append(drawn[:])
    whole, halves = found
    assert (len(whole), len(halves)) == (4, 8), "in the updates of G and of D, each part twice"
    for number, numbers in enumerate(whole):
        first = 4 * (number // 2) + number % 2
        np.testing.assert_array_equal(np.concatenate([halves[first], halves[first + 2]]), numbers)


@pytest.mark.parametrize("ranks", [1, 2])
def test_parts_of_a_batch_follow_one_another(ranks: int) -> None:
    rng = np.random.default_rng(0)
    label_maps = rng.integers(0, 3, (10, 8, 8), dtype=np.uint8)
    pairs = TrainingPairs(np.zeros((10, 8, 8, 3), np.uint8), label_maps)

    def indices(**more: Any) -> list[np.ndarray]:
        return [batch.indices for batch in batches(pairs, 4, 1, 1, Size(8, 8), **more)]

    whole = indices()
    parts = [indices(accumulate=2, part=(rank, ranks)) for rank in range(ranks)]
    assert {len(part) for part in parts} == {4}
    together = [np.concatenate(ranked) for ranked in zip(*parts, strict=True)]  # each part's rows, rank by rank
    assert [list(a) + list(b) for a, b in zip(together[::2], together[1::2], strict=True)] == [list(w) for w in whole]


def numbers(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = stage_settings(validate(config), "pretrain")["pretrain"]
    return found


def test_a_batch_divides_into_parts_and_processes_or_is_refused() -> None:
    with pytest.raises(UsageError, match=r"batch 10 cannot be shared equally among 3 parts \(accumulate\): use 12"):
        validate({"pretrain": {"accumulate": 3}})
    with pytest.raises(UsageError, match=r"among 2 processes and 2 parts \(accumulate\): use 12"):
        validate({"pretrain": {"accumulate": 2, "processes": 2}})
    assert numbers({"pretrain": {"accumulate": 5}})["accumulate"] == 5
    assert numbers({"pretrain": {"accumulate": 1}}) == numbers({})
