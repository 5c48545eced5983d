"""The starter model: where it is used, and the tool that makes its file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_weights import label_map, save_apf, save_label_maps, save_spade

import shanshui
from shanshui.__main__ import main
from shanshui.config.settings import load_config
from shanshui.errors import UsageError
from shanshui.storage import checkpoint
from shanshui.synthesis import starter


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_apf(tmp_path_factory.mktemp("weights") / "w.safetensors")


@pytest.fixture(scope="module")
def half(weights: Path) -> Path:
    out = weights.parent / "starter" / "half.safetensors"
    assert main(["export", "half", "--weights", str(weights), "--out", str(out)]) == 0
    return out


@pytest.fixture
def packaged(half: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model in place of the packaged one."""
    monkeypatch.setattr(starter, "FOLDER", half.parent)
    return half


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "FOLDER", tmp_path / "absent")
    monkeypatch.chdir(tmp_path)


def test_file_is_half_as_large_and_says_what_the_weights_say(weights: Path, half: Path) -> None:
    assert half.stat().st_size < 0.6 * weights.stat().st_size
    whole, stored = checkpoint.load(weights), checkpoint.load(half)
    assert stored.meta == {**whole.meta, "stored": "float16"}
    assert stored.arrays.keys() == whole.arrays.keys()
    for name, array in stored.arrays.items():
        assert array.dtype == (np.float16 if array.ndim > 1 else np.float32), name
        np.testing.assert_array_equal(array, whole.arrays[name].astype(array.dtype))


