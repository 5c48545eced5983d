"""Pictures from a weights file alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from small_weights import SIZE, save_apf, save_label_maps, save_spade

from shanshui.__main__ import main
from shanshui.errors import ShanshuiError, UsageError
from shanshui.storage import checkpoint
from shanshui.synthesis.generation_inputs import ImageInputs, instance_maps, label_files, label_sources
from shanshui.synthesis.generator_file import read_generator
from shanshui.synthesis.synthesizer import Accepts

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny generator with noise, and three label maps."""
    folder = tmp_path_factory.mktemp("generate")
    save_apf(folder / "w.safetensors")
    save_label_maps(folder / "labels", NAMES)
    return folder


def generate(folder: Path, out: str, *arguments: str) -> dict[str, np.ndarray]:
    """Float pictures by name."""
    common = ["--weights", str(folder / "w.safetensors"), "--labels", str(folder / "labels"), "--format", "npy"]
    assert main(["generate", *common, "--out", str(folder / out), *arguments]) == 0
    return {path.stem: np.load(path) for path in sorted((folder / out).glob("*.npy"))}


@pytest.fixture(scope="module")
def pictures(workplace: Path) -> dict[str, np.ndarray]:
    return generate(workplace, "one", "--seed", "4", "--batch", "1")


def test_pictures_are_floats_in_range(pictures: dict[str, np.ndarray]) -> None:
    assert list(pictures) == list(NAMES)
    for picture in pictures.values():
        assert (picture.dtype, picture.shape) == (np.float32, (3, 64, 128))
        assert np.abs(picture).max() <= 1


def test_batch_does_not_change_the_pictures(workplace: Path, pictures: dict[str, np.ndarray]) -> None:
    batched = generate(workplace, "three", "--seed", "4", "--batch", "3")
    for name, picture in pictures.items():
        assert np.array_equal(batched[name], picture)


def test_seeds_differ_and_noise_can_be_switched_off(workplace: Path, pictures: dict[str, np.ndarray]) -> None:
    other = generate(workplace, "other", "--seed", "5")
    silent = generate(workplace, "silent", "--noise", "off", "--seed", "4")
    again = generate(workplace, "again", "--noise", "off", "--seed", "5")
    assert np.abs(other["a"] - pictures["a"]).max() > 1e-3
    assert np.abs(silent["a"] - pictures["a"]).max() > 1e-3
    assert np.array_equal(silent["a"], again["a"])


def test_wrong_label_leaves_no_folder(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.new("L", (128, 64), 9).save(labels / "bad.png")
    weights = str(workplace / "w.safetensors")
    code = main(["generate", "--weights", weights, "--labels", str(labels), "--out", str(tmp_path / "out")])
    assert code == 1
    assert "bad.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sizes_the_network_cannot_make_are_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", str(workplace / "labels")]
    assert main(["generate", *arguments, "--out", str(workplace / "x"), "--size", "100x64"]) == 2
    assert "multiples of 32" in capsys.readouterr().err


