"""What replaces Jittor's operations on a GPU, computed on the CPU: the same results as what it replaces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shanshui.backend.bias_kernel import AddBias, convolution, pair, with_added_bias
from shanshui.backend.cuda_forms import CONVOLUTIONS, WORKSPACE, axis_search, permutation, use_cuda_forms
from shanshui.backend.runtime import load_jittor

jt = load_jittor()
X = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("axes", "order"),
    [
        ((0, 1, 3, 2), (0, 1, 3, 2)),
        (((3, 2, 0, 1),), (3, 2, 0, 1)),
        ((), (3, 2, 1, 0)),
        ((1, 3), (0, 3, 2, 1)),
        ((0, -1), (3, 1, 2, 0)),
    ],
)
def test_axes_are_called_as_jittor_calls_them(axes: tuple[Any, ...], order: tuple[int, ...]) -> None:
    x, weight = jt.array(X), np.random.default_rng(1).standard_normal(X.transpose(order).shape).astype(np.float32)
    moved = permutation(jt)(x, *axes)
    (gradient,) = jt.grad((moved * jt.array(weight)).sum(), [x])
    jt.sync([moved, gradient])
    np.testing.assert_array_equal(moved.numpy(), X.transpose(order))
    np.testing.assert_array_equal(moved.numpy(), x.permute(*axes).numpy())
    np.testing.assert_array_equal(gradient.numpy(), weight.transpose(np.argsort(order)))


@pytest.mark.parametrize("dim", [0, 1, 3, -2])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_search_along_any_axis_is_one_along_the_last(dim: int, keepdims: bool) -> None:
    searched: list[int] = []

    def search(x: Any, kind: str, axis: int, keep: bool) -> Any:
        searched.append(axis)
        return jt.arg_reduce(x, kind, axis, keep)

    places, largest = axis_search(jt, search)(jt.array(X), "max", dim, keepdims)
    assert searched == [3]
    np.testing.assert_array_equal(places.numpy(), np.argmax(X, dim, keepdims=keepdims))
    np.testing.assert_array_equal(largest.numpy(), X.max(dim, keepdims=keepdims))


def test_everything_is_put_in_place() -> None:
    said: list[tuple[str, float]] = []
    cudnn = SimpleNamespace(
        set_algorithm_cache_size=lambda n: said.append(("shapes", n)),
        set_max_workspace_ratio=lambda r: said.append(("workspace", r)),
    )
    convolution = SimpleNamespace(execute=lambda layer, x: ("with groups", x))
    calls: list[Any] = []
    nn = SimpleNamespace(conv2d=lambda *given: calls.append(given) or jt.zeros((1, 2, 3, 3)), Conv=convolution)
    nn.ConvTranspose, nn.conv_transpose = SimpleNamespace(execute=jt.nn.ConvTranspose.execute), jt.nn.conv_transpose
    module: Any = SimpleNamespace(
        flags=SimpleNamespace(use_cuda_host_allocator=1), Var=type("Var", (), {}), cudnn=cudnn,
        arg_reduce=jt.arg_reduce, fuse_transpose=jt.fuse_transpose, nn=nn,
    )  # fmt: skip
    use_cuda_forms(module)
    assert module.flags.use_cuda_host_allocator == 0
    assert said == [("shapes", CONVOLUTIONS), ("workspace", WORKSPACE)]
    for permute in (module.permute, module.transpose, module.Var.permute, module.Var.transpose):
        np.testing.assert_array_equal(permute(jt.array(X), 0, 1, 3, 2).numpy(), X.transpose(0, 1, 3, 2))
    assert module.arg_reduce is not jt.arg_reduce
    layer = SimpleNamespace(groups=1, weight="w", bias=jt.array([1.0, 2.0]), stride=2, padding=1, dilation=2)
    y = nn.Conv.execute(layer, "x")
    assert calls == [("x", "w", None, 2, 1, 2, 1)], "by the function, and by it once"
    np.testing.assert_array_equal(y.numpy()[0, :, 0, 0], [1, 2])
    layer.groups = 2
    assert nn.Conv.execute(layer, "x") == ("with groups", "x")
    assert nn.conv is nn.conv2d
    assert nn.ConvTranspose.execute is not jt.nn.ConvTranspose.execute


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0), ((2, 1), (0, 2))])
def test_convolutions_are_those_of_jittor(stride: Any, padding: Any) -> None:
    given = [jt.array(X), jt.array(np.random.default_rng(1).standard_normal((4, X.shape[1], 3, 2)).astype(np.float32))]
    before, found = jt.flags.amp_reg, []
    for y in (jt.nn.conv2d(*given, None, stride, padding), convolution(*given, pair(stride), pair(padding))):
        found.append([one.numpy() for one in (y, *jt.grad((y * y).sum(), given))])
    assert jt.flags.amp_reg == before
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 2, 40, 41), (3, 1, 1, 1)])
def test_bias_and_its_gradient(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    given = [jt.array(x), jt.array(rng.standard_normal(shape[1]).astype(np.float32))]
    y = AddBias.apply(*given)
    gradients = jt.grad((y * jt.array(weight)).sum(), given)
    jt.sync([y, *gradients])
    np.testing.assert_array_equal(y.numpy(), x + given[1].numpy()[:, None, None])
    np.testing.assert_array_equal(gradients[0].numpy(), weight)
    np.testing.assert_allclose(gradients[1].numpy(), weight.sum((0, 2, 3)), atol=1e-4)


@pytest.mark.parametrize(("bias", "groups"), [(True, 1), (False, 1), (True, 3)])
def test_transposed_convolutions_are_those_of_jittor(bias: bool, groups: int) -> None:
    layer = jt.nn.ConvTranspose(3, 6, 3, 2, 1, 1, groups, bias)
    x, found = jt.array(X), []
    for execute in (jt.nn.ConvTranspose.execute, with_added_bias(jt.nn.ConvTranspose.execute, jt.nn.conv_transpose)):
        y = execute(layer, x)
        grads = jt.grad((y * y).sum(), [x, *layer.parameters()])
        found.append([one.numpy() for one in (y, *grads)])
    assert len(found[0]) == 3 + bias
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
