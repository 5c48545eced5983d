"""Kernels for GPUs, their text run on the CPU: against the plain formulas in double precision, gradients too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shanshui.backend.kernels import MOST_ELEMENTS, MOST_TOGETHER, PART, elementwise, groups, launched, looped
from shanshui.backend.runtime import load_jittor
from shanshui.nn.norm_kernels import standardise
from shanshui.nn.small_kernels import AddNoise, BiasedActivation, Residual, SplitInputs, halves
from shanshui.nn.spectral_kernels import Divide, power_iteration

jt = load_jittor()
RNG = np.random.default_rng(0)
SHAPE = 2, 3, 6, 7  # of which no side is a number of threads
X = (RNG.standard_normal(SHAPE) + 3).astype(np.float32)
WEIGHT = RNG.standard_normal(SHAPE).astype(np.float32)
VECTORS = [RNG.standard_normal(3).astype(np.float32) for _ in range(2)]
MAPS = [RNG.standard_normal(SHAPE).astype(np.float32) for _ in range(2)]


def close(ours: Any, wanted: np.ndarray) -> None:
    """Within float32's rounding of sums, against the largest value."""
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def plain(given: list[Any], by_image: bool, slope: float, eps: float, unit: float) -> tuple[Any, Any, Any]:
    """The formula with Jittor's own operations in double precision, and mean and variance."""
    x, scale, shift, gamma, beta = given
    axes = [2, 3] if by_image else [0, 2, 3]
    mean = x.mean(axes, keepdims=True)
    variance = (x - mean).sqr().mean(axes, keepdims=True)
    y = (x - mean) / (variance + eps).sqrt()
    factor, term = unit, 0.0
    if scale is not None:
        factor, term = factor + scale.reshape(1, -1, 1, 1), shift.reshape(1, -1, 1, 1)
    if gamma is not None:
        factor, term = factor + gamma, term + beta
    y = y * factor + term
    return jt.ternary(y > 0, y, y * slope), mean, variance


@pytest.mark.parametrize(
    ("by_image", "vectors", "maps", "slope", "eps", "unit"),
    [
        (True, False, False, 0.2, 1e-5, 1.0),
        (True, False, True, 0.2, 1e-5, 1.0),
        (False, False, False, 1.0, 1e-5, 1.0),
        (False, True, False, 0.0, 1e-1, 0.0),
        (False, True, True, 0.2, 1e-5, 1.0),
        (False, False, True, 0.2, 1e-5, 0.0),
    ],
)
def test_norms_and_their_gradients(
    by_image: bool, vectors: bool, maps: bool, slope: float, eps: float, unit: float
) -> None:
    arrays = [X, *(VECTORS if vectors else [None, None]), *(MAPS if maps else [None, None])]
    ours = [None if a is None else jt.array(a) for a in arrays]
    wanted = [None if a is None else jt.array(a).float64() for a in arrays]
    y = standardise(*ours, by_image=by_image, slope=slope, eps=eps, unit=unit)
    exact, *_ = plain(wanted, by_image, slope, eps, unit)
    grads = jt.grad((y * jt.array(WEIGHT)).sum(), [a for a in ours if a is not None])
    right = jt.grad((exact * jt.array(WEIGHT).float64()).sum(), [a for a in wanted if a is not None])
    jt.sync([y, exact, *grads, *right])
    close(y.numpy(), exact.numpy())
    for grad, correct in zip(grads, right, strict=True):
        close(grad.numpy(), correct.numpy())


