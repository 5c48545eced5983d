"""What goes wrong with scores in the end: every drill ends in a right number or in none at all."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import pictures, save
from PIL import Image

from shanshui.__main__ import main
from shanshui.evaluation import feature_reader
from shanshui.evaluation.feature_reader import BATCH, FeatureReader
from shanshui.evaluation.image_folder import list_image_files
from shanshui.storage.files import write_csv
from shanshui.storage.folders import record
from shanshui.storage.images import check_finite
from shanshui.storage.size import Size

SIZE = Size(64, 96)
KINDS = ("dct", "patches", "laplacian", "colour")


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return save(tmp_path / "real", pictures(12))


def no_number(capsys: pytest.CaptureFixture[str], word: str, out: Path, *arguments: object) -> None:
    """The call fails with a message that has `word`, prints nothing and leaves no score file."""
    out.write_text(
        '{"features": {}, "sets": {"pictures": {"metrics": {"dct_frechet": 1.0}}}}'
    )  # of the checkpoint before
    assert main(["score", *map(str, arguments), "--out", str(out)]) == 1
    captured = capsys.readouterr()
    assert word in captured.err
    assert captured.out == ""
    assert not out.exists()


# --- inference dies at picture 37 ---------------------------------------------------------------------


class Died(RuntimeError):
    """The end of a process."""


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """`generate` on 40 label maps with a stand-in for the network, which ends or fails at a wanted picture."""
    state: dict[str, Any] = {"dies_at": None, "nan_at": None, "made": 0}

    class Mortal:
        """A `Synthesizer` whose images are of one grey."""

        size, accepts = Size(32, 64), types.SimpleNamespace(edges=False, instances=False)

        @classmethod
        def load(cls, *_: Any) -> Mortal:
            return cls()

        def label_maps_at_once(self, batch: int) -> int:
            return batch

        def read_label_map(self, path: Path) -> np.ndarray:
            return np.asarray(Image.open(path))

        def generate(self, label_maps: list[np.ndarray], names: list[str], *_: Any, **__: Any) -> np.ndarray:
            batch = []
            for name, label_map in zip(names, label_maps, strict=True):
                state["made"] += 1
                if state["made"] == state["dies_at"]:
                    raise Died
                fill = np.nan if state["made"] == state["nan_at"] else state["made"] / 50
                batch.append(np.full((3, *label_map.shape), fill, np.float32))
                check_finite(name, batch[-1])
            return np.stack(batch)

    stand_in = types.SimpleNamespace(Synthesizer=Mortal)
    monkeypatch.setitem(sys.modules, "shanshui.synthesis.synthesizer", stand_in)
    (tmp_path / "labels").mkdir()
    for i in range(40):
        Image.fromarray(np.zeros((32, 64), np.uint8)).save(tmp_path / "labels" / f"{i:03d}.png")
    (tmp_path / "w.safetensors").touch()
    labels, weights = str(tmp_path / "labels"), str(tmp_path / "w.safetensors")
    out = tmp_path / "images"
    state |= {"call": ["generate", "--weights", weights, "--labels", labels, "--out", str(out), "--batch", "5"]}
    return state | {"state": state, "out": out}


def test_inference_that_dies_at_picture_37_leaves_no_pictures_and_no_number(
    mortal: dict[str, Any], real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mortal["state"]["dies_at"] = 37
    with pytest.raises(Died):
        main(mortal["call"])
    assert not mortal["out"].exists()
    no_number(capsys, "does not exist", tmp_path / "score.json", real, mortal["out"])


def test_pictures_of_the_checkpoint_before_stay_whole_and_it_is_said(
    mortal: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    record(save(mortal["out"], pictures(40, first=50)))
    before = {path.name: path.read_bytes() for path in mortal["out"].iterdir()}
    mortal["state"]["dies_at"] = 37
    with pytest.raises(Died):
        main(mortal["call"])
    assert {path.name: path.read_bytes() for path in mortal["out"].iterdir()} == before
    assert "images is as it was before this call" in capsys.readouterr().err


def test_pictures_that_are_no_numbers_are_not_written(
    mortal: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """As a picture they would be black and could be scored."""
    mortal["state"]["nan_at"] = 37
    assert main(mortal["call"]) == 1
    assert "036 is not finite" in capsys.readouterr().err
    assert not mortal["out"].exists()


def test_a_folder_that_lacks_pictures_has_no_number(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = save(tmp_path / "partial", pictures(36, first=50))
    write_csv(tmp_path / "test.csv", [{"name": f"{i:03d}"} for i in range(40)], ["name"])
    arguments = (real, f"test={partial}", "--labels", f"test={tmp_path / 'test.csv'}")
    no_number(capsys, "missing: 036, 037, 038, 039", tmp_path / "score.json", *arguments)


# --- odd pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [7, BATCH, BATCH + 3])
def test_the_last_batch_counts_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    paths = list_image_files(save(tmp_path / "set", pictures(count)))
    in_batches = FeatureReader(KINDS, SIZE, 0).read(paths, "set")
    monkeypatch.setattr(feature_reader, "BATCH", 50)
    at_once = FeatureReader(KINDS, SIZE, 0).read(paths, "set")
    for kind in KINDS:
        assert len(at_once[kind]) == count
        np.testing.assert_array_equal(at_once[kind], in_batches[kind])


def test_seven_pictures_are_scored_as_seven(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(real), str(save(tmp_path / "seven", pictures(7, first=50))), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sets"]["pictures"]["n"] == 7


def test_pictures_of_one_pixel_have_no_number(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dots = save(tmp_path / "dots", [photo[:1, :1] for photo in pictures(5)])
    no_number(capsys, "images of 1x1 pixels", tmp_path / "score.json", real, dots)
    Image.fromarray(pictures(1)[0][:1, :1]).save(real / "dot.png")
    no_number(capsys, "dot.png is 1x1", tmp_path / "score.json", tmp_path / "dots", real, "--metrics", "swd")


def test_grey_and_transparent_files_are_what_they_look_like(tmp_path: Path) -> None:
    photos = pictures(3)
    photos[0] = photos[0].mean(axis=-1, keepdims=True).astype(np.uint8).repeat(3, axis=-1)
    plain = list_image_files(save(tmp_path / "plain", photos))
    odd = save(tmp_path / "odd", photos)
    Image.fromarray(photos[0][..., 0]).save(odd / "000.png")
    opaque = np.full((*photos[1].shape[:2], 1), 255, np.uint8)
    Image.fromarray(np.concatenate([photos[1], opaque], axis=-1)).save(odd / "001.png")
    reader = FeatureReader(KINDS, SIZE, 0)
    first, second = reader.read(plain, "plain"), reader.read(list_image_files(odd), "odd")
    for kind in KINDS:
        np.testing.assert_array_equal(first[kind], second[kind])


def test_a_truncated_jpeg_is_named(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = save(tmp_path / "broken", pictures(5), ".jpg")
    content = (broken / "003.jpg").read_bytes()
    (broken / "003.jpg").write_bytes(content[: len(content) // 2])
    no_number(capsys, "003.jpg cannot be read", tmp_path / "score.json", real, broken)


# --- odd statistics and weights -----------------------------------------------------------------------


def test_statistics_of_other_data_are_refused(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": path.stem, "image": str(path), "label": str(tmp_path / "l.png")} for path in list_image_files(real)
    ]
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "l.png")
    write_csv(tmp_path / "train.csv", rows, ["name", "image", "label"])
    (tmp_path / "s.json").write_text(
        '{"metrics": ["dct_frechet"], "size": [96, 64], "seed": 0, "label_offset": 0, "ignore_label": null}'
    )
    make = ["reference", "--train", str(tmp_path / "train.csv"), "--settings", str(tmp_path / "s.json")]
    assert main([*make, "--statistics", str(tmp_path / "s.npz"), "--pure", str(tmp_path / "p.json")]) == 0
    ours = save(tmp_path / "ours", pictures(5, first=50))
    for same in (real, tmp_path / "train.csv"):
        assert main(["score", str(tmp_path / "s.npz"), str(ours), "--photographs", str(same)]) == 0
    capsys.readouterr()
    other = save(tmp_path / "other", pictures(12, first=30))
    arguments = (tmp_path / "s.npz", ours, "--photographs", other)
    no_number(capsys, "of other photographs", tmp_path / "score.json", *arguments)


def test_weights_that_are_no_numbers_give_none(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = types.SimpleNamespace(calls=0)

    def features(images: np.ndarray) -> np.ndarray:
        broken.calls += 1
        return np.full((len(images), 2048), np.nan, np.float32)

    monkeypatch.setattr(feature_reader, "InceptionFeatures", lambda _weights: features)
    (tmp_path / "w.pth").write_bytes(b"stands for a file of NaN")
    for metric in ("fid", "kid", "precision"):
        arguments = (real, real, "--metrics", metric, "--weights-file", tmp_path / "w.pth")
        no_number(capsys, "not finite (NaN or infinite)", tmp_path / "score.json", *arguments)
    assert broken.calls > 0


@pytest.mark.parametrize("count", [12, 300])
def test_two_identical_sets_have_no_distance(count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below and above the number of features."""
    small = [photo[::4, ::4] for photo in pictures(count)] if count > 12 else pictures(count)
    folder = save(tmp_path / "set", small)
    metrics = "dct_frechet,dct_precision,dct_recall,colour,swd,sharpness"
    assert main(["score", str(folder), str(folder), "--metrics", metrics, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["sets"]["pictures"]["metrics"]
    assert abs(found["dct_frechet"]) < 1e-6
    assert abs(found["swd"]) < 1e-3  # rounding of the matrix product, times 1000
    assert (found["colour"], found["dct_precision"], found["dct_recall"], found["sharpness"]) == (0, 1, 1, 1)
