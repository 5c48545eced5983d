"""Adam for all weights together: against its formula in double precision, and Jittor's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from shanshui.backend.modules import gather_optimizer, restore_optimizer
from shanshui.backend.runtime import load_jittor
from shanshui.training.optim import EPS, Adam, AdamTogether

jt = load_jittor()
RNG = np.random.default_rng(0)
SHAPES = [(3,), (4, 5), (2, 3, 4, 5), (1,)]
START = [RNG.standard_normal(shape).astype(np.float32) for shape in SHAPES]
GOAL = [RNG.standard_normal(shape).astype(np.float32) for shape in SHAPES]
BETAS = 0.5, 0.9
STEPS = 40


def optimizer(kind: Any) -> tuple[list[Any], Any]:
    weights = [jt.array(start) for start in START]
    return weights, kind(weights, 0.1, eps=EPS, betas=BETAS)


def step(weights: list[Any], adam: Any, number: int) -> None:
    """One step towards the goal, at a rate of its own."""
    adam.lr = 0.1 / (1 + number)
    adam.step(sum((w - jt.array(goal)).sqr().sum() for w, goal in zip(weights, GOAL, strict=True)))
    jt.sync_all()


def exact(steps: int) -> list[np.ndarray]:
    """The same weights in double precision."""
    (beta1, beta2), found = BETAS, []
    for start, goal in zip(START, GOAL, strict=True):
        w, m, v = start.astype(np.float64), 0.0, 0.0
        for n in range(1, steps + 1):
            gradient = 2 * (w - goal)
            m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2
            rate = 0.1 / n * np.sqrt(1 - beta2**n) / (1 - beta1**n)
            w = w - m * rate / (np.sqrt(v) + EPS)
        found.append(w)
    return found


def test_weights_are_those_of_the_formula_and_of_jittors_adam() -> None:
    (together, ours), (apart, theirs) = optimizer(AdamTogether), optimizer(Adam)
    for number in range(STEPS):
        step(together, ours, number)
        step(apart, theirs, number)
    for mine, other, correct in zip(together, apart, exact(STEPS), strict=True):
        np.testing.assert_allclose(mine.numpy(), correct, rtol=0, atol=5e-6)
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=0, atol=5e-6)
        assert not mine.is_stop_grad()  # else it would be left out of the next step


def test_states_are_the_same_and_each_continues_the_others() -> None:
    (weights, first), (others, second) = optimizer(Adam), optimizer(AdamTogether)
    for number in range(STEPS // 2):
        step(weights, first, number)
    state = gather_optimizer(first)
    assert state.keys() == gather_optimizer(second).keys()
    restore_optimizer(second, state, "state")
    for weight, other in zip(weights, others, strict=True):
        other.assign(weight.copy())
    for number in range(STEPS // 2, STEPS):
        step(others, second, number)
    for other, correct in zip(others, exact(STEPS), strict=True):
        np.testing.assert_allclose(other.numpy(), correct, rtol=0, atol=5e-6)


def test_frozen_weights_stay_and_nothing_piles_up() -> None:
    weights, adam = optimizer(AdamTogether)
    for number in range(3):
        step(weights, adam, number)
    weights[1].stop_grad()  # though it still has moments and a gradient
    frozen, free = weights[1].numpy(), weights[0].numpy()
    step(weights, adam, 3)
    held = jt.liveness_info()
    for number in range(4, 10):
        step(weights, adam, number)
    assert jt.liveness_info() == held
    np.testing.assert_array_equal(weights[1].numpy(), frozen)
    assert not np.array_equal(weights[0].numpy(), free)
