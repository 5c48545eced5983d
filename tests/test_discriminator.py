"""The discriminators: sizes, parameters, order, growing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.architectures.apf_discriminator import Discriminator
from shanshui.backend.modules import gather
from shanshui.backend.runtime import load_jittor
from shanshui.errors import ShanshuiError
from shanshui.nn.resize import halve
from shanshui.training.optim import trainable

jt = load_jittor()

DEAD_IN_REFERENCE = 32_832 + (32_832 + 16_416)  # input layers no image reaches: one in D_2, two in D_3


def count(network: Any) -> int:
    return sum(int(np.prod(p.shape)) for p in trainable([network]))


@pytest.fixture(scope="module")
def small() -> Any:
    return Discriminator(3, 4, 2)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (2, 1, 24, 32))
    segmap = (labels == np.arange(3).reshape(1, 3, 1, 1)).astype(np.float32)
    return jt.array(segmap), jt.array(rng.uniform(-1, 1, (2, 3, 24, 32)).astype(np.float32))


def test_parameters() -> None:
    D = Discriminator(29, 64, 4)
    assert [count(d) for d in D.discriminators] == [
        6_987_841, 7_037_025, 7_053_425 - 32_832, 7_059_577 - 49_248,
    ]  # fmt: skip
    assert count(D) == 28_137_868 - DEAD_IN_REFERENCE


def shapes(features: Any) -> list[list[tuple[int, ...]]]:
    return [[tuple(f.shape[1:]) for f in maps] for maps in features]


COMMON = [(128, 25, 33), (256, 13, 17), (512, 7, 9), (512, 8, 10), (1, 9, 11)]


def test_sizes_in_full() -> None:
    D = Discriminator(29, 64, 4)
    (features,) = D(jt.zeros((1, 29, 384, 512)), jt.zeros((1, 3, 384, 512)))
    assert shapes(features) == [
        [(128, 193, 257), (256, 97, 129), (512, 49, 65), (512, 50, 66), (1, 51, 67)],
        [(64, 97, 129), (128, 49, 65), (256, 25, 33), (512, 13, 17), (512, 14, 18), (1, 15, 19)],
        [(32, 49, 65), (64, 25, 33), (128, 13, 17), (256, 7, 9), (512, 4, 5), (512, 5, 6), (1, 6, 7)],
        [(16, 25, 33), (32, 13, 17), (64, 7, 9), (128, 4, 5), (256, 3, 3), (512, 2, 2), (512, 3, 3), (1, 4, 4)],
    ]
    (fade,) = D(jt.zeros((1, 29, 384, 512)), jt.zeros((1, 3, 384, 512)), level=2, alpha=0.5)
    assert shapes(fade) == [
        [(32, 97, 129), (64, 49, 65), *COMMON],
        [(32, 97, 129), (64, 49, 65), *COMMON],
        [(64, 49, 65), *COMMON],
        COMMON,
    ]


def test_several_images_in_one_pass_are_judged_as_apart(small: Any, pair: tuple[Any, Any]) -> None:
    segmap, image = pair
    other = image * -1
    together = small(segmap, image, other, level=0, alpha=0.5)
    for features, alone in zip(together, (image, other), strict=True):
        (wanted,) = small(segmap, alone, level=0, alpha=0.5)
        for found_maps, wanted_maps in zip(features, wanted, strict=True):
            for f, w in zip(found_maps, wanted_maps, strict=True):
                np.testing.assert_allclose(f.numpy(), w.numpy(), atol=1e-4)


def test_order_in_the_full_mode(small: Any, pair: tuple[Any, Any]) -> None:
    """Reversed, D_0 gets the full image and D_1 the halved one; else the other way round."""
    segmap, image = pair
    D0, D1 = small.discriminators
    (features,) = small(segmap, image)
    np.testing.assert_allclose(features[0][-1].numpy(), D0(segmap, image)[-1].numpy(), atol=1e-4)
    np.testing.assert_allclose(features[1][-1].numpy(), D1(halve(segmap), halve(image))[-1].numpy(), atol=1e-4)
    straight = Discriminator(3, 4, 2, reverse_in_full=False)
    straight.discriminators = small.discriminators
    (features,) = straight(segmap, image)
    np.testing.assert_allclose(features[0][-1].numpy(), D1(segmap, image)[-1].numpy(), atol=1e-4)


def test_growing_copies_what_both_have() -> None:
    D = Discriminator(3, 8, 3)
    for level in (0, 1):
        before, source = gather(D.discriminators[level + 1]), gather(D.discriminators[level])
        D.grow(level)
        after = gather(D.discriminators[level + 1])
        new = {f"from_rgb_{level + 1}", f"extra_{level + 1}"}
        for name, array in after.items():
            fresh = name.split(".")[0] in new
            assert (array == (before if fresh else source)[name]).all(), name
        assert {name.split(".")[0] for name in after if name not in source} == new


def test_a_grown_discriminator_learns_on_its_own(pair: tuple[Any, Any]) -> None:
    """Copied weights share no gradient with their origin, and all of them are reached."""
    D = Discriminator(3, 4, 2)
    D.grow(0)
    ((new, _),) = D(*pair, level=0, alpha=0.5)
    named = [(name, p) for name, p in D.state_dict().items() if not p.is_stop_grad()]
    gradients = jt.grad((new[-1] * new[-1]).sum(), [p for _, p in named])
    jt.sync(gradients)
    for (name, _), gradient in zip(named, gradients, strict=True):
        assert (np.abs(gradient.numpy()).max() > 1e-7) == name.startswith("discriminators.1."), name


def test_refusals(small: Any, pair: tuple[Any, Any]) -> None:
    with pytest.raises(ShanshuiError, match="divisible by 8"):
        Discriminator(3, 12, 4)
    with pytest.raises(ValueError, match="2 discriminators"):
        small(*pair, level=2)
    with pytest.raises(ValueError, match="2 discriminators"):
        small(*pair, level=1, alpha=0.5)
