"""CC-FPSE's own weights come in, give the reference's picture and scores, and nothing else comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import GoldenFiles, close, largest
from painted import generate
from safetensors.numpy import save_file

from shanshui.__main__ import main
from shanshui.architectures.ccfpse_weights import our_key
from shanshui.architectures.networks import restore_generator
from shanshui.architectures.registry import discriminator_of, generator_of
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor
from shanshui.data.labels import one_hot
from shanshui.storage import checkpoint
from shanshui.weights.catalogue import load_state

jt = load_jittor()

CLASSES, Z = 4, 6
ENCODER = ((3, 1), (1, 2), (2, 4), (4, 8), (8, 8), (8, 8))  # channels in and out of its convolutions


@pytest.fixture(scope="module")
def generator(golden_files: GoldenFiles) -> Path:
    return golden_files.checkpoint("ccfpse_generator/ccfpse_latest_net_G.pth")


@pytest.fixture(scope="module")
def discriminator(golden_files: GoldenFiles) -> Path:
    return golden_files.checkpoint("ccfpse/latest_net_D.pth")


def bring_in(out: Path, *arguments: str, **parts: Path) -> int:
    files = [text for name, path in parts.items() for text in (f"--{name}", str(path))]
    return main(["import", "ccfpse", *files, "--out", str(out), *arguments])


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def changed(source: Path, path: Path, changes: dict[str, Any], wrapper: str = "") -> Path:
    """A copy of a state dict with other entries (None for none)."""
    state: dict[str, Any] = load_state(source) | changes
    save_file({wrapper + name: np.ascontiguousarray(a) for name, a in state.items() if a is not None}, path)
    return path


def encoder_file(path: Path, bias: int = Z) -> Path:
    """A style encoder of made-up weights, one channel wide."""
    state: dict[str, np.ndarray] = {}
    for i, (fin, fout) in enumerate(ENCODER, 1):
        vectors = {"u": normal(fout), "v": normal(9 * fin), "orig": normal(fout, fin, 3, 3)}
        state |= {f"layer{i}.0.weight_{name}": array for name, array in vectors.items()}
    for head in ("fc_mu", "fc_var"):
        state |= {f"{head}.weight": normal(Z, 128), f"{head}.bias": normal(Z)}
    save_file(state | {"fc_mu.bias": normal(bias)}, path)
    return path


Z_START = {"fc.weight": normal(16 * 6, Z), "fc.bias": normal(16 * 6)}  # six first features of 16 channels


def test_the_references_picture_and_scores(
    golden_files: GoldenFiles, generator: Path, discriminator: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "W.safetensors"
    assert bring_in(weights, generator=generator, discriminator=discriminator) == 0
    loaded = checkpoint.load(weights)
    expected = golden_files("checkpoints/ccfpse_expected")[1]
    segmap = jt.array(one_hot(expected["label"], CLASSES))
    close(generate(weights, tmp_path, expected["label"][0])[None], expected["image"], 1e-4)
    D = discriminator_of(loaded.meta).build()
    restore(D, loaded.part("D"), str(weights))
    D.eval()
    (features,) = D(segmap, jt.array(expected["image_in"]))
    for i, maps in enumerate(features):
        wanted = expected[f"pred{i}"]
        close(maps[-1], wanted, 1e-3 * largest(wanted))


def test_every_array_of_the_files_is_either_used_or_known_to_be_useless(generator: Path, tmp_path: Path) -> None:
    weights = tmp_path / "W.safetensors"
    assert bring_in(weights, generator=generator) == 0
    theirs, ours = load_state(generator), checkpoint.load(weights).part("G")
    left = {name for name in theirs if our_key(name) is None}
    assert len(theirs) == len(ours) + len(left)
    assert {name.split(".", 1)[1].rsplit(".", 1)[0] for name in left if not name.endswith("num_batches_tracked")} == {
        "norm_0", "conv_0.norm_layer", "conv_2.norm_layer",
    }  # fmt: skip
    for name in theirs.keys() - left:
        np.testing.assert_array_equal(ours[our_key(name)], theirs[name])


def test_a_start_from_z_with_its_encoder(generator: Path, tmp_path: Path) -> None:
    """3 x 2 first features of 16 channels: pictures 96 wide and 64 high, or the other way round."""
    G = changed(generator, tmp_path / "G.safetensors", Z_START, wrapper="module.")
    E, weights = encoder_file(tmp_path / "E.safetensors"), tmp_path / "W.safetensors"
    assert bring_in(weights, "--size", "96x64", generator=G, encoder=E) == 0
    loaded = checkpoint.load(weights)
    assert loaded.meta["model"]["generator"]["style_encoder"] == {
        "base_channels": 1, "norm": "instance", "spectral_norm": "on",
    }  # fmt: skip
    assert set(loaded.part("E")) >= {"layer1.weight", "layer6.weight_v", "fc_mu.weight", "fc_var.bias"}
    network = restore_generator(loaded.arrays, loaded.meta, str(weights)).G
    segmap = jt.array(one_hot(np.zeros((2, 64, 96), np.uint8), CLASSES))
    images = network(segmap, jt.array(normal(2, Z))).numpy()
    assert images.shape == (2, 3, 64, 96)
    assert np.abs(images[0] - images[1]).max() > 1e-3
    np.save(tmp_path / "z.npy", normal(2, Z)[1])
    painted = generate(weights, tmp_path, np.zeros((64, 96), np.uint8), "--z", tmp_path / "z.npy")
    np.testing.assert_allclose(painted, images[1], atol=1e-5)


def test_weights_without_spectral_norm(generator: Path, tmp_path: Path) -> None:
    """Where it is not there, and where it is written down in vain: the same."""
    state, weights = load_state(generator), [tmp_path / "W1.safetensors", tmp_path / "W2.safetensors"]
    plain = {name.replace("weight_orig", "weight"): a for name, a in state.items() if not name.endswith(("_u", "_v"))}
    save_file({name: np.ascontiguousarray(a) for name, a in plain.items()}, tmp_path / "G.safetensors")
    assert bring_in(weights[0], generator=tmp_path / "G.safetensors") == 0
    assert bring_in(weights[1], "--spectral-norm", "off", generator=generator) == 0
    first, second = map(checkpoint.load, weights)
    assert first.meta["model"] == second.meta["model"]
    assert first.meta["model"]["generator"]["spectral_norm"] == "off"
    assert first.arrays.keys() == second.arrays.keys()


def test_what_the_weights_do_not_tell(generator: Path, tmp_path: Path) -> None:
    """Four channels: two classes, one for unlabelled pixels, edges."""
    weights = tmp_path / "W.safetensors"
    assert bring_in(weights, "--edges", "--unknown-class", "--classes", "sky,sea", generator=generator) == 0
    meta = checkpoint.load(weights).meta
    assert (meta["data"]["classes"], meta["data"]["ignore_label"]) == (["sky", "sea"], 255)
    assert (meta["model"]["edges"], meta["model"]["unknown_class"]) == ("label", True)
    assert generator_of(meta).num_classes == 3
    assert bring_in(weights, "--classes", "sky,sea", generator=generator) == 2


@pytest.mark.parametrize("case", [
    "foreign", "missing", "unexpected", "shape", "no size", "wrong size", "useless size", "encoder's z",
    "encoder's shape", "discriminator's classes", "not finite",
])  # fmt: skip
def test_what_does_not_fit_is_refused(
    case: str,
    golden_files: GoldenFiles,
    generator: Path,
    discriminator: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, weights = tmp_path / "X.safetensors", tmp_path / "W.safetensors"
    if case == "foreign":
        foreign = golden_files.checkpoint("spade/latest_net_G.pth")
        code, told = bring_in(weights, generator=foreign), "labelenc1.0.0.weight"
    elif case in ("missing", "unexpected", "shape"):
        change = {
            "missing": {"up_2.conv_3.bias": None}, "unexpected": {"more.weight": normal(2)},
            "shape": {"up_2.conv_3.bias": normal(7)},
        }[case]  # fmt: skip
        code, told = bring_in(weights, generator=changed(generator, file, change)), next(iter(change))
    elif case in ("no size", "wrong size"):
        size = ["--size", "64x64"] if case == "wrong size" else []
        code, told = bring_in(weights, *size, generator=changed(generator, file, Z_START)), "W * H = 6144"
    elif case == "useless size":
        code, told = bring_in(weights, "--size", "64x64", generator=generator), "any size"
    elif case == "encoder's z":
        code, told = bring_in(weights, generator=generator, encoder=encoder_file(file)), f"{Z} numbers"
    elif case == "encoder's shape":
        encoder = encoder_file(file, bias=7)
        code, told = bring_in(weights, generator=generator, encoder=encoder), "fc_mu.bias"
    elif case == "not finite":
        broken = changed(generator, file, {"conv_img.bias": np.array([0, np.nan, 0], np.float32)})
        code, told = bring_in(weights, generator=broken), "conv_img.bias holds numbers that are not finite"
    else:
        other = changed(discriminator, file, {"embedding.weight": normal(8, 5, 1, 1)})
        code, told = bring_in(weights, generator=generator, discriminator=other), "5 channels"
    assert code in (1, 2)
    assert told in capsys.readouterr().err
    assert not weights.exists()
