"""Cross entropy in one operation: against double precision, and against operations of Jittor."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn.cross_entropy import cross_entropy, dense

jt = load_jittor()
RNG = np.random.default_rng(0)
UPSTREAM = 3.0


def exact(logits: np.ndarray, ids: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss and its gradient in double precision."""
    classes = logits.shape[1]
    x = logits.astype(np.float64) - logits.max(1, keepdims=True)
    powers = np.exp(x)
    own = ids[:, None] == np.arange(classes)[:, None, None]
    known = (ids >= 0) & (ids < classes)
    lost = np.log(powers.sum(1)) - (x * own).sum(1)
    slopes = (powers / powers.sum(1, keepdims=True) - own) * known[:, None] / max(known.sum(), 1)
    return lost[known].sum() / max(known.sum(), 1), slopes


def computed(logits: np.ndarray, ids: np.ndarray, loss_of: object = cross_entropy) -> tuple[float, np.ndarray]:
    x = jt.array(logits)
    loss = loss_of(x, jt.array(ids))  # type: ignore[operator]
    (slopes,) = jt.grad(loss * UPSTREAM, [x])
    return loss.item(), slopes.numpy() / UPSTREAM


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (2, 3, 4, 5), (2, 29, 7, 33)])
@pytest.mark.parametrize("scale", [0.1, 4.0, 200.0])
def test_loss_and_gradient(shape: tuple[int, int, int, int], scale: float) -> None:
    n, classes, h, w = shape
    logits = (RNG.standard_normal(shape) * scale).astype(np.float32)
    ids = RNG.integers(0, classes, (n, h, w)).astype(np.int32)
    ids[RNG.random((n, h, w)) < 0.2] = 255
    ids[0, 0, 0] = classes - 1
    loss, slopes = exact(logits, ids)
    for loss_of in (cross_entropy, dense):
        found, gradient = computed(logits, ids, loss_of)
        assert found == pytest.approx(loss, rel=2e-6, abs=2e-6)
        np.testing.assert_allclose(gradient * h * w, slopes * h * w, rtol=0, atol=2e-5)
        assert not gradient.transpose(0, 2, 3, 1)[ids == 255].any()


def test_no_pixel_with_a_class_loses_nothing() -> None:
    logits = RNG.standard_normal((1, 3, 2, 4)).astype(np.float32)
    found, gradient = computed(logits, np.full((1, 2, 4), 255, np.int32))
    assert found == 0
    assert not gradient.any()


def test_equal_logits_are_equally_likely() -> None:
    logits = np.full((1, 4, 3, 20), -1e4, np.float32)
    found, gradient = computed(logits, np.zeros((1, 3, 20), np.int32))
    assert found == pytest.approx(np.log(4), rel=1e-6)
    np.testing.assert_allclose(gradient[0, 1] * 60, 0.25, rtol=1e-6)


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    openmp = ctypes.CDLL("libgomp.so.1")
    logits = RNG.standard_normal((2, 5, 9, 33)).astype(np.float32)
    ids = RNG.integers(0, 6, (2, 9, 33)).astype(np.int32)
    before, found = openmp.omp_get_max_threads(), []
    try:
        for threads in (1, 3):
            openmp.omp_set_num_threads(threads)
            loss, slopes = computed(logits, ids)
            found.append((loss, slopes.tobytes()))
    finally:
        openmp.omp_set_num_threads(before)
    assert found[0] == found[1]
