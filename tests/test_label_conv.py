"""Convolution of label maps: equal to the dense one, with its gradients, whatever the values and the threads."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from shanshui.backend.runtime import load_jittor
from shanshui.nn.label_conv import convolve

jt = load_jittor()
N, HEIGHT, WIDTH = 2, 35, 41  # two parts of 16 rows and three rows more
Arrays = list[np.ndarray]


def one_hot(classes: int) -> np.ndarray:
    """Regions of classes, and of no class."""
    rng = np.random.default_rng(classes)
    ids = rng.integers(0, classes + 1, (N, 9, 7)).repeat(4, 1).repeat(6, 2)[:, :HEIGHT, :WIDTH]
    return (ids[:, None] == np.arange(classes)[:, None, None]).astype(np.float32)


def anything() -> np.ndarray:
    """Some values, of both signs, and zeros between them."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 6, HEIGHT, WIDTH)) * (rng.uniform(size=(N, 6, HEIGHT, WIDTH)) < 0.3)
    return x.round(0).astype(np.float32)


EMPTY = np.zeros((N, 3, 8, 9), np.float32)
MAPS = {"one-hot": one_hot(5), "many": one_hot(40), "anything": anything(), "nothing": EMPTY}
SHAPES = [(4, 4, 1, 2), (16, 1, 1, 0), (8, 3, 2, 1), (5, 4, 2, 2), (32, 5, 1, 2), (3, 3, 3, 0)]  # O, k, stride, padding


def computed(kind: str, shape: tuple[int, int, int, int], dense: bool = False) -> Arrays:
    """The result, and the gradients of weight and bias."""
    x = MAPS[kind]
    outputs, kernel, stride, padding = shape
    rng = np.random.default_rng(2)
    weight = jt.array(rng.normal(size=(outputs, x.shape[1], kernel, kernel)).astype(np.float32))
    bias = jt.array(rng.normal(size=outputs).astype(np.float32))
    function = jt.nn.conv2d if dense else convolve
    y = function(jt.array(x), weight, bias, stride, padding)
    factor = jt.array(rng.normal(size=y.shape).astype(np.float32))
    return [var.numpy() for var in (y, *jt.grad((y * factor).sum(), [weight, bias]))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", MAPS)
def test_result_and_gradients_are_those_of_the_dense_convolution(kind: str, shape: tuple[int, int, int, int]) -> None:
    for ours, theirs in zip(computed(kind, shape), computed(kind, shape, dense=True), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))


def test_bias_may_be_missing() -> None:
    x, weight = jt.array(MAPS["many"]), jt.ones((2, 40, 1, 1))
    assert convolve(x, weight).numpy().max() == 1
    assert convolve(x, weight, jt.array([1.0, 2.0])).numpy().max() == 3


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    openmp = ctypes.CDLL("libgomp.so.1")
    before, found = openmp.omp_get_max_threads(), []
    try:
        for threads in (1, 2, 3):
            openmp.omp_set_num_threads(threads)
            found.append([array.tobytes() for array in computed("anything", SHAPES[0])])
    finally:
        openmp.omp_set_num_threads(before)
    assert found[0] == found[1] == found[2]
