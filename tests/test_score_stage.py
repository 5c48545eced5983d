"""`python -m shanshui score` and `weights`: values, refusals, output."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import blurred, pictures, save
from PIL import Image

from shanshui.__main__ import main
from shanshui.storage.files import read_json, write_csv, write_json
from shanshui.weights import catalogue


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("sets")
    test = pictures(10, first=100)
    return {
        "real": save(base / "real", pictures(16)),
        "good": save(base / "good", test),
        "bad": save(base / "bad", blurred(test, 2)),
    }


def score(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main(["score", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], word: str, *arguments: object, code: int = 1) -> None:
    assert main(["score", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    assert word in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("names", ["", " ", ","])
def test_a_list_of_no_metrics_is_refused(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str], names: str
) -> None:
    refused(capsys, "names no metric", folders["real"], folders["good"], "--metrics", names, code=2)


def test_two_folders_are_all_it_takes(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    result = score(capsys, folders["real"], f"good={folders['good']}", f"bad={folders['bad']}")
    good, bad = (result["sets"][name]["metrics"] for name in ("good", "bad"))
    assert good.keys() == {"dct_frechet", "swd", "sharpness"}
    assert good["dct_frechet"] < bad["dct_frechet"]
    assert good["swd"] < bad["swd"]
    assert bad["sharpness"] < 0.5 < good["sharpness"] < 2
    assert result["reference"]["n"] == 16
    assert "not FID" in result["features"]["dct_frechet"]
    assert result == score(capsys, folders["real"], f"good={folders['good']}", f"bad={folders['bad']}")
    itself = score(capsys, folders["real"], folders["real"], "--metrics", "swd,dct_frechet")["sets"]["pictures"]
    assert itself["metrics"]["swd"] < 1e-3
    assert abs(itself["metrics"]["dct_frechet"]) < 1e-6


def test_the_pipeline_form_writes_what_the_table_reads(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"metrics": ["dct_frechet", "swd"], "size": [96, 64], "seed": 2, "classes": ["a"]}
    write_json(tmp_path / "settings.json", {**settings, "label_offset": 0, "ignore_label": None})
    columns = ["name", "image", "label"]
    rows = [
        {"name": f"{i:03d}", "image": folders["real"] / f"{i:03d}.png", "label": tmp_path / "l.png"} for i in range(16)
    ]
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "l.png")
    write_csv(tmp_path / "train.csv", rows, columns)
    write_csv(tmp_path / "test.csv", rows[:10], columns)
    statistics = tmp_path / "s.npz"
    common = ["--settings", str(tmp_path / "settings.json")]
    reference = [
        "reference",
        "--train",
        str(tmp_path / "train.csv"),
        *common,
        "--statistics",
        str(statistics),
    ]
    assert main([*reference, "--pure", str(tmp_path / "p.json")]) == 0
    command = [statistics, f"holdout={folders['good']}", f"test={folders['bad']}", *common]
    labels = ["--labels", f"holdout={tmp_path / 'test.csv'}", f"test={tmp_path / 'test.csv'}"]
    out = tmp_path / "score" / "seed_4.json"
    assert main(["score", *map(str, command), *labels, "--model", "271", "--seed", "4", "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    result = read_json(out)
    assert result.keys() == {"model", "seed", "sets", "features", "reference", "settings", "shanshui"}
    assert (result["model"], result["seed"]) == ("271", 4)
    assert result["settings"] == {
        "metrics": ["dct_frechet", "swd"], "size": [96, 64], "seed": 2, "resize": "pytorch-fid", "version": 1
    }  # fmt: skip
    assert result["sets"]["test"]["n"] == 10
    folder = score(capsys, folders["real"], f"holdout={folders['good']}", f"test={folders['bad']}", *common)
    assert folder["sets"] == result["sets"]
    assert result["sets"]["test"]["contest"] == {
        "board_a": None, "not_measured": ["mask_accuracy", "aesthetic", "fid"]
    }  # fmt: skip
    write_json(tmp_path / "other.json", {**settings, "seed": 3})
    refused(capsys, "made with seed 2", *command[:-1], tmp_path / "other.json")
    refused(capsys, "lack sharpness", *command, "--metrics", "sharpness")


FREE = "dct_frechet,dct_kid,dct_precision,dct_recall,colour,sharpness"


def test_every_weight_free_metric_tells_good_from_bad(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    result = score(capsys, folders["real"], f"good={folders['good']}", f"bad={folders['bad']}", "--metrics", FREE)
    good, bad = (result["sets"][name]["metrics"] for name in ("good", "bad"))
    for name in ("dct_frechet", "dct_kid", "colour"):
        assert good[name] < bad[name], name
    for name in ("dct_precision", "dct_recall", "sharpness"):
        assert good[name] > bad[name], name
    assert set(result["sets"]["good"]["standard_errors"]) == set(FREE.split(",")) - {"sharpness"}
    assert main(["score", str(folders["real"]), str(folders["real"]), "--metrics", "dct_frechet"]) == 0
    text = capsys.readouterr().out
    assert "+- " in text
    assert "contest score (board A): not measured (no mask accuracy, no aesthetics, no FID)" in text


def test_a_hint_is_printed_as_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, ours = save(tmp_path / "real", pictures(30)), save(tmp_path / "ours", pictures(24, first=100))
    result = score(capsys, real, ours)["sets"]["pictures"]
    assert result["hints"]["dct_frechet_infinity"] < result["metrics"]["dct_frechet"]
    assert not any("infinity" in name for name in result["metrics"])
    assert main(["score", str(real), str(ours), "--metrics", "dct_frechet"]) == 0
    assert "hint, not a score: " in capsys.readouterr().out


def test_features_kept_give_other_metrics_without_the_pictures(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = save(tmp_path / "copy", pictures(10, first=100))
    kept = tmp_path / "features" / "all.npz"
    sets = (f"holdout={copy}", f"test={folders['bad']}")
    score(capsys, folders["real"], *sets, "--metrics", "dct_frechet,swd,sharpness", "--features-out", kept)
    expected = score(capsys, folders["real"], *sets, "--metrics", "dct_frechet,dct_recall,sharpness")
    with np.load(kept) as archive:
        assert {archive[name].dtype.name for name in archive.files if name != "header"} == {"float32"}
        assert not any("patches" in name for name in archive.files)
    shutil.rmtree(copy)
    stored = (f"holdout={kept}", f"test={kept}")
    again = score(capsys, folders["real"], *stored, "--metrics", "dct_frechet,dct_recall,sharpness")
    assert again == expected

    write_csv(tmp_path / "names.csv", [{"name": f"{i:03d}"} for i in range(9)], ["name"])
    refused(capsys, "not on the list: 009", folders["real"], *stored, "--labels", f"test={tmp_path / 'names.csv'}")
    refused(capsys, "no features for swd", folders["real"], *stored, "--metrics", "swd")
    refused(capsys, "no set called train", folders["real"], f"train={kept}")
    write_json(tmp_path / "other.json", {"metrics": ["dct_frechet"], "size": [48, 32], "seed": 0})
    refused(capsys, "made with size [96, 64]", folders["real"], *stored, "--settings", tmp_path / "other.json")
    free = ("--metrics", "dct_frechet")
    refused(capsys, "a folder of images", folders["real"], *stored, *free, "--aesthetic-command", "true")
    with np.load(kept) as archive:
        content = {name: archive[name] for name in archive.files}
    content["test.dct"] = content["test.dct"] + np.float32(1)
    np.savez(tmp_path / "altered.npz", **content)
    refused(capsys, "has been altered", folders["real"], f"test={tmp_path / 'altered.npz'}", *free)
    np.savez(tmp_path / "foreign.npz", features=np.zeros((3, 4)))
    refused(capsys, "cannot be read as features", folders["real"], tmp_path / "foreign.npz")


def test_aesthetics_of_a_program_count_beside_the_rest(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scorer.py").write_text(
        "import pathlib, sys\nprint('name,score')\n"
        "for f in sorted(pathlib.Path(sys.argv[1]).iterdir()): print(f.name, 4 + int(f.stem) % 2, sep=',')\n"
    )
    command = f"{sys.executable} {tmp_path / 'scorer.py'}"
    write_json(tmp_path / "settings.json", {"metrics": ["dct_frechet"], "aesthetic_command": command})
    result = score(capsys, folders["real"], folders["good"], "--settings", tmp_path / "settings.json")
    found = result["sets"]["pictures"]
    assert found["metrics"]["aesthetic"] == 4.5
    assert found["contest"]["not_measured"] == ["mask_accuracy", "fid"]
    assert command in result["features"]["aesthetic"]


def test_sets_must_hold_exactly_the_listed_names(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(count: int) -> Path:
        write_csv(tmp_path / "names.csv", [{"name": f"{i:03d}"} for i in range(count)], ["name"])
        return tmp_path / "names.csv"

    call = (folders["real"], f"test={folders['good']}", "--labels")
    refused(capsys, "missing: 010", *call, f"test={listed(11)}")
    refused(capsys, "not on the list: 009", *call, f"test={listed(9)}")
    refused(capsys, "not scored", *call, f"holdout={listed(10)}", code=2)


def test_doubtful_folders_are_refused(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = folders["real"]
    refused(capsys, "does not exist", real, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    refused(capsys, "is empty", real, tmp_path / "empty")
    mixed = save(tmp_path / "mixed", pictures(3))
    (mixed / "notes.txt").write_text("x")
    refused(capsys, "notes.txt", real, mixed)
    double = save(tmp_path / "double", pictures(3))
    Image.fromarray(pictures(1)[0]).save(double / "001.jpg")
    refused(capsys, "several images of one name: 001", real, double)
    sizes = save(tmp_path / "sizes", pictures(3))
    Image.fromarray(pictures(1)[0][:32]).save(sizes / "x.png")
    refused(capsys, "96x32", real, sizes)
    refused(capsys, "1 image", real, save(tmp_path / "one", pictures(1)))
    refused(capsys, "same features", real, save(tmp_path / "same", pictures(1) * 4))
    broken = save(tmp_path / "broken", pictures(3))
    (broken / "001.png").write_bytes((broken / "001.png").read_bytes()[:200])
    refused(capsys, "001.png cannot be read", real, broken)
    refused(capsys, "unknown metric: fidd", real, folders["good"], "--metrics", "fidd", code=2)
    refused(capsys, "two folder", real, folders["good"], folders["bad"], code=2)


def test_fid_without_weights_names_the_command(
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for metrics in ("swd,fid", "kid"):
        call = (folders["real"], folders["good"], "--metrics", metrics)
        refused(capsys, "python -m shanshui weights fid_inception", *call)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A weight file of one array, published under its own digest as "fid_inception"."""
    file = Path(__file__).parent / "data" / "torch_zip.pth"
    entry = replace(catalogue.WEIGHT_FILES["fid_inception"], sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(catalogue.WEIGHT_FILES, "fid_inception", entry)
    monkeypatch.chdir(tmp_path)
    return file


def test_weights_are_verified_and_put_in_their_place(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "fid_inception", "--from", str(tiny)]) == 0
    assert "as published" in capsys.readouterr().out
    place = catalogue.require("fid_inception")
    assert place.read_bytes() == tiny.read_bytes()
    assert main(["weights", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "fid_inception: FID and KID; here" in listed
    assert "vgg19: perceptual loss of pretraining; missing" in listed


def test_several_are_fetched_at_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that a run without its weight files prints names all of them."""
    entry = replace(catalogue.WEIGHT_FILES["fid_inception"], url=str(tiny))
    monkeypatch.setitem(catalogue.WEIGHT_FILES, "fid_inception", entry)
    monkeypatch.setitem(catalogue.WEIGHT_FILES, "vgg19", replace(catalogue.WEIGHT_FILES["vgg19"], url=str(tiny)))
    assert main(["weights", "fid_inception", "vgg19"]) == 0
    assert catalogue.require("vgg19").read_bytes() == catalogue.require("fid_inception").read_bytes()
    assert main(["weights", "fid_inception", "vgg19", "--from", str(tiny)]) == 2
    assert main(["weights"]) == 2


def test_other_content_is_refused_and_leaves_nothing(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(tiny.read_bytes()[:-1])
    assert main(["weights", "fid_inception", "--from", str(other)]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert list((tmp_path / "resources" / "weights").iterdir()) == []
    assert main(["weights", "vgg19", "--from", str(other), "--out", str(tmp_path / "w")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["weights", "vgg19", "--from", str(tiny), "--out", str(tmp_path / "w")]) == 0
    assert "no published digest" in capsys.readouterr().out
    digest = hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert (tmp_path / "w" / "vgg19.pkl.sha256").read_text() == f"{digest}  vgg19.pkl\n"


def test_addresses_must_be_secure_and_names_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "vgg19", "--from", "http://localhost/x"]) == 1
    assert "https://" in capsys.readouterr().err
    assert main(["weights", "vgg11"]) == 1
    assert "vgg19" in capsys.readouterr().err
    assert main(["weights"]) == 2