@pytest.mark.parametrize("seed", range(4))
def test_norms_of_any_size_repeat_their_bits(seed: int) -> None:
    """Sizes at random, and single pixels: there nothing is left of the image but rounding, divided by sqrt(eps)."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 10)), *(int(n) for n in rng.integers(1, 70, 2)))
    shape = (*shape[:2], 1, 1) if seed == 0 else shape
    by_image, x = seed % 2 == 0, rng.normal(3, 2, shape).astype(np.float32)
    vectors = [rng.standard_normal(shape[1]).astype(np.float32) for _ in range(2)]
    arrays = [x, *([None, None] if by_image else vectors), *(rng.normal(size=(2, *shape)).astype(np.float32))]
    weight, runs = rng.standard_normal(shape).astype(np.float32), []
    for _ in range(2):
        ours = [None if a is None else jt.array(a) for a in arrays]
        y = standardise(*ours, by_image=by_image, slope=0.2)
        grads = jt.grad((y * jt.array(weight)).sum(), [a for a in ours if a is not None])
        runs.append([one.numpy() for one in (y, *grads)])
    wanted = [None if a is None else jt.array(a).float64() for a in arrays]
    exact, *_ = plain(wanted, by_image, 0.2, 1e-5, 1.0)
    right = jt.grad((exact * jt.array(weight).float64()).sum(), [a for a in wanted if a is not None])
    for one, other, correct in zip(*runs, (exact, *right), strict=True):
        np.testing.assert_array_equal(one, other)
        atol = 1e-4 if seed == 0 else 1e-5 * max(1.0, np.abs(correct.numpy()).max())
        np.testing.assert_allclose(one, correct.numpy(), rtol=0, atol=atol)


def test_running_statistics_follow_the_batch() -> None:
    norm = SimpleNamespace(running_mean=jt.ones(3).stop_grad(), running_var=jt.ones(3).stop_grad(), momentum=0.25)
    x = jt.array(X)
    y = standardise(x, norm=norm)
    jt.sync([y, norm.running_mean, norm.running_var])
    close(norm.running_mean.numpy(), 0.75 + 0.25 * X.astype(np.float64).mean((0, 2, 3)))
    close(norm.running_var.numpy(), 0.75 + 0.25 * X.astype(np.float64).var((0, 2, 3)))
    assert norm.running_mean.is_stop_grad()


def test_groups_are_bounded_in_arrays_and_elements() -> None:
    class Array:
        def __init__(self, size: int) -> None:
            self.numel = lambda: size

    def sizes(*given: int) -> list[int]:
        return [len(group) for group in groups([[Array(size)] for size in given])]

    assert sizes(*[1] * (2 * MOST_TOGETHER + 1)) == [MOST_TOGETHER, MOST_TOGETHER, 1]
    assert sizes(1, MOST_ELEMENTS - 1, 1, MOST_ELEMENTS + 1, 2, 3) == [2, 1, 1, 2]
    assert sizes() == []


def test_many_arrays_of_any_size_are_computed_together() -> None:
    sizes = [(1,), (3, 4), (PART,), (PART + 1,), (2, PART + 5)] * 11
    assert len(sizes) > MOST_TOGETHER
    rows = [tuple(RNG.standard_normal(size).astype(np.float32) for _ in range(2)) for size in sizes]
    given = [tuple(jt.array(array) for array in row) for row in rows]
    formula = "r0 = a0 * factor + a1; r1 = a1 - less;"
    for factor in (0.5, 3.0):  # the same kernels with other numbers
        numbers = {"factor": factor, "less": 1.0}
        found = elementwise(formula, given, 2, **numbers)
        for compute in (launched, looped):  # as on a GPU and as on a CPU
            some = compute(formula, given[:8], 2, numbers)
            found += [some[2 * i : 2 * i + 2] for i in range(8)]
        for (a, b), (first, second) in zip(rows + rows[:8] * 2, found, strict=True):
            np.testing.assert_allclose(first.numpy(), a * np.float32(factor) + b, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(second.numpy(), b - 1)


@pytest.mark.parametrize("shape", [(5, 3, 2, 2), (40, 7, 3, 3)])
def test_spectral_norm_and_its_gradient(shape: tuple[int, ...]) -> None:
    weight, upstream = (RNG.standard_normal(shape).astype(np.float32) for _ in range(2))
    start = RNG.standard_normal(shape[0]).astype(np.float32)
    matrix, given = weight.reshape(shape[0], -1).astype(np.float64), upstream.reshape(shape[0], -1)
    v = matrix.T @ start / np.linalg.norm(matrix.T @ start)
    u = matrix @ v / np.linalg.norm(matrix @ v)
    sigma = u @ matrix @ v
    kept = jt.array(weight)
    found = power_iteration(kept, jt.array(start))
    divided = Divide.apply(kept, *found)
    (gradient,) = jt.grad((divided * jt.array(upstream)).sum(), [kept])
    jt.sync([divided, gradient, *found])
    for ours, wanted in zip(found, (u, v, np.array([sigma])), strict=True):
        close(ours.numpy(), wanted)
    close(divided.numpy(), weight / sigma)
    exact = given / sigma - (given * matrix).sum() / sigma**2 * np.outer(u, v)
    close(gradient.numpy().reshape(matrix.shape), exact)


def test_noise_with_its_amplitude() -> None:
    noise = RNG.standard_normal((2, 1, 6, 7)).astype(np.float32)
    given = [jt.array(a) for a in (X, noise, MAPS[0], VECTORS[0])]
    y = AddNoise.apply(*given)
    grads = jt.grad((y * jt.array(WEIGHT)).sum(), [given[0], *given[2:]])
    jt.sync([y, *grads])
    close(y.numpy(), X + noise * (MAPS[0] + VECTORS[0][:, None, None]))
    close(grads[0].numpy(), WEIGHT)
    close(grads[1].numpy(), WEIGHT * noise)
    close(grads[2].numpy(), (WEIGHT * noise).astype(np.float64).sum((0, 2, 3)))


def test_weights_are_split_by_their_inputs_and_gradients_joined() -> None:
    weight = jt.array(RNG.standard_normal((5, 7, 2, 3)).astype(np.float32))
    first, last = SplitInputs(3)(weight)
    factors = [RNG.standard_normal(part.shape).astype(np.float32) for part in (first, last)]
    (grad,) = jt.grad(sum((p * jt.array(f)).sum() for p, f in zip((first, last), factors, strict=True)), [weight])
    jt.sync([first, last, grad])
    np.testing.assert_array_equal(first.numpy(), weight.numpy()[:, :4])
    np.testing.assert_array_equal(last.numpy(), weight.numpy()[:, 4:])
    np.testing.assert_array_equal(grad.numpy(), np.concatenate(factors, 1))


@pytest.mark.parametrize(("slope", "shares"), [(0.0, False), (0.2, True), (1.0, True)])
def test_bias_and_activation(slope: float, shares: bool) -> None:
    """With maps that two batches share, as label maps are for fakes and photographs."""
    shared = MAPS[0] if shares else None
    both = np.concatenate([X, MAPS[1]])
    given = [jt.array(both), None if shared is None else jt.array(shared), jt.array(VECTORS[0])]
    y = BiasedActivation(slope)(*given)
    factors = np.concatenate([WEIGHT, WEIGHT * 2])
    grads = jt.grad((y * jt.array(factors)).sum(), [a for a in given if a is not None])
    jt.sync([y, *grads])
    plain = both + VECTORS[0][:, None, None] + (0 if shared is None else np.concatenate([shared] * 2))
    expected = factors * np.where(plain > 0, 1, slope)
    close(y.numpy(), np.where(plain > 0, plain, plain * slope))
    close(grads[0].numpy(), expected)
    close(grads[-1].numpy(), expected.astype(np.float64).sum((0, 2, 3)))
    if shared is not None:
        close(grads[1].numpy(), expected[:2] + expected[2:])


@pytest.mark.parametrize("used", [(0, 1), (0,), (1,)])
def test_activation_used_twice_adds_its_gradients(used: tuple[int, ...]) -> None:
    given = [jt.array(X), jt.array(VECTORS[0])]
    both = BiasedActivation(0.0, twice=True)(given[0], None, given[1])
    factors = [WEIGHT, MAPS[0]]
    grads = jt.grad(sum((both[i] * jt.array(factors[i])).sum() for i in used), given)
    jt.sync([*both, *grads])
    plain = X + VECTORS[0][:, None, None]
    expected = sum(factors[i] for i in used) * (plain > 0)
    for y in both:
        close(y.numpy(), np.maximum(plain, 0))
    close(grads[0].numpy(), expected)
    close(grads[1].numpy(), expected.astype(np.float64).sum((0, 2, 3)))


def test_residual_and_halves_of_a_batch() -> None:
    given = [jt.array(a) for a in (X, MAPS[0], VECTORS[0])]
    y = Residual.apply(*given)
    grads = jt.grad((y * jt.array(WEIGHT)).sum(), given)
    both = jt.array(np.concatenate([X, MAPS[1]]))
    first, second = halves(both)
    (grad,) = jt.grad((second * jt.array(WEIGHT)).sum(), [both])  # nothing of the first
    jt.sync([y, *grads, first, second, grad])
    close(y.numpy(), X + MAPS[0] + VECTORS[0][:, None, None])
    close(grads[2].numpy(), WEIGHT.astype(np.float64).sum((0, 2, 3)))
    np.testing.assert_array_equal(first.numpy(), X)
    np.testing.assert_array_equal(second.numpy(), MAPS[1])
    np.testing.assert_array_equal(grad.numpy(), np.concatenate([np.zeros_like(WEIGHT), WEIGHT]))
