"""Model cards and folders for hubs: what the file says, scores with their protocol, and code that runs as printed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_weights import label_map, save_apf, save_label_maps, save_spade

from shanshui.__main__ import main
from shanshui.storage import checkpoint
from shanshui.storage.files import sha256, write_json

SCORE = {
    "model": "003+005", "seed": 0,
    "sets": {"holdout": {"n": 12, "metrics": {"kid": 0.0123, "swd": None}, "standard_errors": {"kid": 0.0011}}},
    "features": {"kid": "Inception features, polynomial kernel"},
    "reference": {"n": 40, "fingerprint": "x"}, "settings": {"size": [128, 64], "seed": 0},
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_apf(tmp_path_factory.mktemp("weights") / "best.safetensors")


def head_of(text: str) -> dict[str, object]:
    _, head, _ = text.split("---\n", 2)
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_card(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "score.json", SCORE)
    maps = save_label_maps(tmp_path / "maps", ["a", "b"])
    out, sheet = tmp_path / "README.md", tmp_path / "sheets" / "examples.png"
    given = ["card", str(weights), "--out", str(out), "--examples", str(sheet), "--labels", str(maps)]
    given += ["--scores", str(tmp_path / "score.json"), "--licence", "cc-by-4.0", "--name", "Lakes"]
    assert main(given) == 0, capsys.readouterr().err
    text = out.read_text(encoding="utf-8")
    head = head_of(text)
    assert (head["library_name"], head["license"], head["pipeline_tag"]) == ("shanshui", "cc-by-4.0", "image-to-image")
    (result,) = head["model-index"][0]["results"]  # type: ignore[index]
    assert result["dataset"]["type"] == "holdout"
    assert result["metrics"] == [{"type": "kid", "name": "KID", "value": 0.0123}]
    assert "# Lakes\n" in text
    assert "| holdout label maps | KID | 0.01230 | 0.001100 |" in text
    assert "128x64 against 40 photographs" in text
    assert "Inception features, polynomial kernel" in text
    assert "![Label maps, and images generated from them](sheets/examples.png)" in text
    arrays = checkpoint.load(weights).arrays
    trained = sum(a.size for n, a in arrays.items() if not n.endswith(("running_mean", "running_var", "weight_u")))
    assert f"parameters: {trained:,}" in text
    assert sha256(weights) in text
    assert re.search(r"multiply-accumulates of one 128x64 image, dense: 0\.\d+ G", text)
    assert Image.open(sheet).size[0] > 2 * 256
    assert main(given) == 0, "its own files are replaced"
    out.write_text("mine")
    assert main(given) == 1


def test_printed_card_shows_no_images_and_names_no_licence(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", str(weights)]) == 0
    text = capsys.readouterr().out
    assert head_of(text)["license"] == "unknown"
    assert "![" not in text
    assert "None are given with these weights." in text
    assert "generator:" in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--labels", "x"], "used for the example images only"),
        (["--examples", "x.png"], "the card shows the images by their file name"),
        (["--scores", "W"], "no score file"),
    ],
)
def test_refusals(weights: Path, here: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(here / "other.json", {"mine": 1})
    given = ["other.json" if part == "W" else part for part in more]
    assert main(["card", str(weights), *given]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["other.json"]


def test_weights_that_are_no_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint.save(tmp_path / "d.safetensors", {"D.x": np.zeros(2, np.float32)}, kind="discriminator")
    assert main(["card", str(tmp_path / "d.safetensors")]) == 2
    assert "holds no generator" in capsys.readouterr().err


# --- hub --------------------------------------------------------------------------------------------------


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_hub_folder_runs_as_its_card_says(
    weights: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "hub", "lakes", "--weights", str(weights)]) == 0, capsys.readouterr().err
    assert {path.name for path in Path("lakes").iterdir()} == {
        ".shanshui.json", "README.md", "examples.png", "model.onnx", "model.safetensors",
    }  # fmt: skip
    text = Path("lakes/README.md").read_text(encoding="utf-8")
    assert "# lakes\n" in text
    assert "onnx" in head_of(text)["tags"]  # type: ignore[operator]
    assert sha256("lakes/model.safetensors") == sha256(weights)
    monkeypatch.chdir("lakes")
    Image.fromarray(label_map("a")).save("labels.png")
    loading, sampling = blocks(text)
    made = []
    for code in (loading, sampling):
        exec(code, {})
        made.append(np.asarray(Image.open("landscape.png"), np.int32))
        Path("landscape.png").unlink()
    assert made[0].shape == made[1].shape == (64, 128, 3)
    assert np.std(made[1]) > 3


def test_hub_folder_with_style_encoder_and_of_no_other_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_spade(here / "styles.safetensors", edges="none")
    given = ["export", "hub", "styles", "--weights", str(weights), "--licence", "mit"]
    assert main(given) == 0, capsys.readouterr().err
    assert Path("styles/style_encoder.onnx").is_file()
    assert main(given) == 0, "its own folder is replaced"
    shutil.copy("styles/README.md", "styles/mine.md")
    assert main(given) == 1
    assert "mine.md" in capsys.readouterr().err
    assert main([*given[:2], "plain", *given[3:], "--no-onnx"]) == 0
    assert not list(Path("plain").glob("*.onnx"))
    assert "onnx" not in Path("plain/README.md").read_text(encoding="utf-8")