def test_out_may_not_hold_what_is_read(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is replaced; with it the weights or label maps would go."""
    for out in (workplace, workplace / "labels", workplace / "labels" / ".." / "labels"):
        arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", str(workplace / "labels")]
        assert main(["generate", *arguments, "--out", str(out)]) == 2
        assert "a folder of its own" in capsys.readouterr().err
    assert (workplace / "w.safetensors").is_file()
    assert len(list((workplace / "labels").iterdir())) == len(NAMES)


def test_several_sets_need_names_of_their_own(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = str(workplace / "labels")
    for parts, said in (
        ([labels, labels], "SET=PATH"),
        ([f"a={labels}", f"a={labels}"], "--labels a= twice"),
        ([f"a={labels}", labels], "SET=PATH"),
    ):
        arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", *parts]
        assert main(["generate", *arguments, "--out", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_label_maps_need_names_of_their_own(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(workplace / "labels", tmp_path / "labels")
    shutil.copy(tmp_path / "labels" / "b.png", tmp_path / "labels" / "b.bmp")
    (tmp_path / "no-names.csv").write_text("file,label\na,b\n", encoding="utf-8")
    for labels, said in (("labels", "holds b twice"), ("no-names.csv", "file, label"), ("absent", "does not exist")):
        arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", str(tmp_path / labels)]
        assert main(["generate", *arguments, "--out", str(tmp_path / "out")]) == 1
        assert said in capsys.readouterr().err


def test_wrong_numbers_are_refused(workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--weights", str(workplace / "w.safetensors"), "--labels", str(workplace / "labels")]
    for wrong in (["--size", "0x64"], ["--batch", "0"], ["--batch", "-1"]):
        with pytest.raises(SystemExit) as ended:
            main(["generate", *arguments, "--out", str(tmp_path / "out"), *wrong])
        assert ended.value.code == 2
        assert "expected" in capsys.readouterr().err
    assert main(["generate", *arguments, "--out", str(tmp_path / "out"), "--blend", "0.3"]) == 2
    assert "--blend with 0 styles" in capsys.readouterr().err


def test_pictures_that_are_not_finite_are_refused(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = checkpoint.load(workplace / "w.safetensors")
    arrays = {name: np.full_like(array, np.nan) for name, array in weights.arrays.items()}
    checkpoint.save(tmp_path / "nan.safetensors", arrays, **weights.meta)
    common = ["--weights", str(tmp_path / "nan.safetensors"), "--labels", str(workplace / "labels")]
    assert main(["generate", *common, "--out", str(tmp_path / "out")]) == 1
    assert "the image of a is not finite" in capsys.readouterr().err
    assert main(["styles", *common, "--seeds", "0", "--out", str(tmp_path / "sheet.png")]) == 1
    assert "the image of a is not finite" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"nan.safetensors"}


def test_instance_maps_are_found(tmp_path: Path) -> None:
    """By name in a folder, or in the manifest."""
    for folder in ("labels", "maps"):
        save_label_maps(tmp_path / folder, "ab")
    label = tmp_path / "labels" / "a.png"
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"name,label,instance\na,{label},elsewhere.png\nb,{label},\n", encoding="utf-8")
    found = label_files(tmp_path / "labels", tmp_path / "maps")
    assert [one.instance for one in found] == [tmp_path / "maps" / f"{name}.png" for name in "ab"]
    assert [one.instance for one in label_files(tmp_path / "labels")] == [None, None]
    assert [one.instance for one in label_files(manifest)] == [Path("elsewhere.png"), None]
    assert [one.instance for one in label_files(manifest, tmp_path / "maps")] == [one.instance for one in found]
    with pytest.raises(ShanshuiError, match="absent does not exist"):
        label_files(manifest, tmp_path / "absent")


def test_instance_maps_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    of_classes = Accepts(seed=False, z=0, style=False, edges=True, instances=False)
    of_instances = replace(of_classes, instances=True)
    with_maps, without = [ImageInputs("a", tmp_path, tmp_path)], [ImageInputs("a", tmp_path)]
    assert instance_maps(of_instances, with_maps, given=False) == {tmp_path: tmp_path}
    assert instance_maps(of_classes, with_maps, given=True) == {tmp_path: tmp_path}
    assert instance_maps(of_classes, with_maps, given=False) == {}, "edges of classes, as it was trained"
    for accepts, given in ((of_instances, False), (of_classes, True)):
        with pytest.raises(ShanshuiError, match="no instance map of a"):
            instance_maps(accepts, without, given)
    with pytest.raises(UsageError, match="--instances"):
        instance_maps(replace(of_classes, edges=False), with_maps, given=True)


def test_a_path_may_hold_an_equals_sign() -> None:
    assert label_sources(["test=/x/a=b.csv"]) == {"test": Path("/x/a=b.csv")}
    assert label_sources(["maps"]) == {"": Path("maps")}


def test_sheets_show_instances(tmp_path: Path) -> None:
    """Weights trained on edges of instances get them from `--instances`; without, they are asked for."""
    save_spade(tmp_path / "w.safetensors", edges="instance")
    save_label_maps(tmp_path / "labels", "a")
    for folder, numbers in (("one", np.zeros(SIZE, np.uint8)), ("eight", np.indices(SIZE, np.uint8)[0] // 8)):
        (tmp_path / folder).mkdir()
        Image.fromarray(numbers).save(tmp_path / folder / "a.png")
    call = ["styles", "--weights", str(tmp_path / "w.safetensors"), "--labels", str(tmp_path / "labels"), "--seeds=0"]
    assert main([*call, "--out", str(tmp_path / "sheet.png")]) == 1
    sheets = []
    for folder in ("one", "eight"):
        assert main([*call, "--instances", str(tmp_path / folder), "--out", str(tmp_path / f"{folder}.png")]) == 0
        sheets.append(np.asarray(Image.open(tmp_path / f"{folder}.png")))
    assert (sheets[0] != sheets[1]).any()


def described(meta: dict[str, Any]) -> dict[str, Any]:
    data = {"classes": ["a", "b"], "width": 64, "height": 64, "label_offset": 0, "ignore_label": None}
    whole = {
        "data": data,
        "model": {"generator": {"name": "apf"}},
        "parity": {},
        "heads": 0,
        "seg_noise": False,
        "level": None,
    }
    return {name: value for name, value in {**whole, "alpha": 0.0, **meta}.items() if value != "gone"}


UNDESCRIBED: dict[str, dict[str, Any]] = {
    **{name: {name: "gone"} for name in ("data", "model", "parity", "heads", "seg_noise", "level", "alpha")},
    "data.classes": {"data": {"label_offset": 0, "ignore_label": None, "width": 64, "height": 64}},
    "data.width": {"data": {"classes": [], "label_offset": 0, "ignore_label": None, "width": "64", "height": 64}},
    "model.generator": {"model": {"halvings": 5}},
    "model.generator.name": {"model": {"generator": {"halvings": 5}}, "parity": "gone", "heads": "gone"},
    "a level in words": {"level": "third"},
}


@pytest.mark.parametrize("kind", UNDESCRIBED)
def test_weights_described_otherwise_are_refused(kind: str, tmp_path: Path) -> None:
    """As a version to come, or another program, may write them."""
    file = tmp_path / "w.safetensors"
    arrays = {"G.weight": np.ones(2, np.float32)}
    checkpoint.save(file, arrays, kind="generator", **described({}))
    assert read_generator(file).meta["level"] is None
    checkpoint.save(file, arrays, kind="generator", **described(UNDESCRIBED[kind]))
    with pytest.raises(ShanshuiError, match="does not say as this version does what it holds") as caught:
        read_generator(file)
    assert kind.removeprefix("a ").removesuffix(" in words") in caught.value.found
    save_file(arrays, file, metadata={checkpoint.META: "[1]"})
    with pytest.raises(ShanshuiError, match="its metadata is no JSON object"):
        read_generator(file)


def test_weights_are_read_in_single_precision(tmp_path: Path) -> None:
    for kind in (np.float16, np.float64):
        checkpoint.save(tmp_path / "w.safetensors", {"G.a": np.full(2, 0.5, kind)}, kind="generator", **described({}))
        assert read_generator(tmp_path / "w.safetensors").arrays["G.a"].dtype == np.float32
    checkpoint.save(tmp_path / "w.safetensors", {"G.a": np.ones(2, np.int32)}, kind="generator", **described({}))
    with pytest.raises(ShanshuiError, match=r"G\.a holds numbers of type int32"):
        read_generator(tmp_path / "w.safetensors")
