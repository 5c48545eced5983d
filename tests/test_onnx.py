"""ONNX files: the reference's images of every architecture, any size and batch, equal bytes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from golden_files import GoldenFiles, close
from golden_networks import IMAGE
from rule_weights import own, reference, write
from small_weights import save_label_maps

import shanshui
from shanshui.__main__ import main
from shanshui.architectures import ccfpse_weights, spade_weights
from shanshui.architectures.apf_weights import encoder_key, generator_key
from shanshui.architectures.noise_source import image_noise, image_style
from shanshui.architectures.registry import GENERATORS
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256
from shanshui.storage.size import Size
from shanshui.synthesis import onnx_check
from shanshui.synthesis.generator_file import read_generator
from shanshui.synthesis.onnx_check import session
from shanshui.synthesis.onnx_file import generator_file

Feed = dict[str, np.ndarray]
SPADE = {"name": "spade", "base_channels": 8}
CLADE = {"base_channels": 4}
Z = {"z_dim": 256}
WIDE = Size(96, 128)


def images_of(weights: Path, feed: Mapping[str, np.ndarray], **options: Any) -> np.ndarray:
    """Images of the ONNX file of some weights."""
    made = generator_file(read_generator(weights), weights, **options)
    assert set(feed) == set(made.inputs)
    (images,) = session(made.content).run(["image"], dict(feed))
    return np.asarray(images)


# --- the reference's images -------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [False, True])
def test_apf(golden_files: GoldenFiles, tmp_path: Path, noise: bool) -> None:
    settings, arrays = golden_files("apf_generator")
    trained = reference(settings["G_keys_with_seg_noise"], generator_key)
    trained |= reference(settings["E_keys"], encoder_key, "E")
    section = {"name": "apf", "base_channels": 8, "spectral_norm": "off"}
    weights = write(tmp_path / "w.safetensors", section, trained, Size.of_maps(arrays["label"]), seg_noise=True)
    feed = {"labels": arrays["label"]}
    for i, shape in enumerate(settings["seg_noise_draws"]["shapes"] if noise else []):
        feed[f"noise_{i}"] = np.random.RandomState(1000 + i).standard_normal(shape).astype(np.float32)
    close(images_of(weights, feed, noise=noise), arrays["image_seg_noise" if noise else "image"], IMAGE)


@pytest.mark.parametrize(
    "variant", ["batch_label", "batch_z", "instance_label", "instance_z", "more_label", "most_label"]
)
def test_spade(golden_files: GoldenFiles, tmp_path: Path, variant: str) -> None:
    settings, arrays = golden_files("spade_generator")
    first, start = variant.split("_")
    section = SPADE | ({"upsampling": first} if first in ("more", "most") else {"norm": first})
    section |= Z if start == "z" else {}
    labels = arrays.get(f"{variant}:label", arrays["label"])
    trained = reference(settings["keys"][variant], spade_weights.our_key)
    weights = write(tmp_path / "w.safetensors", section, trained, Size.of_maps(labels))
    feed = {"labels": labels} | ({"z": arrays["z"]} if start == "z" else {})
    close(images_of(weights, feed), arrays[f"{variant}:image"], IMAGE)


@pytest.mark.parametrize("variant", ["plain", "dist", "edges", "edges_dist_z_instance"])
def test_clade(golden_files: GoldenFiles, tmp_path: Path, variant: str) -> None:
    settings, arrays = golden_files("clade_generator")
    section = CLADE | {"name": "clade_icpe" if "dist" in variant else "clade"}
    section |= {**Z, "norm": "instance"} if "_z_" in variant else {}
    trained = reference(settings["keys"][variant], spade_weights.our_key)
    edges = {"edges": "instance"} if "edges" in variant else {}
    weights = write(tmp_path / "w.safetensors", section, trained, Size.of_maps(arrays["label"]), **edges)
    feed = {"labels": arrays["label"]}
    feed |= {"edges": arrays["edges"]} if edges else {}
    feed |= {"positions": arrays["dist_reference"]} if "dist" in variant else {}
    feed |= {"z": arrays[f"{variant}:z"]} if "_z_" in variant else {}
    close(images_of(weights, feed), arrays[f"{variant}:image"], IMAGE)


@pytest.mark.parametrize("case", ["64x64", "96x128", "more_128x128", "z_64x64"])
def test_ccfpse(golden_files: GoldenFiles, tmp_path: Path, case: str) -> None:
    settings, arrays = golden_files("ccfpse_generator")
    section = {"name": "ccfpse", "base_channels": 2, **({"upsampling": "more"} if "more" in case else {})}
    section |= Z if case.startswith("z") else {}
    labels = arrays[f"{case}:label"]
    weights = write(
        tmp_path / "w.safetensors",
        section,
        reference(settings["keys"][case], ccfpse_weights.our_key),
        Size.of_maps(labels),
    )
    feed = {"labels": labels} | ({"z": arrays[f"{case}:z"]} if case.startswith("z") else {})
    close(images_of(weights, feed), arrays[f"{case}:image"], IMAGE)


# --- every architecture through the command ---------------------------------------------------------------

TINY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # sections, and what else the metadata say
    "apf": ({"base_channels": 4, "spade_hidden": 8, "halvings": 5}, {"seg_noise": True}),
    "spade": ({"base_channels": 4, "spade_hidden": 8, "activation": "gelu", "attention": "simam", "spade_kernel": 5},
              {"edges": "label", "ignore_label": 255}),
    "clade": ({"base_channels": 4, "upsampling": "more"}, {"unknown_class": True, "ignore_label": 255}),
    "clade_icpe": ({"base_channels": 4}, {"ignore_label": 255}),
    "ccfpse": ({"base_channels": 2}, {"edges": "instance"}),
    "oasis": ({"base_channels": 4, "spade_hidden": 8, "z_dim": 6}, {}),
    "pix2pixhd": ({"base_channels": 2}, {}),
    "inception_spade": ({"base_channels": 6, "activation": "leaky_relu"}, {"edges": "label"}),
}  # fmt: skip
CLASSES, SIZE = 4, Size(64, 128)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Weights of the smallest network of an architecture."""
    folder = tmp_path_factory.mktemp("tiny")

    def make(name: str) -> Path:
        file = folder / f"{name}.safetensors"
        if not file.exists():
            section, more = {"name": name, **TINY[name][0]}, TINY[name][1]
            context = {k: v for k, v in more.items() if k != "ignore_label"}
            arrays = own(section, SIZE, CLASSES, **context)
            write(file, section, arrays, SIZE, CLASSES, **more)
        return file

    return make


