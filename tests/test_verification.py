"""Every final file against its manifest: a whole run passes, and each kind of damage is named."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shanshui.__main__ import main
from shanshui.storage import checkpoint
from shanshui.storage.files import read_json, sha256, write_csv, write_json, write_text

NAMES = ("b", "c")


def choice(model: str, value: float) -> dict[str, Any]:
    ranking = [{"model": model, "seed": 7, "value": value}]
    return {"rank_by": "dct_frechet", "on": "holdout", "chosen": [model], "chosen_seeds": [7], "ranking": ranking}


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole run of two pictures, two checkpoints and their average."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results") / "demo"
    settings = {"format": "jpg", "quality": 95}
    write_json(folder / "settings" / "package.json", settings)
    write_json(folder / "settings" / "report.json", {"config": {"retention": "best"}})
    write_csv(folder / "validate" / "test.csv", [{"name": name} for name in NAMES], ["name"])
    for epoch in (9, 10):
        arrays = {"G.weight": np.full((2, 2), epoch, np.float32)}
        checkpoint.save(folder / "finetune" / f"epoch_{epoch:03d}.safetensors", arrays, kind="generator", epoch=epoch)
    members = [{"file": f"epoch_{e}.safetensors", "sha256": sha256(folder / f"finetune/epoch_{e}.safetensors")}
               for e in ("009", "010")]  # fmt: skip
    mean = {"G.weight": np.full((2, 2), 9.5, np.float32)}
    checkpoint.save(folder / "merge" / "009+010.safetensors", mean, kind="generator", averaged=members)
    choices = {"checkpoints": choice("epoch_009", 2.0), "model": choice("009+010", 1.0), "seed": choice("009+010", 0.5)}
    for name, content in choices.items():
        write_json(folder / "select" / f"{name}.json", content)
    for part, value in (("epoch_009", 2.0), ("009+010", 1.0), ("009+010/seed_7", 0.5)):
        write_json(folder / "score" / f"{part}.json", {"sets": {"holdout": {"metrics": {"dct_frechet": value}}}})
    entries = []
    (folder / "fuse").mkdir()
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        for name in NAMES:
            picture = folder / "fuse" / f"{name}.jpg"
            Image.new("RGB", (8, 6), "red" if name == "b" else "blue").save(picture)
            archive.write(picture, picture.name)
            entries.append({"name": picture.name, "sha256": sha256(picture), "bytes": picture.stat().st_size})
    manifest = {
        "files": entries, "settings": settings, "provenance": choices,
        "zip": {"name": "submission.zip", "sha256": sha256(folder / "submission.zip")},
    }  # fmt: skip
    write_json(folder / "submission.json", manifest)
    write_text(folder / "fid_table.csv", "model,value\nepoch_009,2.0\n")
    write_text(folder / "fid_table.md", "| a |\n")
    write_text(folder / "report.html", "<html></html>\n")
    for name in ("contact_sheet", "fid_curve", "strip"):
        Image.new("RGB", (8, 6)).save(folder / f"{name}.png")
    return folder


def test_whole_run_passes(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("ok ") for line in lines)


def cut(name: str) -> Callable[[Path], object]:
    """A file that ends early."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


def rezip(folder: Path) -> None:
    """The pictures under each other's names, and a manifest that has the new archive's checksum."""
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        archive.write(folder / "fuse" / "b.jpg", "c.jpg")
        archive.write(folder / "fuse" / "c.jpg", "d.jpg")
    manifest = read_json(folder / "submission.json")
    manifest["zip"]["sha256"] = sha256(folder / "submission.zip")
    write_json(folder / "submission.json", manifest)


def label_more(folder: Path) -> None:
    write_csv(folder / "validate" / "test.csv", [{"name": name} for name in (*NAMES, "d")], ["name"])


def other_choice(folder: Path) -> None:
    write_json(folder / "select" / "seed.json", choice("009+010", 0.4))


