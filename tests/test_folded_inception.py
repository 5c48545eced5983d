"""The folded Inception against the plain one, and its kernels against windows taken one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shanshui.errors import ShanshuiError
from shanshui.evaluation.inception_features import InceptionFeatures


def expected(y: np.ndarray, bias: float, window: str) -> np.ndarray:
    """One plane (H, W), pixel by pixel."""
    height, width = y.shape
    if window == "halve":
        places = [(slice(i, i + 3), slice(j, j + 3)) for i in range(0, height - 2, 2) for j in range(0, width - 2, 2)]
        shape = (height - 1) // 2, (width - 1) // 2
    else:
        r = 0 if window == "pixel" else 1
        spans = [[slice(max(k - r, 0), k + r + 1) for k in range(length)] for length in (height, width)]
        places = [(rows, columns) for rows in spans[0] for columns in spans[1]]
        shape = height, width
    take = np.mean if window == "mean" else np.max
    return np.maximum(np.array([take(y[place]) for place in places]).reshape(shape) + bias, 0)


@pytest.mark.parametrize("window", ["pixel", "mean", "max", "halve"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2), (2, 5), (7, 9), (8, 10)])
def test_windows(window: str, size: tuple[int, int]) -> None:
    from shanshui.nn.folded_inception import Piece, join, jt

    if window == "halve" and min(size) < 3:
        pytest.skip("no whole window fits")
    rng = np.random.default_rng(size)
    y = rng.normal(size=(3, 20, *size)).astype(np.float32)
    bias = rng.normal(size=20).astype(np.float32)
    found = join([Piece(jt.array(y), jt.array(bias), 3, 11, window)]).numpy()
    for n in range(3):
        for c in range(11):
            np.testing.assert_allclose(
                found[n, c], expected(y[n, 3 + c], bias[3 + c], window), atol=1e-6, err_msg=f"{n}, {c}"
            )


def test_pieces_lie_in_their_order() -> None:
    from shanshui.nn.folded_inception import Piece, join, jt

    y = np.random.default_rng(0).normal(size=(2, 6, 4, 5)).astype(np.float32)
    other = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    whole, none = jt.array(y), jt.zeros((6,))
    pieces = [Piece(whole, none, 4, 2), Piece(jt.array(other), jt.array(np.float32([1, 2, 3])), 0, 3)]
    found = join([*pieces, Piece(whole, none, 0, 1)]).numpy()
    shifted = other + np.array([1, 2, 3]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(found, np.maximum(np.concatenate([y[:, 4:], shifted, y[:, :1]], 1), 0), atol=1e-6)


def test_every_map_equals_the_plain_network() -> None:
    from shanshui.nn.folded_inception import FoldedInception
    from shanshui.nn.inception import Inception, jt

    rng = np.random.default_rng(0)
    network = Inception("fid")
    made = {}
    for key, value in network.state_dict().items():
        draw = rng.standard_normal(tuple(value.shape)).astype(np.float32)
        scale = np.sqrt(2 / np.prod(value.shape[1:])) if len(value.shape) == 4 else 0.3
        made[key] = np.abs(draw) + 0.5 if key.endswith(("running_var", "bn.weight")) else draw * np.float32(scale)
    network.load_state_dict(made)
    images = jt.array(rng.uniform(-1, 1, (2, 3, 173, 206)).astype(np.float32))
    with jt.no_grad():
        plain, folded = network(images), FoldedInception(network)(images)
        jt.sync([*plain, *folded])
    for ours, theirs in zip(folded, plain, strict=True):
        assert ours.shape == theirs.shape
        assert theirs.numpy().any()
        assert np.abs(ours.numpy() - theirs.numpy()).max() <= 1e-5 * np.abs(theirs.numpy()).max()


def test_a_file_that_holds_no_numbers_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from shanshui.nn.inception import Inception

    state = {key: value.numpy() for key, value in Inception("fid").state_dict().items()}
    state["Mixed_6c.branch1x1.bn.bias"][5] = np.nan
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(ShanshuiError, match=r"not finite.*Mixed_6c\.branch1x1\.bn\.bias"):
        InceptionFeatures(tmp_path / "nan.safetensors")
