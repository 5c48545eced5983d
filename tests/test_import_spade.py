"""Weights of SPADE and CLADE come in, give the reference's pictures in any style, and nothing else comes in."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import golden_rule
import numpy as np
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE, Golden, close_map
from painted import generate
from PIL import Image

from shanshui.__main__ import main
from shanshui.architectures import spade_weights
from shanshui.architectures.registry import discriminator_of
from shanshui.architectures.spade_generator import HALVINGS
from shanshui.backend.modules import restore
from shanshui.backend.runtime import load_jittor
from shanshui.errors import UsageError
from shanshui.storage import checkpoint
from shanshui.weights.classes import class_names

jt = load_jittor()

CLASSES = 29


@pytest.fixture(scope="module")
def golden(golden_files: GoldenFiles) -> Golden:
    return Golden(golden_files, CLASSES)


@pytest.fixture(scope="module")
def files(golden_files: GoldenFiles) -> dict[str, Path]:
    """The reference's checkpoint by network."""
    return {letter: golden_files.checkpoint(f"spade/latest_net_{letter}.pth") for letter in "GED"}


@pytest.fixture(scope="module")
def expected(golden_files: GoldenFiles) -> dict[str, Any]:
    return golden_files("checkpoints/spade_expected")[1]


@pytest.fixture(scope="module")
def weights(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, brought in; the size is found by its ratio."""
    out = tmp_path_factory.mktemp("spade") / "W.safetensors"
    given = ["--generator", files["G"], "--encoder", files["E"], "--discriminator", files["D"]]
    assert main(["import", "spade", *map(str, given), "--out", str(out)]) == 0
    return out


def saved(array: np.ndarray, path: Path) -> Path:
    np.save(path, array)
    return path


def test_a_photos_style(weights: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    label_map, wanted = expected["label"][0], expected["image_from_mu"]
    style = saved(expected["image_in"][0], tmp_path / "photo.npy")
    close(generate(weights, tmp_path, label_map, "--style", style)[None], wanted, IMAGE)
    z = saved(expected["mu"], tmp_path / "z.npy")
    close(generate(weights, tmp_path, label_map, "--z", z)[None], wanted, IMAGE)
    large = label_map.repeat(2, 0).repeat(2, 1)  # is reduced to the trained size
    close(generate(weights, tmp_path, large, "--z", z)[None], wanted, IMAGE)


def test_styles_by_seed(weights: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    label_map = expected["label"][0]
    zero = saved(np.zeros(256, np.float32), tmp_path / "zero.npy")
    first, again, other = (generate(weights, tmp_path, label_map, "--seed", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    mean = generate(weights, tmp_path, label_map, "--noise", "off")
    np.testing.assert_array_equal(mean, generate(weights, tmp_path, label_map, "--z", zero))


def test_a_photo_file_is_a_style(weights: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    pixels = np.rint((expected["image_in"][0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    exact = saved((pixels / 127.5 - 1).transpose(2, 0, 1).astype(np.float32), tmp_path / "photo.npy")
    found = [generate(weights, tmp_path, expected["label"][0], "--style", f) for f in (tmp_path / "photo.png", exact)]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_halvings_are_told_as_they_are_built() -> None:
    assert spade_weights.HALVINGS == HALVINGS


def test_the_discriminator_comes_along(weights: Path, expected: dict[str, Any]) -> None:
    found = checkpoint.load(weights)
    declared = discriminator_of(found.meta)
    assert declared.name == "multiscale"
    D = declared.build()
    restore(D, found.part("D"), "D")
    D.eval()
    segmap = jt.array((expected["label"][:, None] == np.arange(11)[:, None, None]).astype(np.float32))
    (maps,) = D(segmap, jt.array(expected["image_in"]))
    for features, wanted in zip(maps, (expected["pred0"], expected["pred1"]), strict=True):
        close_map(features[-1], wanted)


# --- label starts, CLADE, edges -----------------------------------------------------------------------------


def from_rule(golden: Golden, name: str, variant: str, folder: Path, *arguments: str) -> Path:
    """A variant's generator as a pickled state dict, brought in."""
    keys = golden(name)[0]["keys"][variant]
    (folder / "net_G.pkl").write_bytes(pickle.dumps(golden_rule.fill({key: tuple(shape) for key, shape in keys})))
    call = ["import", name.split("_")[0], "--generator", str(folder / "net_G.pkl"), *arguments]
    assert main([*call, "--out", str(folder / "W.safetensors")]) == 0
    return folder / "W.safetensors"


@pytest.mark.parametrize(
    ("name", "variant", "arguments"),
    [
        ("spade_generator", "batch_label", ()),
        ("spade_generator", "more_label", ("--upsampling", "more")),
        ("spade_generator", "most_label", ()),
        ("clade_generator", "plain", ()),
        ("clade_generator", "edges", ()),
    ],
)
def test_pictures_of_variants(
    golden: Golden, tmp_path: Path, name: str, variant: str, arguments: tuple[str, ...]
) -> None:
    arrays = golden(name)[1]
    weights = from_rule(golden, name, variant, tmp_path, *arguments)
    label_map = arrays.get(f"{variant}:label", arrays["label"])[0]
    more: list[Any] = []
    if variant == "edges":
        (tmp_path / "instances").mkdir()
        Image.fromarray(arrays["instance"][0].astype(np.uint16)).save(tmp_path / "instances" / "x.png")
        more = ["--instances", tmp_path / "instances"]
    found = generate(weights, tmp_path, label_map, *more)
    close(found[None], arrays[f"{variant}:image"], IMAGE)
    if more:
        assert np.abs(generate(weights, tmp_path, label_map) - found).max() > 0.01  # edges of classes instead


def test_positions_and_pixels_without_class(golden: Golden, tmp_path: Path) -> None:
    """The encoding is made of the label map; 255 is the last class where the weights have one for it."""
    label_map = golden("clade_generator")[1]["label"][0]
    weights = from_rule(golden, "clade_generator", "dist", tmp_path)
    whole = generate(weights, tmp_path, np.where(label_map == 3, 28, label_map))
    weights = from_rule(golden, "clade_generator", "dist", tmp_path, "--unknown-class")
    holes = np.where((label_map == 3) | (label_map == 28), 255, label_map).astype(np.uint8)
    np.testing.assert_array_equal(generate(weights, tmp_path, holes), whole)


# --- refusals ---------------------------------------------------------------------------------------------


def test_what_does_not_belong_together_is_refused(
    golden: Golden, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    G, E, D = (str(files[letter]) for letter in "GED")
    out = tmp_path / "W.safetensors"
    label_start = tmp_path / "label_start.pkl"
    keys = golden("spade_generator")[0]["keys"]["instance_label"]
    label_start.write_bytes(pickle.dumps({key: np.zeros(shape, np.float32) for key, shape in keys}))
    torn = tmp_path / "torn.pth"
    torn.write_bytes(Path(G).read_bytes()[:-3000])
    for arguments, message in (
        (["spade", "--generator", E], "head_0.conv_0"),
        (["spade", "--generator", D], "head_0.conv_0"),
        (["spade", "--generator", G, "--encoder", D], "layer1.0"),
        (["spade", "--generator", G, "--discriminator", E], "discriminator_0"),
        (["spade", "--generator", G, "--size", "256x256"], "32 positions"),
        (["spade", "--generator", G, "--upsampling", "most"], '"normal"'),
        (["spade", "--generator", G, "--classes", "a,b"], "11"),
        (["spade", "--generator", G, "--edges", "--discriminator", D, "--unknown-class", "--classes", "a"], "names"),
        (["spade", "--generator", G, "--spectral-norm", "off"], ""),
        (["spade", "--generator", str(label_start), "--encoder", E], "none, it starts from the label map"),
        (["spade", "--generator", str(label_start), "--size", "256x128"], "takes any size"),
        (["spade", "--generator", str(torn)], "torn.pth"),
        (["clade", "--generator", G], "import spade"),
    ):
        code = main(["import", *arguments, "--out", str(out)])
        assert message in capsys.readouterr().err, arguments
        assert (code == 0) == (message == ""), arguments
        assert out.exists() == (message == "")
        out.unlink(missing_ok=True)


def test_more_classes_than_label_maps_can_hold_are_refused() -> None:
    assert class_names(None, 255, "net_G.pth")[-1] == "class 254"
    with pytest.raises(UsageError, match=r"net_G\.pth tells 300 classes apart"):
        class_names(None, 300, "net_G.pth")


def test_styles_that_do_not_fit_are_refused(
    weights: Path, expected: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels").mkdir()
    Image.fromarray(expected["label"][0]).save(tmp_path / "labels" / "x.png")
    short = saved(np.zeros(8, np.float32), tmp_path / "short.npy")
    (tmp_path / "text.npy").write_text("no array")
    common = ["--weights", str(weights), "--labels", str(tmp_path / "labels"), "--out", str(tmp_path / "out")]
    for arguments, message in (
        (["--z", str(short)], "256"),
        (["--z", str(tmp_path / "text.npy")], "numpy.save"),
        (["--style", str(short)], "an image"),
        (["--instances", str(tmp_path)], "sees edges"),
        (["--size", "128x128"], "one size"),
    ):
        assert main(["generate", *common, *arguments]) > 0
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
