"""Resizing: the matrices by themselves, and on images against outputs of Jittor's own operators."""

from __future__ import annotations

import numpy as np
import pytest
from golden_files import GoldenFiles

from shanshui.backend.runtime import load_jittor
from shanshui.nn import resize
from shanshui.nn.small_kernels import Pool
from shanshui.storage.size import Size

jt = load_jittor()


@pytest.mark.parametrize("matrix", [resize.bilinear_matrix, resize.bicubic_matrix, resize.area_matrix])
@pytest.mark.parametrize(("source", "target"), [(8, 16), (8, 4), (9, 5), (6, 7), (1, 3)])
def test_constants_stay(matrix: resize.Matrix, source: int, target: int) -> None:
    assert matrix(source, target).shape == (target, source)
    np.testing.assert_allclose(matrix(source, target).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("matrix", [resize.bilinear_matrix, resize.bicubic_matrix, resize.area_matrix])
def test_ramps_stay_ramps(matrix: resize.Matrix) -> None:
    """Away from the edges, halving takes position 2i + 1/2."""
    ramp = matrix(32, 16) @ np.arange(32)
    np.testing.assert_allclose(ramp[2:-2], 2 * np.arange(16)[2:-2] + 0.5, atol=1e-5)


def test_area_is_the_block_mean() -> None:
    x = np.random.default_rng(0).random(12)
    np.testing.assert_allclose(resize.area_matrix(12, 3) @ x, x.reshape(3, 4).mean(axis=1), rtol=1e-6)


def test_pooling_at_the_border() -> None:
    """Ones stay ones where padding is left out, and darken at the top left where it counts."""
    np.testing.assert_allclose(resize.pool_matrix(6, False) @ np.ones(6), 1)
    np.testing.assert_allclose(resize.pool_matrix(6, True) @ np.ones(6), [2 / 3, 1, 1])
    np.testing.assert_allclose(resize.pool_matrix(5, True) @ np.ones(5), [2 / 3, 1, 2 / 3])
    np.testing.assert_allclose(resize.pool_matrix(3, False), [[0.5, 0.5, 0], [0, 0.5, 0.5]])


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (3, 2), (1, 1)])
@pytest.mark.parametrize("count_padding", [False, True])
def test_pooling_as_a_sum_of_pixels_is_the_same(size: tuple[int, int], count_padding: bool) -> None:
    """The form for GPUs, with its gradient."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((2, 3, *size)).astype(np.float32)
    weight = jt.array(rng.standard_normal((2, 3, *((side + 1) // 2 for side in size))).astype(np.float32))
    found = []
    for form in (resize.halve, lambda x, padded: Pool(padded)(x)):
        x = jt.array(array)
        small = form(x, count_padding)
        (gradient,) = jt.grad((small * weight).sum(), [x])
        jt.sync([small, gradient])
        found.append((small.numpy(), gradient.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_nearest_takes_the_top_left_of_each_cell() -> None:
    assert resize.nearest_index(8, 4).tolist() == [0, 2, 4, 6]
    assert resize.nearest_index(3, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert resize.nearest_index(96, 128)[:5].tolist() == [0, 0, 1, 2, 3]


def test_equal_to_jittors_operators(golden_files: GoldenFiles) -> None:
    wanted = golden_files("apf_jittor_ops")[1]
    x = jt.array(wanted["x"])
    ours = {
        "interpolate(size=(14,18)) default": resize.bilinear(x, Size(14, 18)),
        "interpolate(size=(5,4)) default": resize.bilinear(x, Size(5, 4)),
        "interpolate(scale_factor=0.5) default": resize.bilinear(x, Size(3, 4)),
        "interpolate(size=(8,10),bicubic)": resize.bicubic(x, Size(8, 10)),
        "interpolate(size=(14,18),nearest)": resize.nearest(x, Size(14, 18)),
        "interpolate(size=(5,4),nearest)": resize.nearest(x, Size(5, 4)),
        "interpolate(size=(10,13),nearest)": resize.nearest(x, Size(10, 13)),
        "Upsample(scale_factor=2)": resize.upsample2(x),
        "avg_pool2d(3,2,1,count_include_pad=False)": resize.halve(x, count_padding=True),
    }
    for name, found in ours.items():
        exact = "nearest" in name or "Upsample" in name
        np.testing.assert_allclose(found.numpy(), wanted[name], atol=0 if exact else 2e-6, rtol=0, err_msg=name)


def test_same_size_is_the_same_image() -> None:
    x = jt.rand(1, 2, 4, 5)
    assert resize.bilinear(x, Size(4, 5)) is x
    assert resize.nearest(x, Size(4, 5)) is x


def test_rows_and_columns_are_not_mixed_up() -> None:
    x = np.random.default_rng(0).random((1, 2, 7, 9)).astype(np.float32)
    rows, columns = resize.area_matrix(7, 3), resize.area_matrix(9, 4)
    np.testing.assert_allclose(
        resize.area(jt.array(x), Size(3, 4)).numpy(), np.einsum("Hh,nchw,Ww->ncHW", rows, x, columns), atol=1e-6
    )


def test_gradient_of_doubling_is_that_of_jittor() -> None:
    """The kernel for GPUs, run on the CPU."""
    rng = np.random.default_rng(0)
    x, weight = (jt.array(rng.normal(size=shape).astype(np.float32)) for shape in ((2, 3, 5, 7), (2, 3, 10, 14)))
    ours, theirs = resize.Doubled.apply(x), resize.upsample2(x)
    found, expected = (jt.grad((y * weight).sum(), [x])[0] for y in (ours, theirs))
    jt.sync([ours, theirs, found, expected])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)