def test_equal_weights_give_equal_bytes(
    weights: Path, half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source, name in ((weights, "again"), (half, "twice")):
        out = tmp_path / f"{name}.safetensors"
        assert main(["export", "half", "--weights", str(source), "--out", str(out)]) == 0
        assert out.read_bytes() == half.read_bytes()
    first, second = capsys.readouterr().out.splitlines()
    assert f"images differ from those of {weights} by 0." in first
    assert second.endswith("by 0.00 of 255 on average, at most 0.0")


def test_style_vectors_and_instances_are_compared_too(tmp_path: Path) -> None:
    spade = save_spade(tmp_path / "spade.safetensors", edges="instance")
    assert main(["export", "half", "--weights", str(spade), "--out", str(tmp_path / "half.safetensors")]) == 0


def test_what_float16_cannot_hold_is_refused(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = checkpoint.load(weights)
    name = next(name for name, array in found.arrays.items() if array.ndim == 4)
    large = found.arrays[name].copy()
    large.flat[0] = -1e5
    checkpoint.save(tmp_path / "large.safetensors", {**found.arrays, name: large}, **found.meta)
    out = tmp_path / "out.safetensors"
    assert main(["export", "half", "--weights", str(tmp_path / "large.safetensors"), "--out", str(out)]) == 1
    assert f"{name} holds 1e+05" in capsys.readouterr().err
    assert not out.exists()


def test_only_files_of_its_own_are_replaced(
    weights: Path, half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(weights.read_bytes())
    assert main(["export", "half", "--weights", str(half), "--out", str(mine)]) == 1
    assert mine.read_bytes() == weights.read_bytes()
    assert str(mine) in capsys.readouterr().err


def test_card_says_how_it_was_trained_and_stored(half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", str(half), "--note", "1,000 embedded landscapes, 900 steps, 3 hours."]) == 0
    said = capsys.readouterr().out
    assert "## Training\n\n1,000 embedded landscapes, 900 steps, 3 hours.\n\n" in said
    assert " MB, float16, SHA-256" in said


def test_load_without_a_file_reads_it(packaged: Path) -> None:
    ids = label_map("a")
    wanted = shanshui.load(packaged).generate(ids, "a", seed=7)
    np.testing.assert_array_equal(shanshui.load().generate(ids, "a", seed=7), wanted)
    assert shanshui.load(size=shanshui.Size(64, 64)).size == (64, 64)


def test_generate_without_weights_uses_it_and_says_so(
    packaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = str(save_label_maps(tmp_path / "maps", ["a"]))
    assert main(["generate", "--labels", maps, "--out", str(tmp_path / "starter"), "--seed", "3"]) == 0
    assert capsys.readouterr().out == "no --weights: images by the starter model, half.safetensors\n"
    given = ["--weights", str(packaged), "--labels", maps, "--out", str(tmp_path / "given"), "--seed", "3"]
    assert main(["generate", *given]) == 0
    assert capsys.readouterr().out == ""
    one, other = (np.asarray(Image.open(tmp_path / out / "a.png")) for out in ("starter", "given"))
    np.testing.assert_array_equal(one, other)


def test_page_without_weights_uses_it(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[str] = []
    monkeypatch.setattr("shanshui.painting.launch.run", lambda offer, *_: offered.extend(offer.weights))
    assert main(["paint"]) == 0
    assert main(["paint", "--weights", str(packaged), str(packaged)]) == 0
    assert offered == [str(packaged)] * 3


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("command", ["paint", "generate"])
def test_without_any_weights_the_demo_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    save_label_maps(Path("maps"), ["a"])
    words = [command, *(["--labels", "maps", "--out", "out"] if command == "generate" else [])]
    assert main(words) == 2
    assert "make demo" in capsys.readouterr().err
    Path("results/demo/merge").mkdir(parents=True)
    Path("results/demo/merge/9+12.safetensors").touch()
    assert main(words) == 2
    assert "results/demo/merge/9+12.safetensors" in capsys.readouterr().err
    assert not Path("out").exists()
    with pytest.raises(UsageError, match="no weights, and no starter model"):
        shanshui.load()


def test_packaged_file_is_small_and_of_landscapes() -> None:
    """As far as it is there."""
    if not (found := starter.starter_weights()):
        pytest.skip("no starter model in this tree")
    assert found.stat().st_size <= starter.LARGEST
    assert [path.suffix for path in sorted(starter.FOLDER.iterdir())] == [".md", ".safetensors"]
    meta = checkpoint.read_meta(found)
    assert (meta["kind"], meta["stored"], meta["model"]["generator"]["name"]) == ("generator", "float16", "apf")
    assert (meta["data"]["width"], meta["data"]["height"], len(meta["data"]["classes"])) == (256, 192, 29)


def test_first_example_of_the_readme_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not starter.starter_weights():
        pytest.skip("no starter model in this tree")
    (tmp_path / "src").symlink_to(root / "src")
    monkeypatch.chdir(tmp_path)
    for name in ("README.md", "README.zh.md"):
        (example,) = re.findall(r"^```python\n(.*?)^```", (root / name).read_text(encoding="utf-8"), re.M | re.S)
        exec(compile(example, name, "exec"), {})
        image = tmp_path / "lake.png"
        assert Image.open(image).size == (256, 192)
        image.unlink()


def test_recipe_makes_a_file_that_is_small_enough(root: Path) -> None:
    from shanshui.architectures.networks import build_generator
    from shanshui.config.settings import stage_settings
    from shanshui.nn.cost import trained_parameters

    config = load_config([root / "config" / "starter.yaml"])
    generator = build_generator(stage_settings(config, "finetune"), seg_noise=True)
    count = sum(trained_parameters(network) for network in generator.networks().values())
    assert 2 * count < 0.98 * starter.LARGEST
    assert (config.data.width, config.data.height, config.landscapes.test) == (256, 192, 32)


def test_wheel_holds_it(root: Path, half: Path, tmp_path: Path) -> None:
    """Files next to the modules are packaged, whatever their ending."""
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "NOTICE", "src"):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copyfile
        copy(root / name, tmp_path / name)
    folder = tmp_path / "src" / "shanshui" / "starter"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copyfile(half, folder / "half.safetensors")
    (folder / "README.md").write_text("card")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("shanshui/starter/half.safetensors") == half.read_bytes()
        assert archive.read("shanshui/starter/README.md") == b"card"
