"""Statistics of the training photographs, their fingerprint, and the single-class dictionary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import pictures, save
from PIL import Image

from shanshui.__main__ import main
from shanshui.data.pure import group_by_class, single_class
from shanshui.errors import ShanshuiError
from shanshui.evaluation.feature_file import FeatureSet, save_features
from shanshui.evaluation.feature_reader import FeatureReader
from shanshui.evaluation.image_folder import list_image_files
from shanshui.evaluation.reference import Reference, make_reference
from shanshui.metrics.registry import choose
from shanshui.storage.files import read_json, write_csv, write_json
from shanshui.storage.size import Size

FREE = ["dct_frechet", "swd", "sharpness"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("photographs") / "train", pictures(14))


def pairs(folder: Path) -> list[tuple[str, Path]]:
    return [(path.stem, path) for path in list_image_files(folder)]


def make(photographs: list[tuple[str, Path]], seed: int = 0, size: Size = Size(64, 96)) -> Reference:
    return make_reference(photographs, choose(FREE), size, seed)


def test_survives_the_file(photographs: Path, tmp_path: Path) -> None:
    reference = make(pairs(photographs))
    reference.save(tmp_path / "s.npz")
    loaded = Reference.load(tmp_path / "s.npz")
    assert loaded.fingerprint == reference.fingerprint
    assert loaded.count == 14
    assert list(loaded.arrays) == FREE
    for metric, arrays in reference.arrays.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded.arrays[metric][name], array)


def test_what_several_metrics_keep_is_stored_once(photographs: Path, tmp_path: Path) -> None:
    names = ["dct_kid", "dct_precision", "dct_recall"]
    reference = make_reference(pairs(photographs), choose(names), Size(64, 96), 0)
    reference.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as archive:
        assert sorted(archive.files) == ["dct_kid.features", "dct_precision.radii", "header"]
    loaded = Reference.load(tmp_path / "s.npz")
    for metric, arrays in reference.arrays.items():
        assert arrays.keys() == loaded.arrays[metric].keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded.arrays[metric][name], array)


def test_statistics_of_other_photographs_are_told_from_ours(photographs: Path, tmp_path: Path) -> None:
    reference = make(pairs(photographs))
    reference.check_photographs(pairs(photographs)[::-1])
    other = save(tmp_path / "other", [*pictures(13), pictures(1, first=99)[0]])  # the same names
    for wrong in (pairs(other), pairs(photographs)[:-1]):
        with pytest.raises(ShanshuiError, match="of other photographs"):
            reference.check_photographs(wrong)


def test_equal_input_gives_equal_bytes_in_any_order(photographs: Path, tmp_path: Path) -> None:
    make(pairs(photographs)).save(tmp_path / "a.npz")
    make(pairs(photographs)[::-1]).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_fingerprint_follows_photographs_and_settings(photographs: Path, tmp_path: Path) -> None:
    first = make(pairs(photographs)).fingerprint
    assert make(pairs(photographs), seed=1).fingerprint != first
    assert make(pairs(photographs), size=Size(32, 48)).fingerprint != first
    assert make(pairs(photographs)[:-1]).fingerprint != first
    changed = save(tmp_path / "changed", [*pictures(13), pictures(1, first=99)[0]])
    assert make(pairs(changed)).fingerprint != first


def test_another_protocol_is_refused(photographs: Path) -> None:
    reference = make(pairs(photographs))
    reference.check(choose(["swd"]), {**reference.protocol})
    for key, value in (("seed", 5), ("size", [48, 32])):
        with pytest.raises(ShanshuiError, match=f"made with {key}"):
            reference.check(choose(["swd"]), {**reference.protocol, key: value})
    with pytest.raises(ShanshuiError, match="lack fid"):
        reference.check(choose(["swd", "fid"]), reference.protocol)


def test_an_altered_or_foreign_file_is_refused(photographs: Path, tmp_path: Path) -> None:
    reference = make(pairs(photographs))
    reference.protocol["version"] = 999
    reference.save(tmp_path / "s.npz")
    with pytest.raises(ShanshuiError, match="another version"):
        Reference.load(tmp_path / "s.npz")
    np.savez(tmp_path / "x.npz", a=np.zeros(2))
    with pytest.raises(ShanshuiError, match="not a file of statistics"):
        Reference.load(tmp_path / "x.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ShanshuiError, match="cannot be read"):
        Reference.load(tmp_path / "broken.npz")
    with pytest.raises(ShanshuiError, match="does not exist"):
        Reference.load(tmp_path / "none.npz")


def test_other_numbers_under_the_same_names_are_refused(photographs: Path, tmp_path: Path) -> None:
    make(pairs(photographs)).save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as archive:
        content = {name: archive[name] for name in archive.files}
    name = next(name for name, array in content.items() if array.dtype.kind == "f" and array.size > 1)
    content[name].flat[0] += 1
    np.savez(tmp_path / "s.npz", **content)
    with pytest.raises(ShanshuiError, match="or altered"):
        Reference.load(tmp_path / "s.npz")


def test_statistics_of_pytorch_fid_are_accepted_for_fid(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.ones((1, 2048), np.float32), sigma=np.eye(2048, dtype=np.float32))
    reference = Reference.load(tmp_path / "s.npz")
    np.testing.assert_array_equal(reference.arrays["fid"]["mu"], np.ones(2048))
    np.testing.assert_array_equal(reference.arrays["fid"]["sigma"], np.eye(2048))
    assert reference.count == 0
    with pytest.raises(ShanshuiError, match="lack swd"):
        reference.check(choose(["swd"]), {})


EYE = np.eye(2048, dtype=np.float32)


def with_pair(matrix: np.ndarray, covariance: float) -> np.ndarray:
    """The matrix with this covariance of the first two features."""
    found = matrix.copy()
    found[0, 1] = found[1, 0] = covariance
    return found


OTHERS: dict[str, tuple[str, dict[str, np.ndarray]]] = {
    "ADM": ("ADM", {"mu": np.zeros(4), "sigma": np.eye(4), "mu_s": np.zeros(2), "sigma_s": np.eye(2)}),
    "pictures of ADM": ("a batch of images", {"arr_0": np.zeros((2, 4, 4, 3), np.uint8)}),
    "mean and cov": (r"the names mean and cov .mean .4,., cov .4, 4.", {"mean": np.zeros(4), "cov": np.eye(4)}),
    "diagonal": (r"sigma has shape .2048,., the variances", {"mu": np.zeros(2048), "sigma": np.ones(2048)}),
    "half a covariance": (r"sigma has shape .4, 4.", {"mu": np.zeros(2048), "sigma": np.eye(4)}),
    "another network": (r"mu has shape .768,.", {"mu": np.zeros(768), "sigma": np.eye(768)}),
    "NaN in mu": ("2048 numbers of mu are not finite", {"mu": np.full(2048, np.nan), "sigma": EYE}),
    "NaN in sigma": ("2048 numbers of sigma", {"mu": np.zeros(2048), "sigma": np.where(EYE == 1, np.nan, 0)}),
    "not symmetric": ("sigma is no covariance", {"mu": np.zeros(2048), "sigma": np.roll(EYE, 1, 0)}),
    "a negative variance": ("not positive semidefinite", {"mu": np.zeros(2048), "sigma": with_pair(EYE, 1.5)}),
    "whole numbers": ("mu holds numbers of type int64", {"mu": np.zeros(2048, int), "sigma": EYE}),
    "something": (r"it holds a .2,.", {"a": np.zeros(2)}),
    "nothing": ("it holds nothing", {}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_statistics_of_other_programs_are_named(what: str, tmp_path: Path) -> None:
    said, arrays = OTHERS[what]
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ShanshuiError, match=said) as caught:
        Reference.load(tmp_path / "s.npz")
    assert "python -m shanshui reference" in str(caught.value)


def test_a_covariance_without_full_rank_is_one(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 2048))
    for sigma in (np.cov(rows.T).astype(np.float16), np.zeros((2048, 2048), np.float32)):
        np.savez(tmp_path / "s.npz", mu=np.zeros(2048), sigma=sigma)
        assert Reference.load(tmp_path / "s.npz").arrays["fid"]["sigma"].shape == (2048, 2048)


def test_what_is_no_archive_of_statistics_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ShanshuiError, match="an array of NumPy"):
        Reference.load(tmp_path / "a.npy")
    save_features(tmp_path / "f.npz", {"test": FeatureSet(["a"], {"dct": np.zeros((1, 2))}, {})})
    with pytest.raises(ShanshuiError, match="features of images"):
        Reference.load(tmp_path / "f.npz")


def test_photographs_are_brought_to_the_size_of_the_pictures(tmp_path: Path) -> None:
    large = [np.asarray(Image.fromarray(p).resize((192, 128), Image.Resampling.BICUBIC)) for p in pictures(6)]
    small = [np.asarray(Image.fromarray(p).resize((96, 64), Image.Resampling.BICUBIC)) for p in large]
    read = [
        FeatureReader(["dct", "patches"], Size(64, 96), 0).read(list_image_files(save(tmp_path / name, photos)), name)
        for name, photos in (("large", large), ("small", small))
    ]
    for kind in ("dct", "patches"):
        np.testing.assert_array_equal(read[0][kind], read[1][kind])


def test_single_class_maps_are_found() -> None:
    assert single_class(np.full((3, 4), 7)) == 7
    assert single_class(np.full((3, 4), 7), label_offset=-1) == 6
    assert single_class(np.full((3, 4), 255), ignore_label=255) is None
    mixed = np.full((3, 4), 7)
    mixed[2, 3] = 255
    assert single_class(mixed, ignore_label=255) is None
    rows = [{"name": n, "image": f"{n}.jpg", "label": ""} for n in ("b", "a", "c", "d")]
    found = group_by_class(zip([10, 10, None, 2], rows, strict=True))
    assert list(found) == ["2", "10"]
    assert found["10"] == [{"name": "a", "image": "a.jpg"}, {"name": "b", "image": "b.jpg"}]


def test_the_stage_writes_both_files(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for i, path in enumerate(list_image_files(photographs)):
        label = np.full((64, 96), 1, np.uint8)
        if i % 5:
            label[40:] = 9
        Image.fromarray(label).save(tmp_path / f"{path.stem}.png")
        rows.append({"name": path.stem, "image": str(path), "label": str(tmp_path / f"{path.stem}.png")})
    write_csv(tmp_path / "train.csv", rows[:10], ["name", "image", "label"])
    write_csv(tmp_path / "holdout.csv", rows[10:], ["name", "image", "label"])
    settings = {"metrics": FREE, "size": [96, 64], "seed": 3, "label_offset": 1, "ignore_label": None}
    write_json(tmp_path / "settings.json", settings)
    command = [
        "reference",
        "--settings",
        str(tmp_path / "settings.json"),
        "--statistics",
        str(tmp_path / "s.npz"),
    ]
    command += ["--pure", str(tmp_path / "pure.json"), "--train", str(tmp_path / "train.csv")]
    assert main([*command, "--train", str(tmp_path / "holdout.csv")]) == 0
    reference = Reference.load(tmp_path / "s.npz")
    assert (reference.count, reference.protocol["size"]) == (14, [96, 64])
    pure = read_json(tmp_path / "pure.json")
    assert [pair["name"] for pair in pure["2"]] == ["000", "005", "010"]
    assert list(pure) == ["2"]
    assert main([*command, "--train", str(tmp_path / "train.csv")]) == 1
    assert "listed twice" in capsys.readouterr().err


def test_a_missing_weight_file_stops_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv("train.csv", [{"name": "a", "image": "none.jpg", "label": "none.png"}], ["name", "image", "label"])
    settings = {"metrics": ["fid"], "size": [96, 64], "seed": 0, "label_offset": 0, "ignore_label": None}
    Path("settings.json").write_text(json.dumps(settings))
    command = ["reference", "--settings", "settings.json", "--statistics", "s.npz", "--pure", "p.json"]
    assert main([*command, "--train", "train.csv"]) == 1
    assert "python -m shanshui weights fid_inception" in capsys.readouterr().err
    assert not Path("s.npz").exists()
