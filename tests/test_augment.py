"""DiffAugment: its draws, and that photo, fake and label map stay together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn.colour_kernel import recolour
from shanshui.storage.size import Size
from shanshui.training.augment import (
    OPERATIONS,
    Colour,
    Draws,
    Window,
    augment,
    augment_both,
    augment_labels,
    colour,
    draw_augmentation,
)

jt = load_jittor()

SIZE = Size(24, 32)


def batch(n: int) -> tuple[Any, Any, Any]:
    """Photos and fakes whose first channel is the class of each pixel, and the one-hot label map."""
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(1, 4, (n, 1, 3, 4)), np.ones((1, 1, 8, 8), int))
    image = np.concatenate([labels, rng.random((n, 2, *SIZE))], axis=1).astype(np.float32)
    segmap = (labels == np.arange(1, 4).reshape(1, 3, 1, 1)).astype(np.float32)
    return jt.array(image), jt.array(image.copy()), jt.array(segmap)


def test_draws_stay_in_their_ranges() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_augmentation(rng, OPERATIONS, 8, SIZE) for _ in range(200)]
    changes = [c for d in drawn for c in (d.real, d.fake) if c]
    for name, low, high in (("brightness", -0.5, 0.5), ("saturation", 0, 2), ("contrast", 0.5, 1.5)):
        numbers = np.concatenate([getattr(c, name) for c in changes])
        assert low <= numbers.min() < low + 0.05
        assert high - 0.05 < numbers.max() <= high
    assert {d.window.offset[0] for d in drawn if d.window} == set(range(28 - 24 + 1))
    assert {d.window.offset[1] for d in drawn if d.window} == set(range(38 - 32 + 1))
    assert np.mean([d.window.chosen for d in drawn if d.window]) == pytest.approx(0.5, abs=0.05)
    shifts = np.concatenate([d.shift for d in drawn])
    assert set(shifts[:, 0]) == set(range(-3, 4))
    assert set(shifts[:, 1]) == set(range(-4, 5))
    assert all((d.real.brightness != d.fake.brightness).all() for d in drawn)


def test_equal_states_draw_equally() -> None:
    one, other = (draw_augmentation(np.random.default_rng(5), ("crop", "translation"), 2, SIZE) for _ in range(2))
    assert one.real is None
    assert (one.shift == other.shift).all()
    assert one.window.offset == other.window.offset


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(ValueError, match="cutout"):
        draw_augmentation(np.random.default_rng(0), ("cutout",), 2, SIZE)


def test_nothing_wanted_changes_nothing() -> None:
    inputs = batch(2)
    assert all(a is b for a, b in zip(augment(*inputs, Draws()), inputs, strict=True))


def test_translation_moves_everything_alike() -> None:
    real, fake, segmap = augment(*batch(2), Draws(shift=np.array([[2, -3], [0, 4]])))
    photo = batch(2)[0].numpy()
    np.testing.assert_array_equal(real.numpy()[0, :, :-2, 3:], photo[0, :, 2:, :-3])
    np.testing.assert_array_equal(real.numpy()[1, :, :, :-4], photo[1, :, :, 4:])
    np.testing.assert_array_equal(real.numpy(), fake.numpy())
    assert (segmap.numpy()[0, :, -2:] == 0).all()
    assert (segmap.numpy()[0, :, :, :3] == 0).all()
    np.testing.assert_array_equal(real.numpy()[:, 0], np.argmax(segmap.numpy(), 1) + segmap.numpy().sum(1))


@pytest.mark.parametrize("n", [1, 2])
def test_crop_moves_everything_alike(n: int) -> None:
    inputs = batch(n)
    real, fake, segmap = augment(*inputs, Draws(window=Window((3, 5), np.arange(n) == 0)))
    np.testing.assert_array_equal(real.numpy(), fake.numpy())
    np.testing.assert_array_equal(real.numpy()[1:], inputs[0].numpy()[1:])
    assert (segmap.numpy().sum(axis=1) == 1).all()
    inside = np.abs(real.numpy()[0, 0] - (np.argmax(segmap.numpy()[0], 0) + 1)) < 0.1
    assert inside.mean() > 0.6  # elsewhere the bicubic photo blends neighbouring classes


def test_colour_by_hand() -> None:
    image = np.random.default_rng(0).random((1, 3, 4, 6)).astype(np.float32)
    found = colour(jt.array(image), Colour(np.float32([0.25]), np.float32([0.5]), np.float32([2.0])))
    x = image + 0.25
    x = x.mean(1, keepdims=True) + 0.5 * (x - x.mean(1, keepdims=True))
    x = x.mean() + 2 * (x - x.mean())
    np.testing.assert_allclose(found.numpy(), x, atol=1e-5)


def test_gradients_reach_the_fake() -> None:
    real, fake, segmap = batch(2)
    draws = draw_augmentation(np.random.default_rng(1), OPERATIONS, 2, SIZE)
    _, changed, _ = augment(real, fake, segmap, draws)
    (gradient,) = jt.grad((changed * changed).sum(), [fake])
    assert (np.abs(gradient.numpy()) > 0).mean() > 0.5


def test_both_images_together_are_as_one_by_one() -> None:
    """Which is how a GPU augments them."""
    real, fake, segmap = batch(3)
    size = Size.of_maps(real)
    for operations in (OPERATIONS, ("color",), ("crop",), ("translation",), ()):
        draws = draw_augmentation(np.random.default_rng(4), operations, 3, size)
        expected = augment(real, fake, segmap, draws)
        found = (*augment_both(real, fake, draws), augment_labels(segmap, draws))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=str(operations))


def test_colours_by_kernels_and_their_gradient_are_those_of_jittor() -> None:
    """For one grey value in all pixels too, and a size that blocks do not divide."""
    rng = np.random.default_rng(5)
    for shape in ((3, 3, 37, 41), (1, 3, 1, 1)):
        n, images = shape[0], rng.normal(size=shape).astype(np.float32)
        change = Colour(rng.uniform(-0.5, 0.5, n), rng.uniform(0, 2, n), rng.uniform(0.5, 1.5, n))
        found = []
        for change_colours in (colour, by_kernels):
            x = jt.array(images)
            y = change_colours(x, change)
            (grad,) = jt.grad((y * jt.array(np.cos(images * 9))).sum(), [x])
            found.append((y.numpy(), grad.numpy()))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def by_kernels(x: Any, change: Colour) -> Any:
    return recolour(x, change.brightness, change.saturation, change.contrast)
