"""The bundle of reference outputs: what it keeps shows a change, gives files byte by byte, and is what was derived."""

from __future__ import annotations

import runpy
from pathlib import Path

import golden_rule
import numpy as np
import pytest
from golden_files import BUNDLE, GoldenFiles, Sampled, close, largest, sample

from shanshui.weights.catalogue import load_state

LIMIT = 8e6  # bytes


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> GoldenFiles:
    return GoldenFiles(None, tmp_path_factory.mktemp("checkpoints"))


def test_it_is_small_and_covers_every_model(bundle: GoldenFiles) -> None:
    files = sorted(BUNDLE.glob("*.npz"))
    assert sum(file.stat().st_size for file in files) < LIMIT
    kept = {file.stem: sum(isinstance(a, Sampled) for a in bundle(file.stem)[1].values()) for file in files}
    for model in ("apf_generator", "apf_discriminator", "spade_generator", "spade_encoder", "spade_discriminator",
                  "clade_generator", "ccfpse_generator", "fpse_discriminator"):  # fmt: skip
        assert kept[model] >= 4, model


def test_a_changed_pixel_that_is_kept_and_a_shifted_channel_are_seen() -> None:
    array = np.random.default_rng(0).uniform(-1, 1, (2, 3, 24, 32)).astype(np.float32)
    kept = sample("x", array)
    assert largest(kept) == largest(array) == np.abs(array).max()
    close(array, kept, 0)
    close(array + np.float32(9e-5), kept, 1e-4)
    changed = array.copy()
    changed[array == kept.values[7]] += 3e-4
    with pytest.raises(AssertionError):
        close(changed, kept, 1e-4)
    for at in np.ndindex(2, 3):
        shifted = array.copy()
        shifted[at] += 3e-4
        with pytest.raises(AssertionError):
            close(shifted, kept, 1e-4)
    with pytest.raises(AssertionError):
        close(array[:, :, :12], kept, 1)
    with pytest.raises(AssertionError):
        close(array.transpose(0, 1, 3, 2).reshape(array.shape), kept, 1e-4)


def test_the_positions_spread_over_the_whole_array() -> None:
    array = np.arange(2 * 3 * 24 * 32, dtype=np.float32).reshape(2, 3, 24, 32)
    values = np.sort(sample("y", array).values)
    assert len(np.unique(values)) > 240
    assert np.diff(values).max() < array.size / 25


def test_every_checkpoint_file_comes_back_and_a_wrong_one_does_not(bundle: GoldenFiles) -> None:
    notes, contents = bundle("checkpoints")
    assert len(notes) == 10
    for path, note in notes.items():
        state = load_state(bundle.checkpoint(path))
        assert {key: tuple(array.shape) for key, array in state.items()} == {k: tuple(s) for k, s in note["keys"]}
    path = "spade/latest_net_E.pth"
    contents[path] = np.append(contents[path][:-1], contents[path][-1] ^ 1)
    bundle.checkpoint(path).unlink()
    with pytest.raises(AssertionError, match="other weights on this machine"):
        bundle.checkpoint(path)


def test_the_rule_gives_known_numbers() -> None:
    made = golden_rule.fill({"a.weight_orig": (2, 3, 1, 1), "a.weight_u": (2,), "a.weight_v": (3,), "n.weight": (2,)})
    matrix = made["a.weight_orig"].reshape(2, 3).astype(float)
    v = matrix.T @ golden_rule.value("a.weight_u", (2,))
    v /= np.linalg.norm(v)
    np.testing.assert_allclose(made["a.weight_v"], v, atol=1e-6)
    np.testing.assert_allclose(made["a.weight_u"], matrix @ v / np.linalg.norm(matrix @ v), atol=1e-6)
    assert np.abs(made["n.weight"] - 1).max() < 0.5
    assert golden_rule.smooth(16, 24, 3).shape == (1, 3, 16, 24)
    assert golden_rule.onehot(np.array([[[0, 2, 255]]]), 3).sum(1).tolist() == [[[1, 1, 0]]]


def test_it_is_what_the_reference_outputs_give(references: Path | None) -> None:
    if references is None:
        pytest.skip("the whole reference outputs are not beside the repository")
    assert runpy.run_path(str(BUNDLE / "make.py"))["unlike"](references) == []
    theirs = runpy.run_path(str(references / "golden" / "weights.py"))
    shapes = {"c.weight_orig": (4, 3, 2, 2), "c.weight_u": (4,), "c.weight_v": (12,), "c.bias": (4,), "b.weight": (5,),
              "b.running_mean": (5,), "b.running_var": (5,),
              "b.num_batches_tracked": (), "fc.weight": (3, 7)}  # fmt: skip
    for given in ({}, {"salt": "held", "gain": 2**0.5}, {"power": 0}):
        ours, wanted = golden_rule.fill(shapes, **given), theirs["fill"](shapes, **given)
        for name, array in wanted.items():
            np.testing.assert_array_equal(ours[name], array, strict=True)
    np.testing.assert_array_equal(golden_rule.smooth(20, 33, 5, 2, 4, 6), theirs["smooth"](20, 33, 5, 2, 4, 6))
    label_map = theirs["label_formula"](9, 11, 5, 2)
    np.testing.assert_array_equal(golden_rule.onehot(label_map, 5), theirs["onehot"](label_map, 5))
