"""Batch and instance norm against numpy in double precision."""

from __future__ import annotations

import numpy as np

from shanshui.backend.runtime import load_jittor
from shanshui.nn.norms import BatchNorm, instance_norm

jt = load_jittor()

X = np.random.default_rng(0).normal(100, 1, (2, 4, 32, 48)).astype(np.float32)


def standardised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    x = x.astype(np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def test_digits_survive_a_large_mean() -> None:
    """E[x^2] - E[x]^2 in single precision is off by more than 0.1 here."""
    np.testing.assert_allclose(instance_norm(jt.array(X)).numpy(), standardised(X, (2, 3)), atol=1e-3)
    np.testing.assert_allclose(BatchNorm(4)(jt.array(X)).numpy(), standardised(X, (0, 2, 3)), atol=1e-3)


def test_running_statistics() -> None:
    norm = BatchNorm(4)
    norm(jt.array(X))
    mean, variance = X.mean((0, 2, 3), dtype=np.float64), X.var((0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * variance, rtol=1e-4)
    assert [p for p in norm.parameters() if not p.is_stop_grad()] == []
    assert set(norm.state_dict()) == {"running_mean", "running_var"}


def test_evaluation_uses_and_keeps_them() -> None:
    norm = BatchNorm(4)
    norm.running_mean.assign(jt.array(np.float32([90, 95, 100, 105])))
    norm.running_var.assign(jt.array(np.float32([1, 2, 3, 4])))
    jt.sync_all()
    norm.eval()
    wanted = (X - norm.running_mean.numpy().reshape(1, 4, 1, 1)) / np.sqrt(norm.running_var.numpy().reshape(1, 4, 1, 1))
    np.testing.assert_allclose(norm(jt.array(X)).numpy(), wanted, atol=1e-3)
    assert norm.running_mean.numpy().tolist() == [90, 95, 100, 105]
