"""Generator and mask encoder: sizes, parameters, levels, refusals, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.apf_encoder import MaskEncoder
from shanshui.architectures.apf_generator import Generator
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.training.optim import trainable

jt = load_jittor()

DEAD_IN_ENCODER = 4_194_816  # two linear layers of the reference that nothing reads


def count(network: Any) -> int:
    """Trained numbers of a network; Jittor draws weights only when they are used, so this is quick."""
    return sum(int(np.prod(p.shape)) for p in trainable([network]))


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, 93_068_515), ({"seg_noise": True}, 93_401_635), ({"heads": 3}, 93_068_515 + 12_105)],
)
def test_parameters_of_the_generator(options: dict[str, Any], parameters: int) -> None:
    assert count(Generator(29, 64, **options)) == parameters


def test_parameters_of_the_encoder() -> None:
    assert count(MaskEncoder(29, 64)) == 12_837_696 - DEAD_IN_ENCODER


def sizes(maps: Any) -> list[tuple[int, ...]]:
    return [tuple(x.shape[1:]) for _, x in maps]


def test_sizes_in_full() -> None:
    segmap = jt.zeros((1, 29, 384, 512))
    E, G = MaskEncoder(29, 64), Generator(29, 64)
    assert sizes(E.trace(segmap)) == [
        (64, 192, 256), (128, 96, 128), (256, 48, 64), (512, 24, 32), (512, 12, 16), (1024, 6, 8),
    ]  # fmt: skip
    z = E(segmap)
    assert tuple(z.shape) == (1, 1024, 6, 8)
    assert sizes(G.trace(z, segmap)) == [
        (1024, 6, 8), (1024, 12, 16), (1024, 12, 16),
        (512, 24, 32), (256, 48, 64), (128, 96, 128), (64, 192, 256), (32, 384, 512),
    ]  # fmt: skip


def test_sizes_with_five_halvings() -> None:
    segmap = jt.zeros((1, 29, 96, 128))
    E, G = MaskEncoder(29, 4, 5), Generator(29, 4, 5, heads=3)
    z = E(segmap)
    assert tuple(z.shape) == (1, 64, 3, 4)
    assert sizes(G.trace(z, segmap))[:4] == [(64, 3, 4), (64, 3, 4), (64, 3, 4), (32, 6, 8)]
    shapes = [tuple(G(z, segmap, level, alpha).shape) for level in range(3) for alpha in (0.0, 0.5)]
    assert shapes == [(1, 3, h, h * 4 // 3) for h in (12, 24, 24, 48, 48, 96)]
    assert G(z, segmap).shape == G(z, segmap, 3).shape == [1, 3, 96, 128]


def test_blocks_beyond_the_level_do_not_run() -> None:
    segmap, asked = jt.zeros((1, 3, 64, 64)), []

    def noise(index: int, n: int, h: int, w: int) -> Any:
        asked.append((index, h))
        return jt.zeros((n, 1, h, w))

    E, G = MaskEncoder(3, 2, 5), Generator(3, 2, 5, heads=2, seg_noise=True, spade_hidden=4)
    G(E(segmap), segmap, level=0, noise=noise)
    assert asked == list(enumerate([2] * 6 + [4] * 3 + [8] * 3 + [16] * 3))


@pytest.mark.parametrize(("level", "alpha"), [(3, 0.0), (-1, 0.0), (2, 0.5), (None, 0.5)])
def test_levels_that_do_not_exist(level: int | None, alpha: float) -> None:
    G = Generator(3, 2, 5, heads=2)
    with pytest.raises(ValueError, match="2 heads"):
        G(jt.zeros((1, 32, 2, 2)), jt.zeros((1, 3, 64, 64)), level, alpha)


def test_refusals() -> None:
    G = Generator(3, 2, 5)
    with pytest.raises(ShanshuiError, match="multiples of 32"):
        G(jt.zeros((1, 32, 2, 2)), jt.zeros((1, 3, 60, 64)))
    with pytest.raises(ValueError, match="without seg_noise"):
        G(jt.zeros((1, 32, 2, 2)), jt.zeros((1, 3, 64, 64)), noise=lambda *_: None)
    with pytest.raises(ShanshuiError, match="base_channels even"):
        Generator(3, 3)
    with pytest.raises(ShanshuiError, match="5 or 6"):
        MaskEncoder(3, 2, 4)


def test_gradients_reach_every_parameter() -> None:
    """While the last size fades in, so that both heads are at work.

    A bias in front of a batch norm has no effect, hence a gradient of nothing but rounding.
    """
    jt.set_global_seed(3)
    labels = np.random.default_rng(0).integers(0, 3, (2, 1, 64, 64))
    segmap = jt.array((labels == np.arange(3).reshape(1, 3, 1, 1)).astype(np.float32))
    E, G = MaskEncoder(3, 2, 5), Generator(3, 2, 5, heads=1, seg_noise=True, spade_hidden=4)
    fake = G(E(segmap), segmap, level=0, alpha=0.5, noise=lambda _, n, h, w: jt.randn(n, 1, h, w))
    weights = jt.array(np.random.default_rng(1).normal(size=fake.shape).astype(np.float32))
    named = [(name, p) for net in (E, G) for name, p in net.state_dict().items() if not p.is_stop_grad()]
    gradients = jt.grad((fake * weights).sum(), [p for _, p in named])
    jt.sync(gradients)
    for (name, _), gradient in zip(named, gradients, strict=True):
        before_norm = name.endswith((".conv_0.bias", ".conv_1.bias"))
        assert np.isfinite(gradient.numpy()).all(), name
        assert before_norm or np.abs(gradient.numpy()).max() > 1e-7, name
