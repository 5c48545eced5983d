"""The one way from weights to images, as a notebook uses it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_weights import CLASSES, SIZE, Z, label_map, save_apf, save_label_maps, save_spade

import shanshui
from shanshui.__main__ import main
from shanshui.errors import ShanshuiError
from shanshui.storage import checkpoint
from shanshui.storage.provenance import code_version
from shanshui.synthesis.synthesizer import Synthesizer

NAMES = ["a", "b", "c"]
MAPS = np.stack([label_map(name) for name in NAMES])
LEFT = (np.arange(SIZE.width) < 40).astype(np.int32) * np.ones((SIZE.height, 1), np.int32)  # two instances


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of two tiny generators, label maps, and two photographs of another size."""
    folder = tmp_path_factory.mktemp("synthesizer")
    save_apf(folder / "apf.safetensors")
    save_spade(folder / "spade.safetensors")
    save_label_maps(folder / "labels", NAMES)
    rng = np.random.default_rng(1)
    for name in ("day", "dusk"):
        Image.fromarray(rng.integers(0, 256, (50, 90, 3)).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def apf(folder: Path) -> Synthesizer:
    return shanshui.load(folder / "apf.safetensors")


@pytest.fixture(scope="module")
def spade(folder: Path) -> Synthesizer:
    return shanshui.load(str(folder / "spade.safetensors"))


def stage(folder: Path, weights: str, out: Path, *arguments: str, form: str = "npy") -> dict[str, Path]:
    """Files that the stage `generate` writes, by name."""
    common = ["--weights", str(folder / f"{weights}.safetensors"), "--labels", str(folder / "labels")]
    assert main(["generate", *common, "--out", str(out), "--format", form, *arguments]) == 0
    return {path.stem: path for path in sorted(out.glob(f"*.{form}"))}


# --- what comes out -----------------------------------------------------------------------------------


def test_batch_order_and_type_of_ids_do_not_matter(apf: Synthesizer) -> None:
    together = apf.generate(MAPS, NAMES, seed=4)
    assert (together.dtype, together.shape) == (np.float32, (3, 3, *SIZE))
    assert np.abs(together).max() <= 1
    for i, name in enumerate(NAMES):
        alone = apf.generate(MAPS[i].astype(np.int64), name, seed=4)
        assert alone.shape == (1, 3, *SIZE)
        np.testing.assert_array_equal(alone[0], together[i])
    np.testing.assert_array_equal(apf.generate(list(MAPS[::-1]), NAMES[::-1], seed=4, batch=2), together[::-1])


def test_noise_is_of_seed_and_name_alone(apf: Synthesizer) -> None:
    one = apf.generate(MAPS[0], "a", seed=4)
    np.testing.assert_array_equal(apf.generate(MAPS[0], "a", seed=np.int64(4)), one)
    for other in (apf.generate(MAPS[0], "b", seed=4), apf.generate(MAPS[0], "a", seed=5)):
        assert np.abs(other - one).max() > 1e-3
    silent = apf.generate(MAPS[0], "a", seed=None)
    np.testing.assert_array_equal(apf.generate(MAPS[0], "b", seed=None), silent)
    assert np.abs(silent - one).max() > 1e-3
    unnamed = apf.generate(MAPS[:2])
    np.testing.assert_array_equal(apf.generate(MAPS[:2], ["0", "1"], seed=0), unnamed)


@pytest.mark.parametrize("weights", ["apf", "spade"])
def test_the_stage_writes_the_same_images(
    weights: str, folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    synthesizer: Synthesizer = request.getfixturevalue(weights)
    made = synthesizer.generate(MAPS, NAMES, seed=4)
    files = stage(folder, weights, tmp_path / "npy", "--seed", "4", "--batch", "2")
    assert list(files) == NAMES
    for image, file in zip(made, files.values(), strict=True):
        np.testing.assert_array_equal(np.load(file), image)
    rounded = stage(folder, weights, tmp_path / "png", "--seed", "4", form="png")
    for image, file in zip(shanshui.to_pil(made), rounded.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.asarray(image))


def test_another_size_is_chosen_when_weights_are_read(folder: Path, tmp_path: Path) -> None:
    large = shanshui.load(folder / "apf.safetensors", size=shanshui.Size(128, 256))
    assert (large.size, str(large.size)) == ((128, 256), "256x128")
    ids = large.read_label_map(folder / "labels" / "a.png")
    np.testing.assert_array_equal(ids, MAPS[0].repeat(2, 0).repeat(2, 1))
    files = stage(folder, "apf", tmp_path / "large", "--size", "256x128")
    np.testing.assert_array_equal(np.load(files["a"]), large.generate(ids, "a")[0])


def test_weights_of_no_one_size_take_all_that_fit(tmp_path: Path) -> None:
    free = shanshui.load(save_apf(tmp_path / "w.safetensors", width=None, height=None))
    assert free.size is None
    assert free.generate(MAPS[0, :32, :96]).shape == (1, 3, 32, 96)
    with pytest.raises(ShanshuiError, match="size 100x64"):
        free.generate(MAPS[0, :, :100])


# --- styles and instances -----------------------------------------------------------------------------


def test_styles_of_photographs(spade: Synthesizer, folder: Path, tmp_path: Path) -> None:
    """By file, pixels or picture; a style is a z, for all images or for each its own; the stage makes the same."""
    day, dusk = (spade.style_of(folder / f"{name}.png") for name in ("day", "dusk"))
    assert (day.dtype, day.shape) == (np.float32, (Z,))
    np.testing.assert_array_equal(spade.style_of(np.asarray(Image.open(folder / "day.png"))), day)
    np.testing.assert_array_equal(spade.style_of(spade.read_photograph(folder / "day.png")), day)
    lit = spade.generate(MAPS, NAMES, style=folder / "day.png")
    np.testing.assert_array_equal(spade.generate(MAPS, seed=9, z=day), lit)
    each = spade.generate(MAPS[:2], z=np.stack([day, dusk]))
    np.testing.assert_array_equal(each[0], lit[0])
    np.testing.assert_array_equal(each[1], spade.generate(MAPS[1], z=dusk[None])[0])
    assert np.abs(each[1] - lit[1]).max() > 1e-3
    files = stage(folder, "spade", tmp_path / "day", "--style", str(folder / "day.png"))
    np.testing.assert_array_equal(np.load(files["a"]), lit[0])
    both = stage(folder, "spade", tmp_path / "b", "--style", *(str(folder / f"{n}.png") for n in ("day", "dusk")))
    np.testing.assert_array_equal(np.load(both["a"]), spade.generate(MAPS[0], z=(day + dusk) / 2)[0])


def test_edges_are_of_instances_where_they_are_given(spade: Synthesizer, tmp_path: Path) -> None:
    of_classes = spade.generate(MAPS[0])
    np.testing.assert_array_equal(spade.generate(MAPS[0], instances=MAPS[0].astype(np.uint16)), of_classes)
    of_instances = spade.generate(MAPS, instances=np.stack([LEFT] * 3))
    assert np.abs(of_instances[0] - of_classes[0]).max() > 1e-4
    Image.fromarray(LEFT.astype(np.uint8)).resize((64, 32), Image.Resampling.NEAREST).save(tmp_path / "i.png")
    numbers = spade.read_instance_map(tmp_path / "i.png", MAPS[0])
    np.testing.assert_array_equal(numbers, LEFT)


def test_weights_trained_on_instances_need_them(tmp_path: Path) -> None:
    synthesizer = shanshui.load(save_spade(tmp_path / "w.safetensors", edges="instance"))
    assert (synthesizer.accepts.edges, synthesizer.accepts.instances) == (True, True)
    with pytest.raises(ShanshuiError, match="no instance maps"):
        synthesizer.generate(MAPS[0])
    assert synthesizer.generate(MAPS[0], instances=LEFT).shape == (1, 3, *SIZE)


def test_instance_map_of_another_size_is_named(tmp_path: Path) -> None:
    free = shanshui.load(save_apf(tmp_path / "w.safetensors", width=None, height=None))
    Image.new("L", (8, 8)).save(tmp_path / "i.png")
    with pytest.raises(ShanshuiError, match=r"i\.png is 8x8\n  expected: its label map's size, 128x64"):
        free.read_instance_map(tmp_path / "i.png", MAPS[0])


# --- what weights say of themselves -------------------------------------------------------------------


def test_what_weights_take_and_say(apf: Synthesizer, spade: Synthesizer, folder: Path) -> None:
    assert (apf.size, spade.size) == (SIZE, SIZE)
    assert (apf.classes.names, apf.classes.ignore_label) == (("0", "1", "2"), None)
    assert (spade.classes.names, spade.classes.ignore_label) == (("sky", "water", "tree"), 9)
    assert vars(apf.accepts) == {"seed": True, "z": 0, "style": False, "edges": False, "instances": False}
    assert vars(spade.accepts) == {"seed": True, "z": Z, "style": True, "edges": True, "instances": False}
    card = spade.card
    assert (card.source, card.generator) == (str(folder / "spade.safetensors"), "spade")
    assert (card.phase, card.epoch, card.averaged, card.metrics) == ("finetune", 7, (), {})
    assert card.code == code_version()
    assert card.recipe["model"]["generator"]["z_dim"] == Z
    assert card.data["classes"] == ["sky", "water", "tree"]


def test_average_says_whose_mean_it_is(folder: Path, tmp_path: Path) -> None:
    weights = str(folder / "apf.safetensors")
    assert main(["merge", weights, weights, "--out", str(tmp_path / "mean.safetensors")]) == 0
    assert [each["file"] for each in shanshui.load(tmp_path / "mean.safetensors").card.averaged] == [
        "apf.safetensors"
    ] * 2


def test_no_class_is_for_weights_that_know_it(apf: Synthesizer, spade: Synthesizer, tmp_path: Path) -> None:
    """In files it is the number they were trained with, in arrays 255."""
    holes = MAPS[0].copy()
    holes[:8] = 9
    Image.fromarray(holes).save(tmp_path / "holes.png")
    ids = spade.read_label_map(tmp_path / "holes.png")
    assert set(np.unique(ids)) == {0, 1, 2, 255}
    assert np.abs(spade.generate(ids) - spade.generate(MAPS[0])).max() > 1e-4
    with pytest.raises(ShanshuiError, match=r"holes\.png holds pixel values that are no class: 9"):
        apf.read_label_map(tmp_path / "holes.png")
    with pytest.raises(ShanshuiError, match=r"no class: 255 \(1024 pixels\)"):
        apf.generate(ids)


# --- what is refused ----------------------------------------------------------------------------------

ONE_HOT = (MAPS[0][None] == np.arange(CLASSES)[:, None, None]).astype(np.uint8)
WRONG = np.where(MAPS[0] == 0, 3, MAPS[0].astype(int))
Ask = Callable[[Synthesizer], Any]
REFUSED: dict[str, tuple[str, Ask, str, str]] = {
    "one-hot": ("apf", lambda s: s.generate(ONE_HOT), "a one-hot array", "argmax"),
    "one-hot batch": ("apf", lambda s: s.generate(ONE_HOT[None]), "a one-hot array", "argmax"),
    "one-hot floats": ("apf", lambda s: s.generate(ONE_HOT.astype(np.float32)), "type float32", "argmax"),
    "booleans": ("apf", lambda s: s.generate(MAPS[0] > 0), "type bool", "whole numbers"),
    "another size": ("apf", lambda s: s.generate(MAPS[:, :32]), "128x32", "128x64, the size of these weights"),
    "several sizes": ("apf", lambda s: s.generate([MAPS[0], MAPS[0][:32]]), "several sizes", "one by one"),
    "no label map": ("apf", lambda s: s.generate(MAPS[:0]), "shape (0, 64, 128)", "(N, H, W)"),
    "a line": ("apf", lambda s: s.generate(MAPS[0, 0]), "shape (128,)", "(N, H, W)"),
    "too large an id": ("apf", lambda s: s.generate(WRONG), "no class: 3 (", "0 to 2"),
    "negative id": ("apf", lambda s: s.generate(MAPS[0].astype(int) - 1), "no class: -1 (", "read_label_map"),
    "id that would wrap": ("spade", lambda s: s.generate(MAPS[0].astype(int) - 256), "-256 (", "or 255 for no class"),
    "too few names": ("apf", lambda s: s.generate(MAPS, ["a", "b"]), "for 3 label map(s)", "one text"),
    "names that are no text": ("apf", lambda s: s.generate(MAPS[0], [1]), "names [1]", "one text"),
    "seed": ("apf", lambda s: s.generate(MAPS[0], seed=7.0), "seed 7.0", "whole number"),  # type: ignore[arg-type]
    "batch": ("apf", lambda s: s.generate(MAPS[0], batch=0), "batch 0", "1 or more"),
    "z for none": ("apf", lambda s: s.generate(MAPS[0], z=np.zeros(Z)), "z holds a style vector", "takes a style"),
    "style for none": ("apf", lambda s: s.generate(MAPS[0], style="x.png"), "a style for", "starts from one"),
    "instances for none": ("apf", lambda s: s.generate(MAPS[0], instances=LEFT), "instance maps", "sees edges"),
    "short z": ("spade", lambda s: s.generate(MAPS[0], z=np.zeros(3)), "shape (3,)", "8 finite numbers"),
    "z of another count": ("spade", lambda s: s.generate(MAPS, z=np.zeros((2, Z))), "shape (2, 8)", "8 finite"),
    "z that is not finite": ("spade", lambda s: s.generate(MAPS[0], z=np.full(Z, np.nan)), "shape (8,)", "8 finite"),
    "z of words": ("spade", lambda s: s.generate(MAPS[0], z="day.png"), "no numbers", "8 finite numbers"),
    "both": ("spade", lambda s: s.generate(MAPS[0], style="x.png", z=np.zeros(Z)), "a style and z", "one of them"),
    "other instances": ("spade", lambda s: s.generate(MAPS, instances=LEFT), "(1, 64, 128)", "(3, 64, 128)"),
    "instances in floats": ("spade", lambda s: s.generate(MAPS[0], instances=LEFT / 2), "float64", "whole numbers"),
    "grey photograph": ("spade", lambda s: s.style_of(np.zeros(SIZE, np.uint8)), "(64, 128)", "uint8 (H, W, 3)"),
    "picture of pixels": ("spade", lambda s: s.style_of(np.full((3, 9, 9), 255.0)), "to 255", "[-1, 1]"),
    "no file": ("spade", lambda s: s.style_of("absent.png"), "absent.png", ""),
    "to_pil of pixels": ("apf", lambda s: shanshui.to_pil(np.zeros((9, 9, 3))), "(9, 9, 3)", "(N, 3, H, W)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str, request: pytest.FixtureRequest) -> None:
    weights, ask, found, remedy = REFUSED[case]
    with pytest.raises(ShanshuiError) as refused:
        ask(request.getfixturevalue(weights))
    assert found in refused.value.found
    assert remedy in str(refused.value)
    assert refused.value.expected or case == "no file"


def test_weights_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ShanshuiError, match="does not exist"):
        shanshui.load(tmp_path / "absent.safetensors")
    with pytest.raises(ShanshuiError, match=r"size 100x64\n  expected: sides that are multiples of 32"):
        shanshui.load(folder / "apf.safetensors", size=shanshui.Size(64, 100))
    known = checkpoint.load(folder / "apf.safetensors")
    meta = {name: value for name, value in known.meta.items() if name not in ("shanshui", "python")}
    checkpoint.save(tmp_path / "other.safetensors", known.arrays, **meta | {"kind": "segmenter"})
    with pytest.raises(ShanshuiError, match="holds no generator"):
        shanshui.load(tmp_path / "other.safetensors")
    broken = {name: np.full_like(array, np.nan) for name, array in known.arrays.items()}
    checkpoint.save(tmp_path / "nan.safetensors", broken, **meta)
    with pytest.raises(ShanshuiError, match="the image of a is not finite"):
        shanshui.load(tmp_path / "nan.safetensors").generate(MAPS[0], "a")
    bare = shanshui.load(save_spade(tmp_path / "bare.safetensors", encoder=False))
    assert (bare.accepts.style, bare.accepts.z) == (False, Z)
    with pytest.raises(ShanshuiError, match="holds no style encoder"):
        bare.generate(MAPS[0], style=folder / "day.png")


# --- in a notebook ------------------------------------------------------------------------------------


def test_importing_the_package_loads_nothing() -> None:
    script = "import sys, shanshui; print(shanshui.__version__, *{'numpy', 'PIL', 'jittor'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(shanshui.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [shanshui.__version__]


def test_examples_of_the_document_run(root: Path, here: Path, folder: Path) -> None:
    """With weights, label maps and photographs of the names that they use."""
    text = (root / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert examples
    for name, file in (
        ("W", "apf.safetensors"), ("STYLES", "spade.safetensors"), ("lake", "labels/a.png"), ("hills", "labels/b.png"),
        ("day", "day.png"), ("dusk", "dusk.png"),
    ):  # fmt: skip
        (here / f"{name}{Path(file).suffix}").write_bytes((folder / file).read_bytes())
    names: dict[str, Any] = {}
    for number, example in enumerate(examples):
        exec(compile(example, f"docs/python.md, example {number}", "exec"), names)
    assert {path.name for path in here.glob("*.png")} >= {"landscape.png", "between_0.png", "between_4.png"}
    wanted = shanshui.load(folder / "apf.safetensors").generate(MAPS[0], "lake", seed=7)
    np.testing.assert_array_equal(np.asarray(Image.open("landscape.png")), np.asarray(shanshui.to_pil(wanted)[0]))
    last = Image.open("between_4.png")
    np.testing.assert_array_equal(np.asarray(last), np.asarray(shanshui.to_pil(names["images"])[4]))