def test_every_architecture_has_a_graph() -> None:
    own_package = {name for name, kind in GENERATORS.items() if kind.__module__.startswith("shanshui.")}
    assert own_package == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_command(tiny: Callable[[str], Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command itself compares images at two sizes, two of them in one batch."""
    out = tmp_path / "w.onnx"
    assert main(["export", "onnx", "--weights", str(tiny(name)), "--out", str(out)]) == 0, capsys.readouterr().err
    model = onnx.load(out)
    assert model.ir_version == 8
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    for batch, size in ((1, SIZE), (2, Size(128, 64))):
        synthesizer = shanshui.load(tiny(name), size)
        labels = onnx_check.made_label_maps(synthesizer.classes, size)[:batch]
        names = [f"image {i}" for i in range(batch)]
        feed = inputs_of(model, labels, names, synthesizer)
        (images,) = session(out.read_bytes()).run(["image"], feed)
        instances = labels if synthesizer.accepts.instances else None
        wanted = synthesizer.generate(labels, names, seed=3, instances=instances)
        assert np.abs(wanted).max() > 0.1
        np.testing.assert_allclose(images, wanted, atol=IMAGE, rtol=0)


def inputs_of(model: Any, labels: np.ndarray, names: list[str], synthesizer: shanshui.Synthesizer) -> Feed:
    """What another program gives the file, from its inputs alone."""
    from shanshui.data.edges import edges
    from shanshui.data.positions import positions

    feed: Feed = {"labels": labels}
    for given in model.graph.input:
        dims = [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim]
        if given.name.startswith("noise_"):
            number, step = int(given.name[6:]), int(str(dims[2]).partition("/")[2] or 1)
            sides = labels.shape[1] // step, labels.shape[2] // step
            feed[given.name] = np.stack([image_noise(3, name, number, *sides) for name in names])
        elif given.name == "z":
            feed["z"] = np.stack([image_style(3, name, synthesizer.accepts.z) for name in names])
        elif given.name == "edges":
            feed["edges"] = edges(labels)
        elif given.name == "positions":
            feed["positions"] = np.stack([positions(one) for one in labels])
    return feed


# --- the file ---------------------------------------------------------------------------------------------


def export(weights: Path, out: Path, *more: str) -> int:
    return main(["export", "onnx", "--weights", str(weights), "--out", str(out), *more])


def test_equal_weights_give_equal_bytes_and_the_metadata_say_what_is_needed(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = tiny("apf")
    for name in ("a", "b"):
        assert export(weights, tmp_path / f"{name}.onnx", "--no-check") == 0
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    notes = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert json.loads(notes["classes"]) == [f"class {i}" for i in range(CLASSES)]
    assert np.array(json.loads(notes["palette"])).shape == (CLASSES, 3)
    assert notes["weights_sha256"] == sha256(weights)
    assert (notes["network"], notes["trained_size"], notes["weights_type"]) == ("apf", "128x64", "float32")
    assert "Philox" in notes["random_numbers"]


def test_half_of_the_size_and_nearly_the_same_images(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    for name, more in (("whole", []), ("half", ["--half"])):
        assert export(tiny("spade"), tmp_path / f"{name}.onnx", *more) == 0
    whole, half = (onnx.load(tmp_path / f"{name}.onnx") for name in ("whole", "half"))
    stored = [sum(len(t.raw_data) for t in model.graph.initializer) for model in (whole, half)]
    assert stored[1] < 0.6 * stored[0]


def test_one_size_only(tiny: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tiny("oasis"), tmp_path / "w.onnx", "--size", "96x32", "--noise", "off") == 0
    (given,) = onnx.load(tmp_path / "w.onnx").graph.input
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [0, 32, 96]
    assert export(tiny("oasis"), tmp_path / "other.onnx", "--size", "96x40") == 2
    assert "multiples of 32" in capsys.readouterr().err
    assert not (tmp_path / "other.onnx").exists()


def test_label_maps_of_the_user_are_compared_too(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = save_label_maps(tmp_path / "maps", ["a"])
    seen = []
    whole = onnx_check.feeds

    def feeds(found: Any, generator: Any, label_maps: np.ndarray, *more: Any) -> Feed:
        seen.append(label_maps.shape)
        return whole(found, generator, label_maps, *more)

    monkeypatch.setattr(onnx_check, "feeds", feeds)
    assert export(tiny("pix2pixhd"), tmp_path / "w.onnx", "--labels", str(maps)) == 0
    assert (1, *SIZE) in seen
    assert len({shape[1:] for shape in seen}) == 3


def test_style_encoder(golden_files: GoldenFiles, tmp_path: Path) -> None:
    settings, arrays = golden_files("spade_encoder")
    trained = reference(settings["keys"], spade_weights.our_key, "E")
    section = SPADE | Z | {"base_channels": 4, "spade_hidden": 8, "style_encoder": {"base_channels": 8}}
    trained |= {n: a for n, a in own(section, Size(32, 64), CLASSES).items() if n.startswith("G.")}
    weights = write(tmp_path / "w.safetensors", section, trained, Size(32, 64), CLASSES)
    encoder = tmp_path / "e.onnx"
    assert export(weights, tmp_path / "w.onnx", "--encoder", str(encoder)) == 0
    (z,) = session(encoder.read_bytes()).run(["z"], {"photograph": arrays["image"]})
    close(z, arrays["mu"], 1e-3)


# --- refusals: a message, and no file ---------------------------------------------------------------------


def test_images_that_differ_leave_no_file(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shanshui.export.layers.SLOPE", 0.25)
    assert export(tiny("pix2pixhd"), tmp_path / "plain.onnx") == 0, "it has no leaky ReLU"
    assert export(tiny("oasis"), tmp_path / "w.onnx") == 1
    assert "differ from those of the weights" in capsys.readouterr().err
    assert not (tmp_path / "w.onnx").exists()


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("pix2pixhd", ["--noise", "off"], "depend on random numbers"),
        ("pix2pixhd", ["--encoder", "E"], "have a style encoder"),
        ("pix2pixhd", ["--labels", "DIR", "--no-check"], "used for the comparison only"),
    ],
)
def test_an_option_without_effect_is_refused(
    tiny: Callable[[str], Path], tmp_path: Path, name: str, more: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"E": str(tmp_path / "e.onnx"), "DIR": str(tmp_path)}
    assert export(tiny(name), tmp_path / "w.onnx", *(places.get(part, part) for part in more)) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_weights_of_a_smaller_level_are_refused(
    tiny: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = checkpoint.load(tiny("apf"))
    growing = tmp_path / "growing.safetensors"
    checkpoint.save(growing, found.arrays, **found.meta | {"level": 1})
    assert export(growing, tmp_path / "w.onnx") == 1
    assert "level 1" in capsys.readouterr().err


def test_a_missing_package_is_named(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert export(tiny("pix2pixhd"), tmp_path / "w.onnx") == 1
    assert "shanshui[export]" in capsys.readouterr().err
    assert export(tiny("pix2pixhd"), tmp_path / "w.onnx", "--no-check") == 0


def test_only_a_file_of_its_own_is_replaced(
    tiny: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "w.onnx"
    out.write_bytes(b"mine")
    assert export(tiny("pix2pixhd"), out, "--no-check") == 1
    assert "--force" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert export(tiny("pix2pixhd"), out, "--no-check", "--force") == 0
    (tmp_path / ".shanshui.json").unlink(missing_ok=True)
    assert export(tiny("pix2pixhd"), out, "--no-check") == 0
