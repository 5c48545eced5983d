"""The Inception network and its features against stored outputs of pytorch-fid under rule-made weights."""

from __future__ import annotations

from pathlib import Path

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles

from shanshui.errors import ShanshuiError
from shanshui.evaluation.inception_features import InceptionFeatures, resize_299
from shanshui.metrics.frechet import frechet_distance, statistics

BLOCKS = ("block0_mean", "block1_mean", "block2_mean", "features")


def close(ours: np.ndarray, golden: np.ndarray) -> None:
    """Within 1e-4 of the largest value."""
    assert ours.shape == golden.shape
    assert np.abs(ours - golden).max() <= 1e-4 * np.abs(golden).max()


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> dict[str, np.ndarray]:
    return golden_files("fid_inception")[1]


@pytest.fixture(scope="module")
def state(golden_files: GoldenFiles) -> dict[str, np.ndarray]:
    made = golden_rule.fill(dict(golden_files("fid_inception")[0]["keys"]), gain=2**0.5)
    return {key: value for key, value in made.items() if key != "fc.weight"}


@pytest.fixture(scope="module")
def weights(state: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.numpy import save_file

    file = tmp_path_factory.mktemp("weights") / "rule.safetensors"
    save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, file)
    return file


@pytest.mark.parametrize("which", ["299", "small"])
def test_every_block_equals_pytorch_fid(golden: dict[str, np.ndarray], weights: Path, which: str) -> None:
    from shanshui.nn.inception import Inception, jt
    from shanshui.weights.catalogue import fill_network

    net = Inception("fid")
    fill_network(net, "fid_inception", weights)
    images = np.stack([resize_299(photo) for photo in golden[f"images_{which}"]])
    with jt.no_grad():
        taps = net(jt.array(images))
        jt.sync(taps)
    assert tuple(tap.shape[1] for tap in taps) == (64, 192, 768, 2048)
    for name, tap in zip(BLOCKS, taps, strict=True):
        close(tap.numpy().mean((2, 3)), golden[f"{name}_{which}"])


def test_features_of_a_set_and_their_distance(golden: dict[str, np.ndarray], weights: Path) -> None:
    network = InceptionFeatures(weights)
    photos = np.stack([resize_299(photo) for photo in golden["set0_images"][:9]])
    ours = np.concatenate([network(photos[:8]), network(photos[8:])])
    stored = golden["set0_features"][:9]
    close(ours, stored)
    reference = statistics(golden["set1_features"])
    expected = frechet_distance(reference, stored)
    assert frechet_distance(reference, ours) == pytest.approx(expected, rel=1e-4)


def test_a_file_that_does_not_fit_is_refused(state: dict[str, np.ndarray], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    odd = {key: np.ascontiguousarray(value) for key, value in state.items()}
    del odd["Mixed_5b.branch1x1.conv.weight"]
    odd["Mixed_5c.branch1x1.bn.bias"] = np.zeros(3, np.float32)
    odd["AuxLogits.fc.weight"] = np.zeros(3, np.float32)
    save_file(odd, tmp_path / "odd.safetensors")
    with pytest.raises(ShanshuiError) as caught:
        InceptionFeatures(tmp_path / "odd.safetensors")
    for part in (
        "missing Mixed_5b.branch1x1.conv.weight",
        "unexpected AuxLogits.fc.weight",
        "has shape (3,), expected (64,)",
    ):
        assert part in str(caught.value)


def test_average_pool_counts_real_pixels_or_all() -> None:
    from shanshui.nn.inception import average_pool, jt

    ones = jt.ones((1, 1, 2, 4))
    np.testing.assert_allclose(average_pool(ones, False).numpy(), 1)
    np.testing.assert_allclose(average_pool(ones, True).numpy()[0, 0, 0], np.array([4, 6, 6, 4]) / 9, rtol=1e-6)


def test_the_torchvision_variant_differs_in_the_pools_only(weights: Path) -> None:
    from shanshui.nn.inception import Inception, jt
    from shanshui.weights.catalogue import fill_network

    nets = [Inception("fid"), Inception("torchvision")]
    assert nets[0].state_dict().keys() == nets[1].state_dict().keys()
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 3, 192, 192)).astype(np.float32)
    found = []
    for net in nets:
        fill_network(net, "fid_inception", weights)
        with jt.no_grad():
            taps = net(jt.array(photo))
            jt.sync(taps)
        found.append([tap.numpy() for tap in taps])
    for i in (0, 1):
        np.testing.assert_array_equal(found[0][i], found[1][i])
    for i in (2, 3):
        assert np.abs(found[0][i] - found[1][i]).max() > 1e-3 * np.abs(found[0][i]).max()


def test_batch_statistics_normalise_by_the_batch() -> None:
    from shanshui.nn.inception import FrozenNorm, jt

    x = np.random.default_rng(0).normal(3, 2, (2, 4, 5, 6)).astype(np.float32)
    ours = FrozenNorm(4, batch_statistics=True)(jt.array(x)).numpy()
    np.testing.assert_allclose(ours.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(ours.var((0, 2, 3)), 1, atol=1e-3)
    stored = FrozenNorm(4, batch_statistics=False)(jt.array(x)).numpy()
    np.testing.assert_allclose(stored, x / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_resize_takes_the_two_nearest_pixels_without_antialias() -> None:
    ramp = np.repeat(np.arange(4, dtype=np.uint8)[None, :, None] * 60, 5, axis=0).repeat(3, axis=2)
    ours = (resize_299(ramp)[0, 0] + 1) * 127.5
    place = np.clip((np.arange(299) + 0.5) * 4 / 299 - 0.5, 0, 3)
    np.testing.assert_allclose(ours, place * 60, atol=1e-3)
    stripes = np.zeros((598, 598, 3), np.uint8)
    stripes[:, ::2] = 255
    np.testing.assert_allclose(resize_299(stripes), 0, atol=1e-6)  # half-way between two columns
    same = np.random.default_rng(0).integers(0, 256, (299, 299, 3)).astype(np.uint8)
    np.testing.assert_allclose((resize_299(same) + 1) * 127.5, same.transpose(2, 0, 1), atol=1e-4)