def other_member(folder: Path) -> None:
    arrays = {"G.weight": np.zeros((2, 2), np.float32)}
    checkpoint.save(folder / "finetune" / "epoch_010.safetensors", arrays, kind="generator", epoch=10)


def other_epoch(folder: Path) -> None:
    shutil.copy(folder / "finetune" / "epoch_010.safetensors", folder / "finetune" / "epoch_011.safetensors")


def not_a_number(folder: Path) -> None:
    arrays = {"G.weight": np.full((2, 2), np.nan, np.float32)}
    checkpoint.save(folder / "pretrain" / "064x048.safetensors", arrays, kind="generator", epoch=8)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut("submission.zip"), ["submission.zip has another sha256"]),
        (rezip, ["submission.zip lacks b.jpg", "submission.zip holds d.jpg", "c.jpg in submission.zip has another"]),
        (lambda folder: (folder / "submission.zip").unlink(), ["FileNotFoundError"]),
        (label_more, ["no image d.jpg for its test label map"]),
        (cut("fuse/b.jpg"), ["fuse/b.jpg is not the image that was packed"]),
        (other_choice, ["select/seed.json is not the choice", "has dct_frechet 0.5, but seed was chosen by 0.4"]),
        (lambda folder: write_json(folder / "settings/package.json", {"format": "png"}), ["settings/package.json"]),
        (cut("finetune/epoch_009.safetensors"), ["epoch_009.safetensors is not a whole safetensors file"]),
        (other_epoch, ["epoch_011.safetensors holds epoch 10"]),
        (other_member, ["009+010.safetensors is an average of another epoch_010.safetensors"]),
        (not_a_number, ["064x048.safetensors: G.weight and 0 more arrays"]),
        (cut("report.html"), ["report.html is cut off"]),
        (lambda folder: (folder / "strip.png").write_bytes(b"\x89PNG"), ["BAD  reports", "strip.png"]),
        (lambda folder: write_text(folder / "fid_table.csv", "model,value\n"), ["fid_table.csv has no rows"]),
    ],
)  # fmt: skip
def test_damage_is_named(
    damage: Callable[[Path], object], words: list[str], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(finished)
    assert main(["verify", "demo"]) == 1
    said = capsys.readouterr()
    assert all(word in said.out for word in words), said.out
    assert "not what they should be" in said.err


def test_lost_weights_are_told_from_removed_ones(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = finished / "finetune" / "epoch_009.safetensors"
    write_json(finished / "kept.json", {"kept": {}, "removed": {"finetune/epoch_009.safetensors": 9}})
    checksum = sha256(weights)
    weights.unlink()
    assert main(["verify", "demo"]) == 0
    write_json(finished / "kept.json", {"kept": {"finetune/epoch_009.safetensors": checksum}, "removed": {}})
    assert main(["verify", "demo"]) == 1
    assert "epoch_009.safetensors is lost" in capsys.readouterr().out
    write_json(finished / "settings" / "report.json", {"config": {"retention": "all"}})
    assert main(["verify", "demo"]) == 0, "a list of earlier days"


def test_scores_in_between_may_be_cleared_away(finished: Path) -> None:
    shutil.rmtree(finished / "score")
    assert main(["verify", "demo"]) == 0


@pytest.mark.parametrize("content", [[1], 3, {"config": 3}, {"config": [1]}, {}, None])
def test_settings_that_hold_no_configuration_are_named_by_every_command(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "r"
    write_json(folder / "settings" / "report.json", content)
    assert main(["status", "r"]) != 0
    assert "holds no configuration" in capsys.readouterr().err
    assert main(["verify", "r"]) == 1
    assert "a file is not as this pipeline writes it" in capsys.readouterr().out
    (folder / "infer").mkdir()
    write_csv(folder / "fid_table.csv", [{"model": "a"}], ["model"])
    assert main(["compare", "r", "r", "--out", "page"]) != 0
    assert not (tmp_path / "page").exists()
